"""The Merkle tree of RFC 9162: published roots and proofs, right and wrong ones, and a naive tree to compare with."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit import merkle
from services.audit.merkle import CompactRange, ProofError
from shared.eventstore import record
from tests.corpus import CORPUS, needs_corpus

# The eight leaves and roots that certificate-transparency and transparency-dev/merkle test RFC 6962 trees with.
REFERENCE_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
REFERENCE_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(1, 300)


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"record %d" % index) for index in range(count)]


def naive_root(hashes: list[bytes]) -> bytes:
    """MTH as RFC 9162 §2.1.1 defines it, word for word."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return merkle.node_hash(naive_root(hashes[:split]), naive_root(hashes[split:]))


def naive_nodes(hashes: list[bytes]) -> merkle.NodeSource:
    return lambda level, index: naive_root(hashes[index << level : (index + 1) << level])


def vectors(kind: str) -> list[Any]:
    return [
        pytest.param(json.loads(path.read_text()), id=str(path.relative_to(CORPUS / "merkle" / kind)))
        for path in sorted(Path(CORPUS, "merkle", kind).rglob("*.json"))
    ]


def decoded(hashes: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in hashes or []]


@needs_corpus
class TestPublishedProofs:
    """testdata of github.com/transparency-dev/merkle; what it calls an error must be refused."""

    @pytest.mark.parametrize("vector", vectors("inclusion"))
    def test_an_inclusion_proof_is_judged_as_published(self, vector: dict[str, Any]) -> None:
        leaf, root = decoded([vector["leafHash"], vector["root"]])
        proof = decoded(vector["proof"])
        if vector["wantErr"]:
            with pytest.raises(ProofError):
                merkle.verify_inclusion(leaf, vector["leafIdx"], vector["treeSize"], proof, root)
        else:
            merkle.verify_inclusion(leaf, vector["leafIdx"], vector["treeSize"], proof, root)

    @pytest.mark.parametrize("vector", vectors("consistency"))
    def test_a_consistency_proof_is_judged_as_published(self, vector: dict[str, Any]) -> None:
        first_root, second_root = decoded([vector["root1"], vector["root2"]])
        proof = decoded(vector["proof"])
        if vector["wantErr"]:
            with pytest.raises(ProofError):
                merkle.verify_consistency(vector["size1"], vector["size2"], first_root, second_root, proof)
        else:
            merkle.verify_consistency(vector["size1"], vector["size2"], first_root, second_root, proof)

    def test_every_published_proof_was_read(self) -> None:
        assert (len(vectors("inclusion")), len(vectors("consistency"))) == (98, 98)


class TestRoot:
    def test_the_empty_tree_has_the_hash_of_nothing(self) -> None:
        assert CompactRange().root() == merkle.EMPTY_ROOT == hashlib.sha256(b"").digest()

    def test_the_reference_leaves_have_the_published_roots(self) -> None:
        tree = CompactRange()
        roots = []
        for content in REFERENCE_LEAVES:
            tree.append(merkle.leaf_hash(bytes.fromhex(content)))
            roots.append(tree.root().hex())
        assert roots == REFERENCE_ROOTS

    @settings(max_examples=50)
    @given(size=st.integers(0, 300))
    def test_growing_leaf_by_leaf_gives_the_root_of_the_definition(self, size: int) -> None:
        tree = CompactRange()
        for leaf in leaves(size):
            tree.append(leaf)
        assert tree.root() == naive_root(leaves(size)) == merkle.root(size, naive_nodes(leaves(size)))
        assert len(tree.hashes) == size.bit_count()

    def test_a_leaf_is_never_mistaken_for_a_node(self) -> None:
        left, right = leaves(2)
        assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)

    def test_the_log_and_the_offline_verifier_hash_a_record_alike(self) -> None:
        """The verifier has its own, because it must not depend on the store."""
        assert record.leaf_hash(b'{"type":"x"}') == merkle.leaf_hash(b'{"type":"x"}')


class TestRange:
    @given(data=st.data(), size=sizes)
    @settings(max_examples=50)
    def test_the_parts_before_within_and_after_a_range_give_the_root(self, data: st.DataObject, size: int) -> None:
        begin = data.draw(st.integers(0, size))
        end = data.draw(st.integers(begin, size))
        node = naive_nodes(leaves(size))
        part = CompactRange(begin)
        for leaf in leaves(size)[begin:end]:
            part.append(leaf)
        whole = CompactRange()
        whole.append_range(begin, [node(*place) for place in merkle.cover(0, begin)])
        whole.append_range(end, part.hashes)
        whole.append_range(size, [node(*place) for place in merkle.cover(end, size)])
        assert whole.root() == naive_root(leaves(size))

    @given(begin=st.integers(0, 1000), length=st.integers(0, 1000))
    def test_a_cover_spans_its_leaves_without_gap_or_overlap(self, begin: int, length: int) -> None:
        spanned = [
            leaf
            for level, index in merkle.cover(begin, begin + length)
            for leaf in range(index << level, (index + 1) << level)
        ]
        assert spanned == list(range(begin, begin + length))

    def test_a_node_is_appended_only_where_one_begins(self) -> None:
        tree = CompactRange()
        tree.append(leaves(1)[0])
        with pytest.raises(ValueError, match="no node of level 1 begins at leaf 1"):
            tree.append(leaves(2)[1], level=1)

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_a_range_takes_exactly_the_hashes_of_its_cover(self, count: int) -> None:
        with pytest.raises(ValueError, match="zip"):
            CompactRange().append_range(5, leaves(count))

    def test_a_range_that_begins_later_has_no_root(self) -> None:
        with pytest.raises(ValueError, match="begins at leaf 4"):
            CompactRange(4).root()


class TestProof:
    @settings(max_examples=60)
    @given(data=st.data(), size=sizes)
    def test_each_leaf_is_shown_at_its_place_and_at_no_other(self, data: st.DataObject, size: int) -> None:
        index = data.draw(st.integers(0, size - 1))
        hashes = leaves(size)
        proof = merkle.inclusion_proof(index, size, naive_nodes(hashes))
        merkle.verify_inclusion(hashes[index], index, size, proof, naive_root(hashes))
        assert len(proof) <= (size - 1).bit_length()
        other = data.draw(st.integers(0, size - 1).filter(lambda place: place != index)) if size > 1 else 1
        with pytest.raises(ProofError):
            merkle.verify_inclusion(hashes[index], other, size, proof, naive_root(hashes))

    @settings(max_examples=60)
    @given(data=st.data(), second=sizes)
    def test_each_older_tree_is_shown_to_be_a_prefix(self, data: st.DataObject, second: int) -> None:
        first = data.draw(st.integers(1, second))
        hashes = leaves(second)
        roots = naive_root(hashes[:first]), naive_root(hashes)
        proof = merkle.consistency_proof(first, second, naive_nodes(hashes))
        merkle.verify_consistency(first, second, *roots, proof)
        assert len(proof) <= second.bit_length() + 1

    @settings(max_examples=60)
    @given(data=st.data(), second=st.integers(2, 300))
    def test_a_rewritten_tree_is_no_extension(self, data: st.DataObject, second: int) -> None:
        first = data.draw(st.integers(1, second - 1))
        rewritten = leaves(second)
        rewritten[data.draw(st.integers(0, first - 1))] = merkle.leaf_hash(b"another record")
        proof = merkle.consistency_proof(first, second, naive_nodes(rewritten))
        with pytest.raises(ProofError):
            merkle.verify_consistency(first, second, naive_root(leaves(first)), naive_root(rewritten), proof)

    @settings(max_examples=60)
    @given(data=st.data(), size=st.integers(2, 300))
    def test_a_proof_with_one_bit_changed_shows_nothing(self, data: st.DataObject, size: int) -> None:
        index = data.draw(st.integers(0, size - 1))
        hashes = leaves(size)
        proof = merkle.inclusion_proof(index, size, naive_nodes(hashes))
        at = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytearray(proof[at])
        flipped[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
        proof[at] = bytes(flipped)
        with pytest.raises(ProofError):
            merkle.verify_inclusion(hashes[index], index, size, proof, naive_root(hashes))

    @pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
    def test_there_is_no_inclusion_proof_outside_the_tree(self, index: int, size: int) -> None:
        with pytest.raises(ValueError, match=f"a tree of {size} leaves has no leaf {index}"):
            merkle.inclusion_proof(index, size, naive_nodes(leaves(size)))

    @pytest.mark.parametrize(("first", "second"), [(0, 3), (4, 3), (-1, 3)])
    def test_there_is_no_consistency_proof_from_nothing_or_backwards(self, first: int, second: int) -> None:
        with pytest.raises(ValueError, match=f"from size {first} to size {second}"):
            merkle.consistency_proof(first, second, naive_nodes(leaves(3)))
