"""What is asked about one subject: of the read model, and of the log where an answer must not lag."""

from __future__ import annotations

from functools import reduce

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.projections import Consented
from services.visits.projections import Subject as SubjectRow
from services.visits.subject import Subject, evolve, subject_query
from shared.call import LOG_POSITION, Call
from shared.events import Event, Recorded, decode
from shared.problems import NOT_RANDOMIZED, NOT_YET_PROJECTED, UNKNOWN_SUBJECT
from shared.protocol import Protocol
from shared.protocol.language import site_of
from shared.protocol.versions import Entry, Signed


async def arm_of(session: AsyncSession, subject: str) -> str:
    """The arm of a randomized subject. Raises UNKNOWN_SUBJECT or NOT_RANDOMIZED."""
    row = await session.get(SubjectRow, subject)
    if row is None:
        raise UNKNOWN_SUBJECT()
    if row.arm is None:
        raise NOT_RANDOMIZED()
    return row.arm


async def entry_of(session: AsyncSession, subject: str) -> Entry:
    """What of a subject says which version of the protocol it follows."""
    row = await session.get(SubjectRow, subject)
    if row is None:
        raise UNKNOWN_SUBJECT()
    question = select(Consented).where(col(Consented.subject) == subject).order_by(col(Consented.position))
    signed = (Signed(each.version, each.at, each.position) for each in (await session.exec(question)).all())
    return Entry(row.screened_at, tuple(signed))


def followed_now(call: Call, subject: str, entry: Entry) -> Protocol:
    """What the version of the protocol says that a subject follows today. Raises VERSION_UNREADABLE."""
    protocols, site = call.runtime.protocols, site_of(subject)
    return protocols.of(site, entry, protocols.civil_date(call.runtime.clock(), site)).readable


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
