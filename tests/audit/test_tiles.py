"""Tiles of the tree: widths and names as C2SP tlog-tiles publishes them, and proofs read from tiles alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit import merkle, tiles
from services.audit.tiles import TileId


def leaves(begin: int, end: int) -> list[bytes]:
    return [merkle.leaf_hash(b"record %d" % index) for index in range(begin, end)]


def tiled(*growths: int) -> dict[TileId, bytes]:
    """A tree that has grown to each of these sizes in turn, as a store that keeps the changed tiles would hold it."""
    stored: dict[TileId, bytes] = {}
    size = 0
    for grown in growths:
        edge = {tile: stored[tile] for tile in tiles.edge(size)}
        stored |= tiles.extend(edge, size, leaves(size, grown))
        size = grown
    return stored


class TestWidth:
    def test_a_tree_of_70_000_has_the_published_tiles(self) -> None:
        """The example of tlog-tiles, "Partial Tiles"."""
        assert tiles.edge(70_000) == [TileId(0, 273), TileId(1, 1), TileId(2, 0)]
        assert [tiles.width(tile, 70_000) for tile in tiles.edge(70_000)] == [112, 17, 1]
        assert tiles.width(TileId(0, 272), 70_000) == tiles.width(TileId(1, 0), 70_000) == 256

    def test_a_tree_of_256_has_a_full_tile_and_one_hash_above(self) -> None:
        assert tiles.edge(256) == [TileId(1, 0)]
        assert {tile: len(hashes) // 32 for tile, hashes in tiled(256).items()} == {
            TileId(0, 0): 256,
            TileId(1, 0): 1,
        }

    def test_beyond_the_tree_a_tile_is_empty(self) -> None:
        assert tiles.width(TileId(0, 2), 300) == 0

    def test_an_empty_tree_has_no_tiles(self) -> None:
        assert tiles.edge(0) == []
        assert tiles.extend({}, 0, []) == {}


class TestPath:
    def test_a_full_tile_has_the_published_name(self) -> None:
        """The example of tlog-tiles, "Merkle Tree"."""
        assert tiles.path(TileId(0, 1_234_067)) == "tile/0/x001/x234/067"

    def test_a_partial_tile_names_its_width(self) -> None:
        assert tiles.path(TileId(1, 0), 17) == "tile/1/000.p/17"


class TestGrowth:
    @settings(max_examples=30, deadline=None)
    @given(growths=st.lists(st.integers(0, 700), min_size=1, max_size=4).map(sorted))
    def test_growing_in_steps_gives_the_tiles_of_growing_at_once(self, growths: list[int]) -> None:
        assert tiled(*growths) == tiled(growths[-1])

    def test_a_tile_of_level_1_holds_the_roots_of_the_full_tiles_below(self) -> None:
        stored = tiled(600)
        below = merkle.CompactRange()
        for leaf in leaves(256, 512):
            below.append(leaf)
        assert stored[TileId(1, 0)][32:] == below.root()
        assert stored[TileId(0, 2)] == b"".join(leaves(512, 600))

    def test_only_the_right_edge_changes(self) -> None:
        edge = {tile: tiled(600)[tile] for tile in tiles.edge(600)}
        assert set(tiles.extend(edge, 600, leaves(600, 601))) == {TileId(0, 2)}

    def test_an_edge_of_another_size_is_refused(self) -> None:
        with pytest.raises(ValueError, match="not as wide as a tree of 601 leaves"):
            tiles.extend({TileId(0, 2): tiled(600)[TileId(0, 2)], TileId(1, 0): b""}, 601, leaves(601, 602))

    def test_an_incomplete_edge_is_refused(self) -> None:
        with pytest.raises(KeyError):
            tiles.extend({}, 3, leaves(3, 4))


class TestProofs:
    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_proofs_need_only_the_tiles_that_are_named_for_them(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(1, 800))
        first = data.draw(st.integers(1, size))
        stored = tiled(size)
        ranges = [*merkle.inclusion_ranges(first - 1, size), *merkle.consistency_ranges(first, size)]
        node = tiles.node_source({tile: stored[tile] for tile in tiles.tiles_for(ranges)}.__getitem__)
        roots = [merkle.root(grown, tiles.node_source(stored.__getitem__)) for grown in (first, size)]
        leaf = leaves(first - 1, first)[0]

        merkle.verify_inclusion(leaf, first - 1, size, merkle.inclusion_proof(first - 1, size, node), roots[1])
        merkle.verify_consistency(first, size, roots[0], roots[1], merkle.consistency_proof(first, size, node))

    def test_tiles_that_have_grown_since_still_prove_an_older_size(self) -> None:
        older = merkle.root(300, tiles.node_source(tiled(300).__getitem__))
        node = tiles.node_source(tiled(700).__getitem__)
        merkle.verify_inclusion(leaves(7, 8)[0], 7, 300, merkle.inclusion_proof(7, 300, node), older)

    def test_a_node_that_is_not_complete_yet_is_not_given(self) -> None:
        with pytest.raises(LookupError, match="does not hold node 3 of level 1"):
            tiles.node(1, 3, tiled(7).__getitem__)
