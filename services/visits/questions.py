"""What is asked about one subject: of the read model, and of the log where an answer must not lag."""

from __future__ import annotations

from functools import reduce

from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.projections import Subject as SubjectRow
from services.visits.subject import Subject, evolve, subject_query
from shared.call import LOG_POSITION, Call
from shared.events import Event, Recorded, decode
from shared.problems import NOT_RANDOMIZED, NOT_YET_PROJECTED, UNKNOWN_SUBJECT


async def arm_of(session: AsyncSession, subject: str) -> str:
    """The arm of a randomized subject. Raises UNKNOWN_SUBJECT or NOT_RANDOMIZED."""
    row = await session.get(SubjectRow, subject)
    if row is None:
        raise UNKNOWN_SUBJECT()
    if row.arm is None:
        raise NOT_RANDOMIZED()
    return row.arm


async def subject_in_log(call: Call, subject: str, *needs: type[Event]) -> Subject:
    """What the log knows of a subject by some kinds of events, at least as new as the caller asked for.

    Raises NOT_YET_PROJECTED where the log has not reached the position that the caller has seen.
    """
    return reduce(evolve, await history_in_log(call, subject, *needs), Subject())


async def history_in_log(call: Call, subject: str, *needs: type[Event]) -> list[Recorded]:
    """A subject's standing and the events about it of some kinds, in order, at least as new as the caller asked for.

    Raises NOT_YET_PROJECTED where the log has not reached the position that the caller has seen.
    """
    read = await call.runtime.log.read(subject_query(subject, *needs))
    if read.head < (call.at_least or 0):
        raise NOT_YET_PROJECTED(headers={"Retry-After": "1"}, position=read.head)
    call.response.headers[LOG_POSITION] = str(read.head)
    return [decode(stored) for stored in read.events]
