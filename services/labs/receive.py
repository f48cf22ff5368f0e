"""How a transmission of HL7 v2 is received: read, sealed, recorded, and only then acknowledged.

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
from services.labs.commands import RecordLabReport
from services.labs.er7 import Segment, header
from services.labs.events import LabMessageQuarantined, LabMessageRefused
from services.labs.grading import Criteria, criteria_of
from services.labs.hl7_errors import ErrorCode, Hl7Error, Location, TooLargeError
from services.labs.hl7v2 import Setting, error_of, read_message
from services.labs.sealed_message import seal_message
from services.labs.transmission import split
from shared.call import LOG_POSITION, Call
from shared.decision import CLOCK_SKEW_MAX
from shared.events import Recorded
from shared.problems import FORBIDDEN, TOO_LARGE
from shared.protocol import ProtocolDocumentError
from shared.protocol.versions import VERSION_UNREADABLE

_log = structlog.get_logger("marrow.labs")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message of a transmission: its text, its header if it has one, and the command or what is wrong with it."""

    text: str
    msh: Segment | None
    command: RecordLabReport | None = None
    error: Hl7Error | None = None


async def receive(call: Call, body: bytes, charset: str | None) -> str:
    """Record the messages of a body and answer in kind: an ACK, a batch by a batch.

    Raises a Problem where no acknowledgment can be made: the token speaks for several sites or for another sending
    application, or the body is too large.
    """
    setting = setting_of(call, only_site(call))
    try:
        transmission = split(decode(body, charset))
        arrivals = []
        for text in transmission.messages:
            arrivals.append(_read(text, setting))
            await asyncio.sleep(0)  # a long batch does not keep others waiting
    except TooLargeError as error:
        raise TOO_LARGE(error.text) from error
    except Hl7Error as error:
        return acknowledge(None, at=call.runtime.clock(), control_id=new_control_id(), errors=[error])
    for arrival in arrivals:
        if arrival.command is not None:
            require_application(call, arrival.command.sender.application)
    if len(arrivals) == 1:
        answers = [await _record(call, arrivals[0])]
    else:
        answers = await _record_several(call, arrivals)
    for miscount in transmission.miscounts:
        _log.warning("transmission miscounted", trailer=miscount.trailer, sent=miscount.sent, arrived=miscount.arrived)
    if transmission.is_batch:
        return acknowledge_batch(transmission, answers, at=call.runtime.clock(), control_id=new_control_id())
    return answers[0]


def require_application(call: Call, application: str) -> None:
    """Raise FORBIDDEN where the token speaks for another sending application."""
    if call.actor.application not in (None, application):
        raise FORBIDDEN("The token speaks for another sending application.")


def only_site(call: Call) -> str:
    """The site that a sending facility belongs to: the token's, which must speak for one alone."""
    sites = call.actor.sites
    if sites is None or len(sites) != 1:
        raise FORBIDDEN("A token that sends HL7 v2 or FHIR speaks for exactly one site.")
    return next(iter(sites))


def setting_of(call: Call, site: str) -> Setting:
    """What a message of a site is read by now."""
    return Setting(
        site=site,
        zone=call.runtime.protocols.zone(site),
        authority=call.runtime.settings.subject_authority,
        latest=call.runtime.clock() + CLOCK_SKEW_MAX,
        criteria=criteria_at(call, site),
    )


def criteria_at(call: Call, site: str) -> Criteria:
    """The criteria of the version of the protocol that is in effect at a site today.

    Raises VERSION_UNREADABLE, also for a version that chooses criteria which this process does not know.
    """
    protocols = call.runtime.protocols
    version = protocols.in_effect(protocols.civil_date(call.runtime.clock(), site), site)
    try:
        return criteria_of(version.readable)
    except ProtocolDocumentError as error:
        raise VERSION_UNREADABLE(str(error), version=version.number) from error


def new_control_id() -> str:
    """MSH-10 of an answer that is not made from what stands recorded."""
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


async def _record_several(call: Call, arrivals: Sequence[Arrival]) -> list[str]:
    """Record one message after the other; the `Log-Position` is the highest of any."""
    await call.require_own_key()
    answers, position = [], 0
    for part, arrival in enumerate(arrivals):
        answers.append(await _record(call, arrival, part))
        position = max(position, int(call.response.headers.get(LOG_POSITION, 0)))
    if position:
        call.response.headers[LOG_POSITION] = str(position)
    return answers


async def _record(call: Call, arrival: Arrival, part: int | None = None) -> str:
    """Record one message, then acknowledge it."""
    if arrival.command is None:
        errors = [arrival.error] if arrival.error else []
        return acknowledge(arrival.msh, at=call.runtime.clock(), control_id=new_control_id(), errors=errors)
    sealed = await seal_message(call.runtime, arrival.command, arrival.text)
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
