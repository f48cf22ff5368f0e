"""What may be asked of this service: to record a report or a message, to release one that is quarantined."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from services.labs.events import Ground, Label, ResultStatus, Sealed, Sender, Source, Tables
from services.labs.normalization import ReadResult
from services.labs.numerics import Comparator
from shared.clock import Instant
from shared.decision import Command
from shared.protocol.language import AnalyteCode, Measurement, SiteId, SubjectId, Text, Whole

REPORTS_MAX = 500
"""The most reports of one request."""

RESULTS_MAX = 200
"""The most results of one report."""

Name = Annotated[Label, StringConstraints(min_length=1)]


class ReportedResult(BaseModel):
    """One result as the laboratory measured it: an analyte by the trial's code or by LOINC, in any unit on its list."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"anyOf": [{"required": ["code"]}, {"required": ["loinc"]}]},
    )

    code: Annotated[Name | None, Field(description="The trial's code of the analyte, or a common name of it.")] = None
    loinc: Annotated[str | None, Field(pattern=r"^[0-9]{1,7}-[0-9]$")] = None
    value: Annotated[Measurement | None, Field(description="None for a result that was cancelled or deleted.")] = None
    comparator: Annotated[Comparator | None, Field(description="The value is a bound: `<` for below it.")] = None
    unit: Annotated[Label, Field(description="As the laboratory writes it; none is assumed.")] = ""
    status: Annotated[ResultStatus, Field(description="HL7 table 0085.")]
    reference_low: Annotated[Measurement | None, Field(description="In the unit of the value.")] = None
    reference_high: Annotated[Measurement | None, Field(description="In the unit of the value.")] = None


class LabReport(Command):
    """What a laboratory reports of one subject. Sender and message id make it known again when it is sent twice.

    A later word on a result comes in another report of the same sender, subject and `order`.
    """

    sender: Sender
    message_id: Name
    subject: SubjectId
    collected_at: Annotated[Instant, Field(description="When the specimen was taken.")]
    reported_at: Annotated[Instant, Field(description="When the laboratory reported.")]
    order: Annotated[
        Name | None, Field(description="The laboratory's number of the order; default: the time of collection.")
    ] = None
    results: Annotated[tuple[ReportedResult, ...], Field(min_length=1, max_length=RESULTS_MAX)]


class RecordLabReport(Command):
    """Record a report whose results have been read, and quarantine what could not be.

    `subject` is None where the message names none; `tables` are what it was read by; `grounds` are why something is
    quarantined, `quarantined` the numbers of the results that are, None for all of the message. `subject_expression` is
    where a resource of FHIR would name the subject; `if_none_exist` are the numbers of its results that are recorded
    only where none stands.
    """

    subject: SubjectId | None
    site: SiteId
    message_key: str
    digest: str
    source: Source
    sender: Sender
    message_id: str
    tables: Tables
    reported_at: Instant | None
    results: tuple[ReadResult, ...] = ()
    unread: int = 0
    grounds: tuple[Ground, ...] = ()
    quarantined: tuple[int, ...] | None = ()
    sealed: Sealed | None = None
    subject_expression: str | None = None
    if_none_exist: frozenset[int] = frozenset()


_NO_OTHERS: JsonDict = {"additionalProperties": False}
"""Said beside the pattern of the keys, without which a schema lets any other key through."""


class Mapping(BaseModel):
    """What codes and units of a quarantined message mean; `null` for a code that is none of the trial's."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    codes: Annotated[dict[Name, AnalyteCode | None], Field(max_length=RESULTS_MAX, json_schema_extra=_NO_OTHERS)] = {}
    units: Annotated[dict[Name, Name], Field(max_length=RESULTS_MAX, json_schema_extra=_NO_OTHERS)] = {}


class Release(Command):
    """Why a quarantined message is read again, whose it is, and what its codes and units mean."""

    reason: Text
    subject: Annotated[SubjectId | None, Field(description="Default: the one that the message names.")] = None
    mapping: Mapping = Mapping()


class ReleaseAll(Command):
    """Why the quarantined messages that a mapping settles are read again, and of which site."""

    reason: Text
    mapping: Mapping
    site: Annotated[SiteId | None, Field(description="Default: all sites of the caller.")] = None
    after: Annotated[Whole, Field(ge=0, le=2**53 - 1, description="Cursor: the `next` of the answer before.")] = 0


class ReleaseMessage(RecordLabReport):
    """Record what was quarantined at the position `quarantine`, as read with the mapping."""

    reason: Text
    quarantine: int
    mapping: Mapping
