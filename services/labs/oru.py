"""Decides what an ORU^R01 or OUL^R22, R23, R24 message (HL7 v2.3 to 2.8) reports, and of which identifiers.

The order of segments is read as senders write it, not as a grammar: OBR opens an order, SPM a specimen, and an OBX
belongs to whatever was opened last. A message with more than one patient is refused: one report, one subject.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Literal

from services.labs.dtm import Timestamp, TimestampError, read_timestamp
from services.labs.er7 import Field, Message, Repetition, Segment
from services.labs.hl7_errors import ErrorCode, Hl7Error, Location
from services.labs.hl7_report import (
    Coded,
    Coding,
    EntityIdentifier,
    Header,
    Identifier,
    Observation,
    Order,
    Report,
    Specimen,
    Unread,
    Value,
)
from services.labs.numerics import read_number, read_range, read_structured_numeric

TRIGGER_EVENTS = {"ORU": ("R01",), "OUL": ("R22", "R23", "R24")}
"""The messages that are read: type → trigger events."""

VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2")
PROCESSING_IDS = ("P", "T", "D")

_FIELDS_READ = {
    "MSH": {*range(1, 13), 15, 16, 18},
    "OBR": {1, 2, 3, 4, 7, 14, 22, 25},
    "OBX": {1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 17, 19},
    "SPM": {1, 2, 4, 17, 18},
    "NTE": {1, 3},
}
_CODED_TYPES = ("CE", "CWE", "CNE", "CF")
_NUMERIC_TYPES = ("NM", "SN")


def read_header(msh: Segment, site_zone: tzinfo) -> Header:
    """What MSH says. Raises Hl7Error for a message that is not read here: 200 to 203 by MSH-9, 11 and 12, 101
    without MSH-10, by which a message is known again."""
    kind, event = msh[9][1].value, msh[9][2].value
    if kind not in TRIGGER_EVENTS:
        raise Hl7Error(ErrorCode.UNSUPPORTED_MESSAGE_TYPE, "only ORU and OUL are read", msh.location(9))
    if event not in TRIGGER_EVENTS[kind]:
        events = ", ".join(TRIGGER_EVENTS[kind])
        raise Hl7Error(ErrorCode.UNSUPPORTED_EVENT_CODE, f"only {events} of {kind} is read", msh.location(9))
    if msh[11].value not in PROCESSING_IDS:
        raise Hl7Error(ErrorCode.UNSUPPORTED_PROCESSING_ID, "not P, T or D", msh.location(11))
    if msh[12].value not in VERSIONS:
        raise Hl7Error(ErrorCode.UNSUPPORTED_VERSION_ID, "only 2.3 to 2.8 are read", msh.location(12))
    if not msh[10].value.strip():
        raise Hl7Error(ErrorCode.REQUIRED_FIELD_MISSING, "no message control id", msh.location(10))
    try:
        sent_at = read_timestamp(msh[7].value, site_zone)
    except TimestampError:
        sent_at = None
    return Header(
        sending_application=msh[3].value,
        sending_facility=msh[4].value,
        sent_at=sent_at,
        message_type=kind,
        trigger_event=event,
        control_id=msh[10].value.strip(),
    )


def read(message: Message, site_zone: tzinfo) -> Report:
    """The report in a message. Times without an offset are in the zone of MSH-7 if it has one, else in `site_zone`.

    Raises Hl7Error where the message is of another kind, or has no patient, several, or no order.
    """
    header = read_header(message.first("MSH"), site_zone)
    patient = message.first("PID")
    if len(message.all("PID")) > 1:
        raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "more than one patient in a message", Location("PID", 2))
    message.first("OBR")
    return _Reading(header, site_zone).read(message, patient)


@dataclass
class _OpenOrder:
    """An order while its segments are still coming."""

    order: Order
    specimens: list[Specimen] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def close(self) -> Order:
        return replace(
            self.order,
            specimens=tuple(self.specimens),
            observations=tuple(self.observations),
            notes=tuple(self.notes),
        )


class _Reading:
    """One pass over the segments of a message."""

    def __init__(self, header: Header, site_zone: tzinfo) -> None:
        self.header = header
        # An offset in MSH-7 is the default of the whole message (HL7 v2 chapter 2A, DTM).
        self.zone: tzinfo = (header.sent_at and header.sent_at.offset) or site_zone
        self.orders: list[_OpenOrder] = []
        self.order: _OpenOrder | None = None
        self.group_specimens: list[Specimen] = []
        self.specimens: list[Specimen] = []
        self.others: list[Observation] = []
        self.notes: list[str] = []
        self.about: Literal["result", "specimen", "patient"] = "patient"
        self.annotate: Callable[[str], None] = self.notes.append
        self.unread: list[Unread] = []
        self.fields_unread: set[tuple[str, int]] = set()

    def read(self, message: Message, patient: Segment) -> Report:
        for segment in message.segments:
            self._take(segment)
        fields = (Unread(f"{name}-{number}", "field not read") for name, number in sorted(self.fields_unread))
        return Report(
            header=self.header,
            identifiers=tuple(_identifier(repetition) for repetition in patient[3].repetitions),
            orders=tuple(order.close() for order in self.orders),
            other_observations=tuple(self.others),
            specimens=tuple(self.specimens),
            notes=tuple(self.notes),
            unread=(*self.unread, *fields),
        )

    def _take(self, segment: Segment) -> None:
        match segment.name:
            case "OBR":
                self._open_order(segment)
            case "OBX":
                self._observation(segment)
            case "SPM":
                self._open_specimen(segment)
            case "NTE":
                self.annotate("\n".join(line.plain for line in segment[3].repetitions))
            case "PID":
                self.unread.append(Unread(str(segment.location()), "demographics are withheld"))
            case "MSH":
                if segment[7].text and self.header.sent_at is None:
                    self.unread.append(Unread(str(segment.location(7)), "not an HL7 timestamp", segment[7].text))
            case _:
                if segment.name in ("SAC", "INV") and self.order is not None:
                    self.about = "result"  # OUL^R24: after the container come the results
                self.unread.append(Unread(str(segment.location()), "segment not read"))
        read = _FIELDS_READ.get(segment.name)
        if read is not None:
            sent = (number for number, text in enumerate(segment.fields, 1) if text)
            self.fields_unread.update((segment.name, number) for number in sent if number not in read)

    def _open_order(self, obr: Segment) -> None:
        order = Order(
            sequence=obr.sequence,
            placer=_entity(obr[2]),
            filler=_entity(obr[3]),
            code=_coded(obr[4]),
            observed_at=self._time(obr, 7),
            received_at=self._time(obr, 14),
            reported_at=self._time(obr, 22),
            status=obr[25].value,
            specimens=(),
            observations=(),
            notes=(),
        )
        self.order = _OpenOrder(order, specimens=list(self.group_specimens))
        self.orders.append(self.order)
        self.about, self.annotate = "result", self.order.notes.append

    def _open_specimen(self, spm: Segment) -> None:
        collected = spm[17][1].value
        specimen = Specimen(
            identifier=_specimen_identifier(spm[2]),
            kind=_coded(spm[4]),
            collected_at=self._read_time(collected, spm, 17),
            received_at=self._time(spm, 18),
        )
        self.specimens.append(specimen)
        if self.header.trigger_event in ("R22", "R23"):
            self.group_specimens, self.order = [specimen], None  # specimen first, its orders after it
        elif self.order is not None:
            self.order.specimens.append(specimen)
        # Many senders put SPM before the results of an ORU, where the standard has it after them.
        results_to_come = self.header.message_type == "ORU" and self.order and not self.order.observations
        self.about = "result" if results_to_come else "specimen"
        self.annotate = self.notes.append

    def _observation(self, obx: Segment) -> None:
        value_type = obx[2].value
        observation = Observation(
            sequence=obx.sequence,
            about=self.about,
            value_type=value_type,
            code=_coded(obx[3]),
            sub_id=obx[4].plain,
            values=tuple(self._value(repetition, value_type, obx) for repetition in _sent(obx[5])),
            is_null=obx[5].is_null,
            unit=_unit(obx[6]),
            reference_range=read_range(obx[7].plain),
            flags=tuple(repetition[1].value for repetition in obx[8].repetitions),
            status=obx[11].value,
            observed_at=self._time(obx, 14),
            analysed_at=self._time(obx, 19),
            method=_coded(obx[17]),
        )
        if not observation.code.code:
            self.unread.append(Unread(str(obx.location(3)), "no observation identifier"))
        siblings = self.others if self.order is None else self.order.observations
        siblings.append(observation)
        index = len(siblings) - 1

        def annotate(note: str) -> None:
            siblings[index] = replace(siblings[index], notes=(*siblings[index].notes, note))

        self.annotate = annotate

    def _value(self, repetition: Repetition, value_type: str, obx: Segment) -> Value:
        if value_type in _CODED_TYPES:
            coded = _coded(repetition)
            return Value(repetition.text, coded.text or coded.code, coded=coded)
        number = None
        if value_type == "SN":
            number = read_structured_numeric([component.value for component in repetition.components])
        elif value_type in ("NM", "ST", ""):
            number = read_number(repetition.plain)
        if value_type in _NUMERIC_TYPES and number is None and repetition.text:
            self.unread.append(Unread(str(obx.location(5)), "not a single number", repetition.text))
        return Value(repetition.text, repetition.plain, number)

    def _time(self, segment: Segment, number: int) -> Timestamp | None:
        return self._read_time(segment[number].value, segment, number)

    def _read_time(self, text: str, segment: Segment, number: int) -> Timestamp | None:
        """None where no time was sent; one that cannot be read is listed."""
        if not text:
            return None
        try:
            return read_timestamp(text, self.zone)
        except TimestampError as error:
            self.unread.append(Unread(str(segment.location(number)), str(error), text))
            return None


def _sent(field_: Field) -> tuple[Repetition, ...]:
    return () if field_.is_null else field_.repetitions


def _coded(element: Field | Repetition) -> Coded:
    """CE and CWE: triples at components 1, 4 and, from v2.7 on, 10; the original text at 9."""
    if not element.text:
        return Coded()
    parts = [component.value for component in element.components]
    parts += [""] * (12 - len(parts))
    triples = (Coding(*parts[at : at + 3]) for at in (0, 3, 9))
    return Coded(tuple(coding for coding in triples if coding.code or coding.text), parts[8])


def _unit(field_: Field) -> Coded:
    """OBX-6. A unit such as 10^9/L, sent without escaping the ^, falls apart into components and is put together."""
    power, rest = field_[1].value, field_[2].value
    if power in ("10", "x10", "X10") and rest[:1].isdigit():
        return Coded((Coding(f"{power}^{rest}"),))
    return _coded(field_)


def _identifier(element: Repetition) -> Identifier:
    authority = element[4]
    return Identifier(
        value=element[1].value.strip(),
        authority=authority.subcomponent(1),
        authority_id=authority.subcomponent(2),
        kind=element[5].value,
    )


def _entity(field_: Field) -> EntityIdentifier:
    return EntityIdentifier(field_[1].value, field_[2].value)


def _specimen_identifier(field_: Field) -> EntityIdentifier:
    """SPM-2 is a pair of entity identifiers: the placer's, then the filler's, which is the laboratory's own."""
    placer, filler = field_[1], field_[2]
    own = filler if filler.value else placer
    return EntityIdentifier(own.value, own.subcomponent(2))
