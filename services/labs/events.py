"""What laboratories reported about subjects, and what became of messages that could not be read.

The service's published language. A result is known again by its `key`; each word on it is a new version, and of all
versions with one key the last that is `current` counts. Nothing here identifies a person: raw messages stand sealed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from services.labs.grading import Flag
from services.labs.numerics import Comparator
from shared.clock import Instant
from shared.events import Event, upcaster
from shared.protocol.language import AnalyteCode, Measurement, SiteId, SubjectId

Source = Literal["json", "hl7v2", "fhir"]

ResultStatus = Literal["P", "F", "C", "X", "D", "W"]
"""HL7 table 0085: preliminary, final, corrected, not obtainable, deleted, of the wrong patient."""


LABEL_LENGTH_MAX = 100

Label = Annotated[str, StringConstraints(max_length=LABEL_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A short text without control characters: a name, an identifier, a code or a unit as a laboratory writes it."""


class Part(BaseModel):
    """The base of what events hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Sender(Part):
    """The system that a report comes from: MSH-3 and MSH-4 in HL7 v2, which may leave the facility empty."""

    application: Annotated[Label, StringConstraints(min_length=1)]
    facility: Label


class Sealed(Part):
    """A raw message under the data key of `holder`, a tag such as `subject:01-001` or `site:01`."""

    holder: str
    text: str


class Tables(Part):
    """The versions of the tables that a message was read by; each is named as its file is, ctcae is of the CTCAE."""

    analytes: str
    other_tests: str
    ctcae: str


class AsSent(Part):
    """Analyte code, value and unit as they stood in the message; `value` is None where none counts.

    What may not be told in clear is named by its place in the sealed message: `OBX[2]-3`.
    """

    code: str
    value: str | None
    unit: str


class Superseded(Part):
    """The version of a result that a later one takes the place of, and the position of its event."""

    position: int
    version: int


class LabResult(Part):
    """One version of a result. Value, limits, grade and flag are in the analyte's canonical `unit`.

    `value` is None for a result that is pending (P), was not obtainable (X), deleted (D) or of another patient (W).
    With a `comparator` the value is a bound, and has neither grade nor flag. `current` is false for a version that came
    when a weightier one stood already: a preliminary after a final, or an older report after a newer one.
    `discrepancy` marks a final value that changed without being called a correction.
    """

    key: str
    version: int
    code: AnalyteCode
    value: Measurement | None
    unit: str
    comparator: Comparator | None = None
    status: ResultStatus
    collected_at: Instant
    reference_low: Measurement | None = None
    reference_high: Measurement | None = None
    grade: int | None = None
    flag: Flag | None = None
    as_sent: AsSent
    current: bool = True
    discrepancy: bool = False
    supersedes: Superseded | None = None


def message_tag(message_key: str) -> str:
    """The tag of all that a message came to."""
    return f"message:{message_key}"


def order_tag(order: str) -> str:
    """The tag of the reports that hold results of an order (by its key)."""
    return f"order:{order}"


class LabReportRecorded(Event, name="lab-report-recorded", version=1, tags=("subject", "site")):
    """A laboratory reported results of a subject.

    `message_key` names the message by its sender and id, `digest` its content; `orders` are the keys of the orders that
    the results belong to, and tags too. `unread` counts the parts of the message that are no result of the trial: they
    stand in `sealed`. `tables` are those that all of the results were converted and graded by. `released_from` is the
    position of the quarantine that the report came out of.
    """

    subject: SubjectId
    site: SiteId
    message_key: str
    digest: str
    source: Source
    sender: Sender
    message_id: str
    reported_at: Instant | None
    orders: tuple[str, ...]
    results: tuple[LabResult, ...]
    tables: Tables
    unread: int = 0
    sealed: Sealed | None = None
    released_from: int | None = None

    def tags(self) -> tuple[str, ...]:
        """Those of the fields, and one for the message and each order: later words on them are decided within it."""
        return (*super().tags(), message_tag(self.message_key), *map(order_tag, self.orders))


class Place(Part):
    """Where in a message: the nth segment of a name, and a field of it."""

    segment: str
    sequence: int
    field: int | None = None


class Ground(Part):
    """Why a message, or one result of it, is quarantined: a stable code, its condition of HL7 table 0357, and where.

    Where is a `place` in a message of HL7 v2, and an `expression` (FHIRPath) in a resource of FHIR. `sent_code` (system
    and code) and `sent_unit` are what a mapping has to name: as sent, or by their place in the sealed message
    (`OBX[2]-3`, `Observation.code`) where they could be more than a code.
    """

    code: str
    condition: str
    text: str
    place: Place | None = None
    sent_system: str | None = None
    sent_code: str | None = None
    sent_unit: str | None = None
    expression: str | None = None


class LabMessageQuarantined(Event, name="lab-message-quarantined", version=2, tags=("subject", "site")):
    """A message, or some results of it, could not be read as the trial's and is quarantined, sealed, until
    it is released.

    `subject` is None where the message names no subject of the site. `quarantined` are the numbers of the results (of
    the OBX segments, in HL7 v2) that are, None for the whole message. `tables` are those that could not read them.
    """

    subject: SubjectId | None
    site: SiteId
    message_key: str
    digest: str
    source: Source
    sender: Sender
    message_id: str
    grounds: tuple[Ground, ...]
    quarantined: tuple[int, ...] | None
    tables: Tables
    sealed: Sealed

    def tags(self) -> tuple[str, ...]:
        """Those of the fields, and one for the message: what it comes to is decided within it."""
        return (*super().tags(), message_tag(self.message_key))


@upcaster("lab-message-quarantined", 1)
def _without_expressions(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew messages of HL7 v2 alone, whose places are no FHIRPath."""
    return data | {"grounds": [ground | {"expression": None} for ground in data["grounds"]]}


class LabMessageReleased(Event, name="lab-message-released", version=1, tags=("subject", "site")):
    """A quarantined message was read again, as `subject`'s and with these aliases; the report is the next event.

    `codes` maps a code as sent to an analyte, or to None for what is none of the trial's; `units` a unit as sent to
    one that the analyte's list knows.
    """

    quarantine: int
    subject: SubjectId
    site: SiteId
    message_key: str
    codes: dict[str, AnalyteCode | None]
    units: dict[str, str]

    def tags(self) -> tuple[str, ...]:
        """Those of the fields, and one for the message: what it comes to is decided within it."""
        return (*super().tags(), message_tag(self.message_key))


class LabMessageRefused(Event, name="lab-message-refused", version=1, tags=("site",)):
    """A message bore the id of an earlier one of the same sender, at `earlier`, but another content."""

    site: SiteId
    message_key: str
    digest: str
    source: Source
    sender: Sender
    message_id: str
    earlier: int
    sealed: Sealed

    def tags(self) -> tuple[str, ...]:
        """Those of the fields, and one for the message: what it comes to is decided within it."""
        return (*super().tags(), message_tag(self.message_key))
