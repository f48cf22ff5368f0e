"""Decides how the tree's hashes are stored: as tiles of at most 256 hashes, of which only the right edge ever changes.

The layout is that of C2SP tlog-tiles: a tile of level 0 holds leaf hashes; each hash in a tile of a higher level is
the root of one full tile of the level below. A tile of width w is its w hashes of 32 bytes, end to end.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from services.audit.merkle import HASH_BYTES, NodeSource, Range, cover, pair_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


@dataclass(frozen=True, slots=True, order=True)
class TileId:
    """A tile's place: its level, and its index within the level, both from 0."""

    level: int
    index: int


def width(tile: TileId, size: int) -> int:
    """How many hashes (0 to 256) the tile holds in a tree of `size` leaves."""
    hashes_of_level = size >> (TILE_HEIGHT * tile.level)
    return min(max(hashes_of_level - tile.index * TILE_WIDTH, 0), TILE_WIDTH)


def edge(size: int) -> list[TileId]:
    """The partial tiles of a tree of `size` leaves, lowest level first: all that is needed to go on growing."""
    tiles: list[TileId] = []
    level = 0
    while hashes_of_level := size >> (TILE_HEIGHT * level):
        if hashes_of_level % TILE_WIDTH:
            tiles.append(TileId(level, hashes_of_level // TILE_WIDTH))
        level += 1
    return tiles


def extend(edge_tiles: Mapping[TileId, bytes], size: int, leaf_hashes: Iterable[bytes]) -> dict[TileId, bytes]:
    """The tiles that change when `leaf_hashes` are appended to a tree of `size` leaves.

    `edge_tiles` must hold the tiles of `edge(size)`, as wide as that size makes them; KeyError or ValueError when not.
    """
    growing: dict[TileId, bytearray] = {}
    for tile in edge(size):
        growing[tile] = bytearray(edge_tiles[tile])
        if len(growing[tile]) != width(tile, size) * HASH_BYTES:
            raise ValueError(f"{tile} is not as wide as a tree of {size} leaves makes it")
    changed: set[TileId] = set()
    for index, leaf in enumerate(leaf_hashes, start=size):
        changed.update(_append(growing, index, leaf))
    return {tile: bytes(growing[tile]) for tile in changed}


def node(level: int, index: int, read_tile: Callable[[TileId], bytes]) -> bytes:
    """The hash of the node (level, index), read from one tile; LookupError when the tile does not hold it yet."""
    return node_source(read_tile)(level, index)


def node_source(read_tile: Callable[[TileId], bytes]) -> NodeSource:
    """The tree's nodes, as proofs read them, over stored tiles.

    Each tile is read once, and the nodes within it are hashed a row at a time, up to the highest one asked for.
    """
    rows_of: dict[TileId, list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        tile = tile_of(level, index)
        rows = rows_of.get(tile)
        if rows is None:
            rows = rows_of[tile] = [bytes(read_tile(tile))]
        height = level % TILE_HEIGHT
        while len(rows) <= height:
            rows.append(_remembered_row_above(rows[-1]))
        begin = index % (TILE_WIDTH >> height) * HASH_BYTES
        digest = rows[height][begin : begin + HASH_BYTES]
        if not digest:
            raise LookupError(f"{tile} does not hold node {index} of level {level}")
        return digest

    return node


def tile_of(level: int, index: int) -> TileId:
    """The tile from which the node (level, index) is read."""
    return TileId(level // TILE_HEIGHT, (index << level % TILE_HEIGHT) // TILE_WIDTH)


def tiles_for(ranges: Iterable[Range]) -> set[TileId]:
    """Every tile that the hashes over `ranges` need, so that a store can fetch them at once before a proof."""
    return {tile_of(level, index) for begin, end in ranges for level, index in cover(begin, end)}


def path(tile: TileId, tile_width: int = TILE_WIDTH) -> str:
    """The tile's resource name in tlog-tiles, such as `tile/0/x001/x234/067` or `tile/1/000.p/17`."""
    digits = f"{tile.index:d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    suffix = f".p/{tile_width}" if tile_width < TILE_WIDTH else ""
    return f"tile/{tile.level}/{name}{suffix}"


def _append(growing: dict[TileId, bytearray], index: int, digest: bytes) -> Iterable[TileId]:
    """Put a leaf hash into its tile and, whenever that fills a tile, the tile's root into the one above."""
    level = 0
    while True:
        tile = TileId(level, index // TILE_WIDTH)
        hashes = growing.setdefault(tile, bytearray())
        hashes += digest
        yield tile
        if len(hashes) < TILE_WIDTH * HASH_BYTES:
            return
        digest = _root(hashes)
        level, index = level + 1, index // TILE_WIDTH


def _root(hashes: bytes | bytearray) -> bytes:
    """The node above a full tile."""
    row = bytes(hashes)
    while len(row) > HASH_BYTES:
        row = _row_above(row)
    return row


def _row_above(row: bytes) -> bytes:
    """The nodes above a row of hashes that lie end to end; the last hash has none when it has no sibling."""
    pairs = [row[at : at + 2 * HASH_BYTES] for at in range(0, len(row) - HASH_BYTES, 2 * HASH_BYTES)]
    return b"".join([pair_hash(pair) for pair in pairs])


# Proofs share the tiles near the root and those of the right edge; 2048 rows are about 4 MB.
_remembered_row_above = lru_cache(maxsize=2048)(_row_above)
