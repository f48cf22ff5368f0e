"""Decides what a Merkle tree over the log proves: its root, inclusion and consistency proofs, and their verification.

The tree is that of RFC 9162 §2.1 with SHA-256; its leaves are the exact record bytes of the log, in position order.
Sizes count leaves, a range is half open [begin, end), and a node (level, index) is the complete subtree over the
leaves [index · 2**level, (index + 1) · 2**level). Standard library alone: the offline verifier rests on this module.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

HASH_BYTES = 32

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 9162 §2.1.1)."""

Range = tuple[int, int]
NodeSource = Callable[[int, int], bytes]
"""Gives the hash of the node (level, index); asked only for complete subtrees within the tree."""


class ProofError(ValueError):
    """A proof does not show what it claims."""


def leaf_hash(record: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 ‖ record)."""
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def pair_hash(pair: bytes) -> bytes:
    """The hash of an inner node over two hashes that lie end to end."""
    return hashlib.sha256(b"\x01" + pair).digest()


def cover(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The fewest nodes (level, index) that together span the leaves [begin, end), left to right."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        yield level, begin >> level
        begin += 1 << level


class CompactRange:
    """What must be kept of the leaves [begin, end) to go on growing and still know the root: O(log n) hashes.

    `hashes` are those of the nodes of `cover(begin, end)`, in that order.
    """

    def __init__(self, begin: int = 0) -> None:
        self.begin = begin
        self.end = begin
        self.hashes: list[bytes] = []

    def append(self, leaf: bytes, level: int = 0) -> None:
        """Append the hash of the next leaf, or of the next node of a higher level.

        Raises ValueError when no node of that level begins at `end`.
        """
        index = self.end >> level
        if index << level != self.end:
            raise ValueError(f"no node of level {level} begins at leaf {self.end}")
        self.end += 1 << level
        digest = leaf
        # An odd index is a right child; it merges with its sibling unless that begins before the range.
        while index & 1 and (index - 1) << level >= self.begin:
            digest = node_hash(self.hashes.pop(), digest)
            index >>= 1
            level += 1
        self.hashes.append(digest)

    def append_range(self, end: int, hashes: Iterable[bytes]) -> None:
        """Append the leaves up to `end`, of which only the `hashes` of `cover(self.end, end)` are known.

        Raises ValueError when there are fewer or more hashes than that cover has nodes.
        """
        for (level, _), digest in zip(cover(self.end, end), hashes, strict=True):
            self.append(digest, level)

    def root(self) -> bytes:
        """The root of the tree of `end` leaves; the range must begin at the first leaf."""
        if self.begin:
            raise ValueError(f"a range that begins at leaf {self.begin} has no root")
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The leaves under each hash of an inclusion proof, lowest sibling first (RFC 9162 §2.1.3.1).

    Raises ValueError unless 0 ≤ index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    begin, end = 0, size
    ranges: list[Range] = []
    while end - begin > 1:
        split = begin + _left_width(end - begin)
        if index < split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((begin, split))
            begin = split
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The leaves under each hash of a consistency proof between two sizes (RFC 9162 §2.1.4.1).

    Raises ValueError unless 0 < first ≤ second: of the empty tree there is nothing to prove.
    """
    if not 0 < first <= second:
        raise ValueError(f"no consistency proof leads from size {first} to size {second}")
    begin, end = 0, second
    ranges: list[Range] = []
    while end != first:
        split = begin + _left_width(end - begin)
        if first <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((begin, split))
            begin = split
    if begin:  # else the whole first tree is one node, whose hash the verifier holds already
        ranges.append((begin, end))
    return ranges[::-1]


def inclusion_proof(index: int, size: int, node: NodeSource) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size` leaves, in RFC 9162 order; O(log n) nodes are read."""
    return [subtree_root(begin, end, node) for begin, end in inclusion_ranges(index, size)]


def consistency_proof(first: int, second: int, node: NodeSource) -> list[bytes]:
    """The proof that the tree of `first` leaves is a prefix of that of `second`, in RFC 9162 order."""
    return [subtree_root(begin, end, node) for begin, end in consistency_ranges(first, second)]


def subtree_root(begin: int, end: int, node: NodeSource) -> bytes:
    """The hash over the leaves [begin, end) of a subtree of some tree, MTH(D[begin:end]) of RFC 9162."""
    return _fold([node(level, index) for level, index in cover(begin, end)])


def root(size: int, node: NodeSource) -> bytes:
    """The root of the tree of `size` leaves."""
    return subtree_root(0, size, node) if size else EMPTY_ROOT


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless `proof` shows the leaf hash at `index` under `root` (RFC 9162 §2.1.3.2)."""
    _require_hashes((leaf, root, *proof))
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    position, last = index, size - 1
    digest = leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if position & 1 or position == last:
            digest = node_hash(sibling, digest)
            position, last = _skip_levels_without_sibling(position, last)
        else:
            digest = node_hash(digest, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofError("the inclusion proof is too short")
    if digest != root:
        raise ProofError(f"the inclusion proof of leaf {index} leads to another root")


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofError unless `proof` shows the first tree to be a prefix of the second (RFC 9162 §2.1.4.2).

    A first size of 0 is refused: every tree extends the empty one, so that such a proof says nothing.
    """
    if not 0 < first <= second:
        raise ProofError(f"no consistency proof leads from size {first} to size {second}")
    if first == second:
        if proof:
            raise ProofError("between equal sizes the consistency proof must be empty")
        if first_root != second_root:
            raise ProofError("two trees of one size have different roots")
        return
    _require_hashes((first_root, second_root, *proof))
    path = list(proof)
    if first & (first - 1) == 0:  # the first tree is a node of the second, and is not repeated in the proof
        path.insert(0, first_root)
    if not path:
        raise ProofError("the consistency proof is too short")
    old, new = _fold_consistency_path(first, second, path)
    if old != first_root:
        raise ProofError(f"the consistency proof leads to another root of size {first}")
    if new != second_root:
        raise ProofError(f"the consistency proof leads to another root of size {second}")


def _fold_consistency_path(first: int, second: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of both sizes that a path leads to; steps 3 to 6 of RFC 9162 §2.1.4.2."""
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if position & 1 or position == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            position, last = _skip_levels_without_sibling(position, last)
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofError("the consistency proof is too short")
    return old, new


def _skip_levels_without_sibling(position: int, last: int) -> tuple[int, int]:
    """Climb the right edge of an incomplete tree to the level at which the node is a right child."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _left_width(width: int) -> int:
    """The leaves of the left child: the largest power of two smaller than `width`, which is at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Hash the nodes of a cover together, from the right, into the one node above them."""
    digest = hashes[-1]
    for left in reversed(hashes[:-1]):
        digest = node_hash(left, digest)
    return digest


def _require_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(digest) != HASH_BYTES for digest in hashes):
        raise ProofError(f"a hash of the proof is not {HASH_BYTES} bytes long")
