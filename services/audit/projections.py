"""The read model of this service: one index row an event, and the tiles of the log's Merkle tree.

What an event says is not copied: it is read from the log, by position. The tiles grow in the transaction that also
moves the position on, so that the size of the stored tree is always the position that the read model reflects.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import Field, SQLModel, col

from services.audit.tiles import TileId, edge, extend
from shared.eventstore.model import StoredEvent
from shared.projection import Projection
from shared.rows import Rows


class ReadModel(SQLModel):
    """The base of this service's tables: a PostgreSQL schema of its own."""

    metadata = MetaData(schema="audit")


class TrailEntry(ReadModel, table=True):
    """Where one event stands, and what it is found by."""

    __tablename__ = "trail_entry"
    __table_args__ = (
        Index("ix_trail_entry_type", "type", "position"),
        Index("ix_trail_entry_actor", "actor", "position"),
        Index("ix_trail_entry_recorded_at", "recorded_at", "position"),
        Index("ix_trail_entry_tags", "tags", postgresql_using="gin"),
    )

    position: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    type: str = Field(sa_type=Text)
    version: int
    tags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    actor: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    recorded_at: datetime = Field(sa_type=DateTime(timezone=True))


class Tile(ReadModel, table=True):
    """Up to 256 hashes of one level of the tree, end to end; see `tiles`."""

    __tablename__ = "tile"

    level: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    hashes: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


# One statement a batch: an object for each row would take most of the time of a rebuild.
INSERT_ENTRIES = text("""
INSERT INTO audit.trail_entry (position, type, version, tags, actor, role, occurred_at, recorded_at)
SELECT position, type, version, tags, actor, role, occurred_at, recorded_at
FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS new (
  position bigint, type text, version int, tags text[], actor text, role text,
  occurred_at timestamptz, recorded_at timestamptz
)
""")

REQUEST_KEY = "key:"
"""Tags of idempotency keys: nobody looks an event up by them."""


async def write_stored(connection: AsyncConnection, events: Sequence[StoredEvent]) -> None:
    """Index a batch of events and let the tree grow by their leaves; the batch begins where the tree ends."""
    if not events:
        return
    size = events[0].position - 1
    if events[-1].position - size != len(events):
        raise ValueError(f"the log has a gap between {events[0].position} and {events[-1].position}")
    entries = orjson.dumps([_entry(stored) for stored in events]).decode()
    await connection.execute(INSERT_ENTRIES, {"entries": entries})
    rows = Rows()
    grown = extend(await read_tiles(connection, edge(size)), size, (stored.leaf_hash for stored in events))
    for tile, hashes in grown.items():
        rows.put(Tile, level=tile.level, index=tile.index, hashes=hashes)
    await rows.write(connection)


async def read_tiles(connection: AsyncConnection, wanted: Collection[TileId]) -> dict[TileId, bytes]:
    """Those of the wanted tiles that are stored, in one query."""
    if not wanted:
        return {}
    places = tuple_(col(Tile.level), col(Tile.index)).in_([(tile.level, tile.index) for tile in wanted])
    rows = await connection.execute(select(col(Tile.level), col(Tile.index), col(Tile.hashes)).where(places))
    return {TileId(level, index): hashes for level, index, hashes in rows}


def _entry(stored: StoredEvent) -> dict[str, object]:
    """The index row of an event."""
    record = orjson.loads(stored.record)
    return {
        "position": stored.position,
        "type": stored.type,
        "version": record["version"],
        "tags": [tag for tag in stored.tags if not tag.startswith(REQUEST_KEY)],
        "actor": record["by"]["id"],
        "role": record["by"]["role"],
        "occurred_at": record["occurred_at"],
        "recorded_at": stored.recorded_at,
    }


PROJECTION = Projection(name="audit", metadata=ReadModel.metadata, write_stored=write_stored)
