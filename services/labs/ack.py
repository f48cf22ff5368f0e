"""Decides how a message is answered: ACK in original or enhanced mode, and a batch by a batch (HL7 v2 chapter 2.9).

An answer is a function of the message's own MSH, the outcome, the time and the new control id, so that the stored
answer and one built again are the same bytes. Delimiters, version and processing id mirror the sender's, and sender
and receiver change places.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from services.labs.er7 import Delimiters, Segment
from services.labs.hl7_errors import ErrorCode, Hl7Error, Location
from services.labs.transmission import Transmission


class Outcome(StrEnum):
    """What became of a message, in the letters of HL7 table 0008."""

    ACCEPTED = "A"
    ERROR = "E"
    """Its content is refused: sending it again unchanged is of no use."""
    REJECTED = "R"
    """It is refused for its header: type, version or sender."""


_CONDITIONS = {
    ErrorCode.SEGMENT_SEQUENCE_ERROR: "Segment sequence error",
    ErrorCode.REQUIRED_FIELD_MISSING: "Required field missing",
    ErrorCode.DATA_TYPE_ERROR: "Data type error",
    ErrorCode.TABLE_VALUE_NOT_FOUND: "Table value not found",
    ErrorCode.VALUE_TOO_LONG: "Value too long",
    ErrorCode.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    ErrorCode.UNSUPPORTED_EVENT_CODE: "Unsupported event code",
    ErrorCode.UNSUPPORTED_PROCESSING_ID: "Unsupported processing id",
    ErrorCode.UNSUPPORTED_VERSION_ID: "Unsupported version id",
    ErrorCode.UNKNOWN_KEY_IDENTIFIER: "Unknown key identifier",
    ErrorCode.DUPLICATE_KEY_IDENTIFIER: "Duplicate key identifier",
    ErrorCode.APPLICATION_RECORD_LOCKED: "Application record locked",
    ErrorCode.APPLICATION_INTERNAL_ERROR: "Application internal error",
}
"""HL7 table 0357."""

_HEADER_CONDITIONS = frozenset(
    {
        ErrorCode.UNSUPPORTED_MESSAGE_TYPE,
        ErrorCode.UNSUPPORTED_EVENT_CODE,
        ErrorCode.UNSUPPORTED_PROCESSING_ID,
        ErrorCode.UNSUPPORTED_VERSION_ID,
    }
)
_DEFAULT_DELIMITERS = Delimiters("|", "^", "~", "\\", "&", "", "^~\\&")
_DEFAULT_VERSION = "2.5.1"


def outcome_of(errors: Sequence[Hl7Error]) -> Outcome:
    """Rejected where the header is at fault, an error where the content is, accepted where there is no error."""
    if not errors:
        return Outcome.ACCEPTED
    return Outcome.REJECTED if any(e.code in _HEADER_CONDITIONS for e in errors) else Outcome.ERROR


def acknowledgment_code(msh: Segment | None, outcome: Outcome) -> str:
    """MSA-1. Original mode, and enhanced mode where MSH-16 asks for the application's answer: AA, AE, AR.

    Enhanced mode where only MSH-15 asks: CA, CE, CR. There is one HTTP answer, so the fuller one is given.
    """
    asks_application = msh is None or _asks(msh[16].value, outcome)
    asks_accept = msh is not None and _asks(msh[15].value, outcome)
    return ("C" if asks_accept and not asks_application else "A") + outcome


def _asks(condition: str, outcome: Outcome) -> bool:
    """HL7 table 0155: always, never, on error or rejection only, on success only."""
    return condition == "AL" or condition == ("SU" if outcome is Outcome.ACCEPTED else "ER")


def acknowledge(
    msh: Segment | None,
    *,
    at: datetime,
    control_id: str,
    errors: Sequence[Hl7Error] = (),
    outcome: Outcome | None = None,
) -> str:
    """The ACK of one message, its segments each ended by CR. Without an MSH it names no sender and no message.

    `at` is the time of the answer, `control_id` its own MSH-10. Each error becomes an ERR segment (v2.5 on) or a
    repetition of ERR-1 (before). What has no readable header is rejected; else the `outcome`
    is that of the errors unless one is given.
    """
    sent = msh.delimiters if msh else _DEFAULT_DELIMITERS
    code = acknowledgment_code(msh, (outcome or outcome_of(errors)) if msh else Outcome.REJECTED)
    version = (msh[12].text if msh else "") or _DEFAULT_VERSION
    header = _mirrored(msh, "MSH", sent, at)
    header += ["", _acknowledgment_type(msh, sent), sent.escape_text(control_id)]
    header += [(msh[11].text if msh else "") or "P", version]
    # MSA-3 is deprecated from v2.4 on, and still the only text that many senders show.
    text = sent.escape_text(errors[0].text) if errors else ""
    acknowledgment = ["MSA", code, msh[10].text if msh else "", text]
    modern = msh is None or _version_key(msh[12].value) >= (2, 5)
    segments = [
        header,
        acknowledgment,
        *(_error_segments(errors, sent) if modern else _error_segment(errors, sent)),
    ]
    return _written(segments, sent)


def acknowledge_batch(
    transmission: Transmission, acknowledgments: Sequence[str], *, at: datetime, control_id: str
) -> str:
    """One batch that holds the ACK of every message, in their order; inside a file where a file was sent.

    A batch is answered by a batch: senders wait for one response, not for one to each message. A trailer that counted
    otherwise than what arrived is told so in the comment of the answer's own (BTS-2, FTS-2): it is the fault of no
    message, and each is acknowledged as if it had come alone.
    """
    sent_header = transmission.batch_header or transmission.file_header
    delimiters = sent_header.delimiters if sent_header else _DEFAULT_DELIMITERS
    sent_id = sent_header[11].text if sent_header else ""

    def header(name: str) -> list[str]:
        return [*_mirrored(sent_header, name, delimiters, at), "", "", "", delimiters.escape_text(control_id), sent_id]

    batch_head = _written([header("BHS")], delimiters)

    def trailer(name: Literal["BTS", "FTS"], count: int) -> list[str]:
        comment = "; ".join(str(each) for each in transmission.miscounts if each.trailer == name)
        return [name, str(count), delimiters.escape_text(comment)]

    batch_tail = _written([trailer("BTS", len(acknowledgments))], delimiters)
    batch = batch_head + "".join(acknowledgments) + batch_tail
    if transmission.file_header is None:
        return batch
    return _written([header("FHS")], delimiters) + batch + _written([trailer("FTS", 1)], delimiters)


def _mirrored(sent: Segment | None, name: str, delimiters: Delimiters, at: datetime) -> list[str]:
    """The first seven fields of MSH, BHS or FHS: sender and receiver change places. Field 1 is the separator."""
    applications = [sent[n].text for n in (5, 6, 3, 4)] if sent else [""] * 4
    return [name, delimiters.as_sent, *applications, at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")]


def _acknowledgment_type(msh: Segment | None, delimiters: Delimiters) -> str:
    event = msh[9][2].text if msh else ""
    return f"ACK{delimiters.component}{event}{delimiters.component}ACK" if event else "ACK"


def _version_key(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdecimal() and part.isascii() for part in parts) else (2, 5)


def _error_segments(errors: Sequence[Hl7Error], delimiters: Delimiters) -> list[list[str]]:
    """v2.5 and later: an ERR for each error; ERR-2 where, ERR-3 which condition, ERR-4 severity, ERR-8 in words."""
    component = delimiters.component or " "
    return [
        [
            "ERR",
            "",
            component.join(_location_parts(error.location)),
            component.join((error.code, _CONDITIONS[error.code], "HL70357")),
            "E",
            "",
            "",
            "",
            delimiters.escape_text(error.text),
        ]
        for error in errors
    ]


def _error_segment(errors: Sequence[Hl7Error], delimiters: Delimiters) -> list[list[str]]:
    """Before v2.5: one ERR, whose first field repeats segment, sequence, field and the condition in subcomponents."""
    if not errors:
        return []
    component, subcomponent = delimiters.component or " ", delimiters.subcomponent or " "
    places = []
    for error in errors:
        place = [*_location_parts(error.location)[:3], "", "", ""][:3]
        condition = subcomponent.join((error.code, _CONDITIONS[error.code], "HL70357"))
        places.append(component.join((*place, condition)))
    return [["ERR", (delimiters.repetition or " ").join(places)]]


def _location_parts(location: Location | None) -> list[str]:
    """An ERL as far as it is known: segment, sequence, field, repetition, component."""
    if location is None:
        return []
    parts = [location.segment, str(location.sequence)]
    for part in (location.field, location.repetition, location.component):
        if part is None:
            break
        parts.append(str(part))
    return parts


def _written(segments: Sequence[Sequence[str]], delimiters: Delimiters) -> str:
    lines = (delimiters.field.join(segment).rstrip(delimiters.field) for segment in segments)
    return "".join(f"{line}\r" for line in lines)
