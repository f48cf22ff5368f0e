"""The transaction of a batch: two round trips, under one lock that serialises all writers of the database.

The first takes the lock, answers every condition and reads the head; the second inserts, notifies and commits. The
lock lasts until the commit is visible, so positions are taken and become visible in order and without gaps, with any
number of processes, and no reader can see a position before all lower ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.eventstore.connection import CHANNEL, INDEX_PLANS
from shared.eventstore.model import StoredEvent
from shared.eventstore.session import BEGIN, BYTEA, COMMIT, TEXT, Session, Statement, array, int8, timestamptz

APPEND_LOCK = 0x4D41_5252_4F57_0002
"""Advisory lock: whoever holds it appends."""

SETTINGS = {
    **INDEX_PLANS,
    # A process that was stopped in the middle of a batch must not hold the lock, nor wait for it, for ever.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "4s",
}

_TAKE_LOCK = Statement("take_lock", f"SELECT pg_advisory_xact_lock({APPEND_LOCK})")

_READ_STANDING = Statement(
    "read_standing",
    """
SELECT coalesce(head.position, 0), head.recorded_at, clock_timestamp(), ARRAY(
  SELECT c.append
  FROM jsonb_to_recordset($1::text::jsonb) AS c (append int, types text[], tags text[], after bigint)
  WHERE CASE
    WHEN cardinality(c.tags) = 1 AND cardinality(c.types) = 0 THEN EXISTS (
      SELECT FROM log.event_tag t WHERE t.tag = c.tags[1] AND t.position > c.after)
    WHEN cardinality(c.tags) > 0 THEN EXISTS (
      SELECT FROM log.event_tag t JOIN log.event e USING (position)
      WHERE t.tag = c.tags[1] AND t.position > c.after AND e.tags @> c.tags
        AND (cardinality(c.types) = 0 OR e.type = ANY (c.types)))
    WHEN cardinality(c.types) > 0 THEN EXISTS (
      SELECT FROM log.event e WHERE e.type = ANY (c.types) AND e.position > c.after)
    ELSE head.position > c.after
  END)
FROM (VALUES (true)) AS always (row)
LEFT JOIN LATERAL (SELECT position, recorded_at FROM log.event ORDER BY position DESC LIMIT 1) AS head ON true
""",
)

_STORE = Statement(
    "store",
    f"""
WITH stored AS (
  INSERT INTO log.event (position, type, tags, recorded_at, record, leaf_hash)
  SELECT $1::bigint + n, type, tags::text[], $2::timestamptz, record, leaf_hash
  FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[]) WITH ORDINALITY
    AS new (type, tags, record, leaf_hash, n)
  RETURNING position, tags
), tagged AS (
  INSERT INTO log.event_tag (tag, position) SELECT tag, position FROM stored, unnest(tags) AS tag
)
SELECT pg_notify('{CHANNEL}', '')
""",  # noqa: S608 (a constant)
)

_READ_LEAF_HASHES = Statement(
    "read_leaf_hashes", "SELECT leaf_hash FROM log.event WHERE position > $1 AND position <= $2 ORDER BY position"
)

STATEMENTS = (_TAKE_LOCK, _READ_STANDING, _STORE, _READ_LEAF_HASHES)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the log stands under the lock: its head, when that was recorded, what time it is, and which conflict."""

    head: int
    head_recorded_at: datetime | None
    now: datetime
    conflicting: frozenset[int]


async def open_session(url: str) -> Session:
    """A connection to write on. Raises psycopg.Error or OSError."""
    return await Session.open(url, STATEMENTS, SETTINGS)


async def begin(session: Session, conditions: bytes) -> Standing:
    """Begin the transaction: take the lock and see how the log stands. First round trip."""
    # The lock is a statement of its own: the next one's snapshot must be taken after the lock is held.
    *_, rows = await session.run((BEGIN, ()), (_TAKE_LOCK, ()), (_READ_STANDING, (conditions,)))
    ((head, head_recorded_at, now, conflicting),) = rows
    return Standing(head, head_recorded_at, now, frozenset(conflicting))


async def commit(session: Session, events: Sequence[StoredEvent]) -> None:
    """Store the events and end the transaction; when this returns they are durable. Second round trip."""
    first = events[0]
    parameters = (
        int8(first.position - 1),
        timestamptz(first.recorded_at),
        array(TEXT, [event.type.encode() for event in events]),
        array(TEXT, [_array_literal(event.tags).encode() for event in events]),
        array(BYTEA, [event.record for event in events]),
        array(BYTEA, [event.leaf_hash for event in events]),
    )
    await session.run((_STORE, parameters), (COMMIT, ()))


async def end(session: Session) -> None:
    """End a transaction that has nothing to store."""
    await session.run((COMMIT, ()))


async def is_committed(session: Session, events: Sequence[StoredEvent]) -> bool:
    """Whether a commit whose acknowledgement was lost took place.

    The lock is free only when the lost transaction has ended, one way or the other. Every record bears an id of its
    own, so equal leaf hashes at the same positions mean the same events.
    """
    positions = (int8(events[0].position - 1), int8(events[-1].position))
    _, _, rows, _ = await session.run((BEGIN, ()), (_TAKE_LOCK, ()), (_READ_LEAF_HASHES, positions), (COMMIT, ()))
    return [row[0] for row in rows] == [event.leaf_hash for event in events]


def _array_literal(texts: Sequence[str]) -> str:
    """An array as PostgreSQL writes it: the tags of all events cannot travel as one array, which would be ragged."""
    quoted = '","'.join(text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return f'{{"{quoted}"}}' if texts else "{}"
