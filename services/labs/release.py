"""How a quarantined message is released: opened, read again with what its staff have found out, and recorded."""

from __future__ import annotations

from services.labs import domain
from services.labs.commands import RecordLabReport, Release, ReleaseAll, ReleaseMessage
from services.labs.events import LabMessageQuarantined, LabMessageReleased
from services.labs.fhir_receive import read_again
from services.labs.hl7_errors import Hl7Error
from services.labs.hl7v2 import ground_of, read_message
from services.labs.normalization import Aliases
from services.labs.projections import PROJECTION
from services.labs.questions import quarantined_messages
from services.labs.receive import setting_of
from services.labs.sealed_message import open_message, seal_message
from shared.call import LOG_POSITION, Call
from shared.decision import Outcome
from shared.events import decode
from shared.eventstore.model import Query, QueryItem
from shared.problems import Problem

ALL_AT_ONCE_MAX = 100
"""The most messages that one request reads again."""


async def release_all(call: Call, body: ReleaseAll) -> tuple[list[tuple[int, Outcome | Problem]], int | None]:
    """Read the messages in quarantine again with a mapping, each for itself: what each came to, and the cursor.

    The same request under the same key reads again what it released, and so answers the same of it.
    """
    if body.site is not None:
        call.actor.require_site(body.site)
    await call.require_own_key()
    async with call.read(PROJECTION) as session:
        sites = call.actor.sites if body.site is None else {body.site}
        rows, cursor = await quarantined_messages(
            session, sites, state="quarantined", after=body.after, limit=ALL_AT_ONCE_MAX
        )
        numbers = {row.position for row in rows}
    one = Release(reason=body.reason, mapping=body.mapping, occurred_at=body.occurred_at)
    outcomes: list[tuple[int, Outcome | Problem]] = []
    position = 0
    for number in sorted(numbers | await _released_under_key(call)):
        try:
            outcome = await release(call, number, one, part=number)
            position = max(position, outcome.position)
            outcomes.append((number, outcome))
        except Problem as problem:
            outcomes.append((number, problem))
    if position:
        call.response.headers[LOG_POSITION] = str(position)
    return outcomes, cursor


async def _released_under_key(call: Call) -> set[int]:
    if call.key is None:
        return set()
    query = Query((QueryItem((LabMessageReleased.name,), (call.key.request_tag,)),))
    events = [decode(stored).event for stored in (await call.runtime.log.read(query)).events]
    return {event.quarantine for event in events if isinstance(event, LabMessageReleased)}


async def release(call: Call, quarantine: int, body: Release, *, part: int | None = None) -> Outcome:
    """Read the message of a quarantine again, with the subject and the mapping that the body gives, and record it."""
    message = await _quarantined_at(call, quarantine)
    call.actor.require_site(message.site)
    text = await open_message(call.runtime, message)
    subject = body.subject or message.subject
    aliases = Aliases(body.mapping.codes, body.mapping.units)
    if message.source == "fhir":
        read = read_again(call, message, text, subject, aliases)
    else:
        read = _read_hl7v2(call, message, text, subject, aliases)
    again = {
        "occurred_at": body.occurred_at or read.occurred_at,
        "reason": body.reason,
        "quarantine": quarantine,
        "mapping": body.mapping,
        "sealed": await seal_message(call.runtime, read, text),
    }
    return await call.handle(domain.RELEASE, ReleaseMessage(**(dict(read) | again)), part=part)


def _read_hl7v2(
    call: Call, message: LabMessageQuarantined, text: str, subject: str | None, aliases: Aliases
) -> RecordLabReport:
    setting = setting_of(call, message.site)
    try:
        return read_message(text, setting, subject=subject, aliases=aliases, quarantined=message.quarantined)
    except Hl7Error as error:
        raise domain.STILL_UNREADABLE(error.text, grounds=[ground_of(error).model_dump(mode="json")]) from error


async def _quarantined_at(call: Call, position: int) -> LabMessageQuarantined:
    """The message that was quarantined at a position. Raises UNKNOWN_QUARANTINE."""
    query = Query((QueryItem((LabMessageQuarantined.name,)),))
    read = await call.runtime.log.read(query, after=position - 1, limit=1)
    for stored in read.events:
        event = decode(stored).event
        if stored.position == position and isinstance(event, LabMessageQuarantined):
            return event
    raise domain.UNKNOWN_QUARANTINE(quarantine=position)
