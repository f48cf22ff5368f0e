"""How a quarantined message is released: opened, read again with what its staff have found out, and recorded."""

from __future__ import annotations

from services.labs import domain
from services.labs.commands import RecordLabReport, Release, ReleaseMessage
from services.labs.events import LabMessageQuarantined
from services.labs.fhir_receive import read_again
from services.labs.hl7_errors import Hl7Error
from services.labs.hl7v2 import ground_of, read_message
from services.labs.normalization import Aliases
from services.labs.receive import setting_of
from services.labs.sealed_message import open_message, seal_message
from shared.call import Call
from shared.decision import Outcome
from shared.events import decode
from shared.eventstore.model import Query, QueryItem


async def release(call: Call, quarantine: int, body: Release) -> Outcome:
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
    return await call.handle(domain.RELEASE, ReleaseMessage(**(dict(read) | again)))


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
