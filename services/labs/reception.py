"""How an HL7 v2 request is taken in: read, sealed, recorded, and only then acknowledged; and how a hold is released.

The answer of a message is made from what stands recorded, so that the same message sent again gets the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog

from services.labs import domain
from services.labs.ack import acknowledge, acknowledge_batch
from services.labs.charset import decode
from services.labs.commands import Release, ReleaseMessage, TakeInReport
from services.labs.er7 import Segment, header
from services.labs.events import LabMessageQuarantined, LabMessageRefused, Sealed
from services.labs.hl7_errors import ErrorCode, Hl7Error, Location, TooLargeError
from services.labs.hl7v2 import Setting, error_of, ground_of, read_message
from services.labs.intake import Aliases
from services.labs.recognition import seal_place
from services.labs.transmission import split
from services.randomization.events import SubjectScreened
from shared.call import LOG_POSITION, Call
from shared.decision import CLOCK_SKEW_MAX, Outcome
from shared.events import Recorded
from shared.events import decode as decode_event
from shared.eventstore.model import Query, QueryItem
from shared.problems import FORBIDDEN, TOO_LARGE
from shared.sealing import SealingError, open_sealed, seal

_log = structlog.get_logger("marrow.labs")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message of a transmission: its text, its header if it has one, and the command or what is wrong with it."""

    text: str
    msh: Segment | None
    command: TakeInReport | None = None
    error: Hl7Error | None = None


async def receive(call: Call, body: bytes, charset: str | None) -> str:
    """Take in the messages of a body and answer in kind: an ACK, a batch by a batch.

    Raises a Problem where no acknowledgment can be made: the token speaks for several sites or for another sending
    application, or the body is too large.
    """
    setting = _setting(call, _only_site(call))
    try:
        transmission = split(decode(body, charset))
        arrivals = []
        for text in transmission.messages:
            arrivals.append(_read(text, setting))
            await asyncio.sleep(0)  # a long batch does not keep others waiting
    except TooLargeError as error:
        raise TOO_LARGE(error.text) from error
    except Hl7Error as error:
        return acknowledge(None, at=call.runtime.clock(), control_id=_control_id(), errors=[error])
    for arrival in arrivals:
        if arrival.command is not None:
            require_application(call, arrival.command.sender.application)
    if len(arrivals) == 1:
        answers = [await _take_in(call, arrivals[0])]
    else:
        await call.require_own_key()
        answers = [await _take_in(call, arrival, part) for part, arrival in enumerate(arrivals)]
    for miscount in transmission.miscounts:
        _log.warning("transmission miscounted", trailer=miscount.trailer, sent=miscount.sent, arrived=miscount.arrived)
    if transmission.is_batch:
        return acknowledge_batch(transmission, answers, at=call.runtime.clock(), control_id=_control_id())
    return answers[0]


def require_application(call: Call, application: str) -> None:
    """Raise FORBIDDEN where the token speaks for another sending application."""
    if call.actor.application not in (None, application):
        raise FORBIDDEN("The token speaks for another sending application.")


def _only_site(call: Call) -> str:
    """The site that a sending facility belongs to: the token's, which must speak for one alone."""
    sites = call.actor.sites
    if sites is None or len(sites) != 1:
        raise FORBIDDEN("A token that sends HL7 v2 speaks for exactly one site.")
    return next(iter(sites))


def _setting(call: Call, site: str) -> Setting:
    return Setting(
        site=site,
        zone=call.runtime.protocol.zone(site),
        authority=call.runtime.settings.subject_authority,
        latest=call.runtime.clock() + CLOCK_SKEW_MAX,
    )


def _control_id() -> str:
    return uuid4().hex[:20]  # as long as MSH-10 may be before v2.7


def _read(text: str, setting: Setting) -> Arrival:
    msh = None
    try:
        msh = header(text)
        return Arrival(text, msh, command=read_message(text, setting))
    except TooLargeError:
        raise
    except Hl7Error as error:
        return Arrival(text, msh, error=error)


async def _take_in(call: Call, arrival: Arrival, part: int | None = None) -> str:
    """Record one message, then acknowledge it."""
    if arrival.command is None:
        errors = [arrival.error] if arrival.error else []
        return acknowledge(arrival.msh, at=call.runtime.clock(), control_id=_control_id(), errors=errors)
    sealed = await _seal(call, arrival.command, arrival.text)
    command = arrival.command.model_copy(update={"sealed": sealed})
    try:
        recorded = (await call.handle(domain.MESSAGE, command, part=part)).events
    except domain.RecordedBefore as before:
        recorded = before.earlier
        call.response.headers[LOG_POSITION] = str(recorded[-1].position)
    last = recorded[-1]
    return acknowledge(arrival.msh, at=last.recorded_at, control_id=f"M{last.position}", errors=errors_of(recorded))


def errors_of(recorded: Sequence[Recorded]) -> list[Hl7Error]:
    """What the sender is told of the events that a message came to; nothing where all of it was recorded."""
    errors: list[Hl7Error] = []
    for each in recorded:
        match each.event:
            case LabMessageQuarantined(grounds=grounds):
                errors += [error_of(ground) for ground in grounds]
            case LabMessageRefused():
                errors.append(
                    Hl7Error(
                        ErrorCode.DUPLICATE_KEY_IDENTIFIER,
                        "the control id was used before with another content",
                        Location("MSH", 1, 10),
                    )
                )
    return errors


async def _seal(call: Call, command: TakeInReport, text: str) -> Sealed:
    """The message under the key of its subject where that is known, else of the site."""
    holder = f"site:{command.site}"
    if command.subject is not None:
        subject = f"subject:{command.subject}"
        screened = await call.runtime.log.read(Query((QueryItem((SubjectScreened.name,), (subject,)),)), limit=1)
        holder = subject if screened.events else holder
    data_key = await call.runtime.key_store.get_or_create(holder)
    place = seal_place(command.message, command.digest)
    return Sealed(holder=holder, text=seal(text.encode(), data_key, place))


async def release(call: Call, quarantine: int, body: Release) -> Outcome:
    """Read a held message again, with the subject and the mapping that the body gives, and record it."""
    held = await _held(call, quarantine)
    call.actor.require_site(held.site)
    try:
        data_key = await call.runtime.key_store.get(held.sealed.holder)
        text = open_sealed(held.sealed.text, data_key, seal_place(held.message, held.digest)).decode()
    except SealingError as error:
        raise domain.ERASED() from error
    try:
        read = read_message(
            text,
            _setting(call, held.site),
            subject=body.subject or held.subject,
            aliases=Aliases(body.mapping.codes, body.mapping.units),
            held=held.held,
        )
    except Hl7Error as error:
        raise domain.STILL_UNREADABLE(error.text, grounds=[ground_of(error).model_dump(mode="json")]) from error
    again = {
        "occurred_at": body.occurred_at or read.occurred_at,
        "reason": body.reason,
        "quarantine": quarantine,
        "mapping": body.mapping,
        "sealed": await _seal(call, read, text),
    }
    return await call.handle(domain.RELEASE, ReleaseMessage(**(dict(read) | again)))


async def _held(call: Call, quarantine: int) -> LabMessageQuarantined:
    """The message that was held at a position. Raises UNKNOWN_QUARANTINE."""
    query = Query((QueryItem((LabMessageQuarantined.name,)),))
    read = await call.runtime.log.read(query, after=quarantine - 1, limit=1)
    for stored in read.events:
        event = decode_event(stored).event
        if stored.position == quarantine and isinstance(event, LabMessageQuarantined):
            return event
    raise domain.UNKNOWN_QUARANTINE(quarantine=quarantine)
