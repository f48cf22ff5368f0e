"""What the log's Merkle tree proves at a size that it has reached: checkpoints, proofs, what stands beside an export.

Reads the tiles that `projections` keeps; every answer is made from one snapshot of them, fetched in one query.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from sqlmodel.ext.asyncio.session import AsyncSession

from services.audit import merkle
from services.audit.answers import ConsistencyProof, InclusionProof
from services.audit.checkpoint import Checkpoint, SigningKey, sign_checkpoint
from services.audit.export import Closing
from services.audit.merkle import NodeSource, Range
from services.audit.projections import read_tiles
from services.audit.tiles import node_source, tiles_for
from shared.runtime import Runtime


def log_key(runtime: Runtime) -> SigningKey:
    """The key that signs the log's checkpoints, under the log's origin."""
    return SigningKey(runtime.settings.log_origin, runtime.keys.checkpoint())


async def signed_checkpoint(session: AsyncSession, size: int, key: SigningKey) -> str:
    """The checkpoint of the tree of `size` leaves, as a signed note."""
    node = await _nodes(session, [(0, size)])
    return sign_checkpoint(Checkpoint(key.name, size, merkle.root(size, node)), key)


async def inclusion_proof(session: AsyncSession, position: int, size: int) -> InclusionProof:
    """That the event at a position is a leaf of the tree of `size` ≥ `position` leaves."""
    index = position - 1
    node = await _nodes(session, [(index, index + 1), (0, size), *merkle.inclusion_ranges(index, size)])
    return InclusionProof(
        leaf_index=index,
        tree_size=size,
        leaf_hash=_base64(node(0, index)),
        root=_base64(merkle.root(size, node)),
        proof=[_base64(digest) for digest in merkle.inclusion_proof(index, size, node)],
    )


async def consistency_proof(session: AsyncSession, first: int, last: int) -> ConsistencyProof:
    """That the tree only grew from `first` to `last` leaves, 0 < `first` ≤ `last`."""
    node = await _nodes(session, [(0, first), (0, last), *merkle.consistency_ranges(first, last)])
    return ConsistencyProof(
        first=first,
        last=last,
        root_from=_base64(merkle.root(first, node)),
        root_to=_base64(merkle.root(last, node)),
        proof=[_base64(digest) for digest in merkle.consistency_proof(first, last, node)],
    )


async def closing(session: AsyncSession, first: int, last: int, size: int, key: SigningKey) -> Closing:
    """The closing line of an export of the positions `first` to `last` out of the tree of `size` leaves."""
    node = await _nodes(session, [(0, size), (0, first - 1), (last, size)])
    return Closing(
        checkpoint=sign_checkpoint(Checkpoint(key.name, size, merkle.root(size, node)), key),
        vkey=str(key.verifier_key),
        first=first,
        last=last,
        left=tuple(node(*place) for place in merkle.cover(0, first - 1)),
        right=tuple(node(*place) for place in merkle.cover(last, size)),
    )


async def _nodes(session: AsyncSession, ranges: Iterable[Range]) -> NodeSource:
    """The nodes that the hashes over some ranges of leaves need."""
    tiles = await read_tiles(await session.connection(), tiles_for(ranges))
    return node_source(tiles.__getitem__)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
