"""Decides what an HL7 v2 message says to the trial: which subject, which results, and what is quarantined and why.

Pure: text in, command out. What identifies a person (PID, notes, free text) goes nowhere but into the sealed message;
of codes and units, `disclosure` decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from pydantic import TypeAdapter, ValidationError

from services.labs import oru
from services.labs.commands import RecordLabReport
from services.labs.disclosure import coding_told, personal_words, unit_told
from services.labs.er7 import header, parse
from services.labs.events import LABEL_LENGTH_MAX, Ground, Label, Place, Sender
from services.labs.grading import Criteria
from services.labs.hl7_errors import ErrorCode, Hl7Error, Location, TooLargeError
from services.labs.hl7_report import Header, Identifier, Observation, Order, Report
from services.labs.normalization import (
    NO_ALIASES,
    Aliases,
    Fault,
    ReadResult,
    SentResult,
    is_other_test,
    read_results,
    reason_of,
    tables_read_by,
)
from services.labs.recognition import content_digest, message_key, order_key
from shared.protocol.language import SubjectId, site_of

FIELDS = {"code": 3, "value": 5, "unit": 6, "status": 11, "collected_at": 14}
"""The field of OBX that holds a part of a result."""

_LABEL: TypeAdapter[str] = TypeAdapter(Label)
_SUBJECT: TypeAdapter[str] = TypeAdapter(SubjectId)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a message arrives: the site and its zone, the authority of the trial's subject ids, the latest instant.

    Values are graded by the criteria that the protocol chooses.
    """

    site: str
    zone: tzinfo
    authority: str
    latest: datetime
    criteria: Criteria


def read_message(
    text: str,
    setting: Setting,
    *,
    subject: str | None = None,
    aliases: Aliases = NO_ALIASES,
    quarantined: tuple[int, ...] | None = None,
) -> RecordLabReport:
    """The command to record a message, unsealed yet.

    `subject` is whose it is where that is known better than from PID-3; with `quarantined` only the results of those
    numbers are read. Raises Hl7Error where the header is at fault, so that nobody could know the message again, and
    TooLargeError above the limits; any other fault becomes a ground to quarantine it.
    """
    head = oru.read_header(header(text), setting.zone)
    sender = _sender(head)
    try:
        message = parse(text)
        report = oru.read(message, setting.zone)
    except TooLargeError:
        raise
    except Hl7Error as error:
        return _command(text, setting, head, sender, grounds=(ground_of(error),), quarantined=None)
    whose = subject or trial_subject(report.identifiers, setting)
    if (ahead := _dated_ahead(report, setting.latest)) is not None:
        return _command(text, setting, head, sender, subject=whose, grounds=(ahead,), quarantined=None)
    every = _sent_results(report, sender, whose, personal_words(message), quarantined)
    sent = [each for each in every if not is_other_test(each.codings, aliases)]
    results, faults = read_results(sent, setting.latest, setting.criteria, aliases)
    by_number = {each.number: each for each in sent}
    return _command(
        text,
        setting,
        head,
        sender,
        subject=whose,
        reported_at=_reported_at(report),
        results=results,
        unread=_other_parts(report) + len(every) - len(sent) if quarantined is None else 0,
        grounds=tuple(_ground(fault, by_number[fault.number]) for fault in faults),
        quarantined=tuple(fault.number for fault in faults),
    )


def _command(
    text: str,
    setting: Setting,
    head: Header,
    sender: Sender,
    *,
    grounds: tuple[Ground, ...],
    quarantined: tuple[int, ...] | None,
    subject: str | None = None,
    reported_at: datetime | None = None,
    results: tuple[ReadResult, ...] = (),
    unread: int = 0,
) -> RecordLabReport:
    return RecordLabReport(
        occurred_at=max((result.collected_at for result in results), default=None),
        reason=reason_of(result.status for result in results),
        subject=subject,
        site=setting.site,
        message_key=message_key(setting.site, sender.application, sender.facility, head.control_id),
        digest=content_digest(text.encode()),
        source="hl7v2",
        sender=sender,
        message_id=head.control_id,
        tables=tables_read_by(setting.criteria),
        reported_at=reported_at,
        results=results,
        unread=unread,
        grounds=grounds,
        quarantined=quarantined,
    )


def _sender(head: Header) -> Sender:
    """Who sent it. Raises Hl7Error (101, 102) where MSH-3, 4 or 10 is nothing to know a message by."""
    if not head.sending_application.strip():
        raise Hl7Error(ErrorCode.REQUIRED_FIELD_MISSING, "no sending application", Location("MSH", 1, 3))
    for number, text in ((3, head.sending_application), (4, head.sending_facility), (10, head.control_id)):
        if not _is_label(text):
            why = f"longer than {LABEL_LENGTH_MAX} characters, or with control characters"
            raise Hl7Error(ErrorCode.DATA_TYPE_ERROR, why, Location("MSH", 1, number))
    return Sender(application=head.sending_application, facility=head.sending_facility)


def _is_label(text: str) -> bool:
    """Whether a text may stand in an event: short, and without control characters."""
    try:
        _LABEL.validate_python(text)
    except ValidationError:
        return False
    return True


def trial_subject(identifiers: Iterable[Identifier], setting: Setting) -> str | None:
    """The subject of this site that PID-3 names under the trial's authority; None without one, or with several."""
    named = {each.value for each in identifiers if setting.authority in (each.authority, each.authority_id)}
    if len(named) != 1:
        return None
    (value,) = named
    try:
        subject = _SUBJECT.validate_python(value)
    except ValidationError:
        return None
    return subject if site_of(subject) == setting.site else None


def _sent_results(
    report: Report, sender: Sender, subject: str | None, personal: frozenset[str], quarantined: tuple[int, ...] | None
) -> list[SentResult]:
    """The results of the message, of certain numbers alone where `quarantined` names them."""
    return [
        _sent_result(order, observation, sender, subject, personal)
        for order, observation in report.results()
        if quarantined is None or observation.sequence in quarantined
    ]


def _sent_result(
    order: Order, observation: Observation, sender: Sender, subject: str | None, personal: frozenset[str]
) -> SentResult:
    number = observation.values[0].number if len(observation.values) == 1 else None
    low, high = observation.reference_range.low, observation.reference_range.high
    code_place, unit_place = (str(Location("OBX", observation.sequence, FIELDS[part])) for part in ("code", "unit"))
    codings = (coding_told(pair, code_place, personal) for pair in observation.code.pairs)
    return SentResult(
        number=observation.sequence,
        codings=tuple(codings) or (("", code_place),),
        text=_value_text(observation),
        value=number.value if number else None,
        comparator=number.comparator if number else None,
        unit=unit_told(observation.unit.code, unit_place, personal),
        status=observation.status or order.status,
        collected_at=_collected_at(order, observation),
        order=order_key(subject or "", sender.application, sender.facility, _order_number(order)),
        reference_low=low,
        reference_high=high,
        sub_id=observation.sub_id,
        specimen="~".join(specimen.identifier.value for specimen in order.specimens),
    )


def _other_parts(report: Report) -> int:
    """How many parts of the message are no results."""
    return len(report.unread) + len(report.other_observations) + len(report.notes)


def _value_text(observation: Observation) -> str | None:
    """OBX-5 as written; of a structured numeric, the part that is read: its further components may say anything."""
    if not observation.values:
        return None
    first = observation.values[0]
    if observation.value_type == "SN" and first.number is not None:
        return f"{first.number.comparator or ''}{first.number.value}"
    return first.text


def _order_number(order: Order) -> str:
    """The laboratory's own number of the order, else the one who ordered's, else the time of the observation."""
    for number in (order.filler, order.placer):
        if number.value:
            return f"{number.namespace}\0{number.value}"
    return order.observed_at.text if order.observed_at else ""


def _collected_at(order: Order, observation: Observation) -> datetime | None:
    """OBX-14, else when the specimen was taken (SPM-17), else OBR-7."""
    times = (observation.observed_at, *(specimen.collected_at for specimen in order.specimens), order.observed_at)
    return next((time.at for time in times if time is not None), None)


def _reported_at(report: Report) -> datetime | None:
    """The latest OBR-22, else when the message was sent."""
    reported = [order.reported_at.at for order in report.orders if order.reported_at]
    sent_at = report.header.sent_at
    return max(reported, default=sent_at.at if sent_at else None)


def _dated_ahead(report: Report, latest: datetime) -> Ground | None:
    """The ground to quarantine a report that is dated after its arrival: no correction of it would ever count."""
    reported_at = _reported_at(report)
    if reported_at is None or reported_at <= latest:
        return None
    dated = (order.sequence for order in report.orders if order.reported_at and order.reported_at.at == reported_at)
    number = next(dated, None)
    place = Place(segment="MSH", sequence=1, field=7)
    if number is not None:
        place = Place(segment="OBR", sequence=number, field=22)
    text = "The report is dated in the future."
    return Ground(code="reported-in-the-future", condition=ErrorCode.DATA_TYPE_ERROR, text=text, place=place)


def _ground(fault: Fault, sent: SentResult) -> Ground:
    system, code = sent.codings[0]
    return Ground(
        code=fault.kind.code,
        condition=fault.kind.condition,
        text=fault.text,
        place=Place(segment="OBX", sequence=fault.number, field=FIELDS[fault.kind.part]),
        sent_system=system or None,
        sent_code=code,
        sent_unit=sent.unit or None,
    )


def ground_of(error: Hl7Error) -> Ground:
    """The ground to quarantine a whole message that cannot be read."""
    where = error.location
    return Ground(
        code="unreadable-message",
        condition=error.code,
        text=error.text,
        place=Place(segment=where.segment, sequence=where.sequence, field=where.field) if where else None,
    )


def error_of(ground: Ground) -> Hl7Error:
    """The error of an acknowledgment that tells a ground to the sender."""
    where = ground.place
    location = Location(where.segment, where.sequence, where.field) if where else None
    return Hl7Error(ErrorCode(ground.condition), ground.text, location)
