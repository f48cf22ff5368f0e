"""Decides what a report in JSON says: its results in the trial's terms, or what of it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from services.labs.commands import REPORTS_MAX, LabReport, RecordLabReport, ReportedResult
from services.labs.domain import UNREADABLE
from services.labs.grading import Criteria
from services.labs.normalization import Fault, SentResult, read_results, reason_of, tables_read_by
from services.labs.recognition import content_digest, message_key, order_key
from shared.eventstore.record import format_instant
from shared.problems import IN_FUTURE, INVALID, Problem
from shared.protocol.language import site_of


def read_report(body: LabReport, latest: datetime, criteria: Criteria) -> RecordLabReport:
    """The command to record the report, its values graded by the criteria.

    `latest` is the last instant that is not the future. Raises a Problem: IN_FUTURE, or that of the first result that
    cannot be read, naming all that cannot.
    """
    for at in (body.collected_at, body.reported_at):
        if at > latest:
            raise IN_FUTURE(f"{format_instant(at)} is after {format_instant(latest)}.")
    sender = body.sender
    site = site_of(body.subject)
    number = body.order or format_instant(body.collected_at)
    order = order_key(body.subject, sender.application, sender.facility, number)
    sent = [_sent(index, result, body.collected_at, order) for index, result in enumerate(body.results)]
    results, faults = read_results(sent, latest, criteria)
    if faults:
        raise _unreadable(body, faults)
    return RecordLabReport(
        occurred_at=body.occurred_at or body.collected_at,
        reason=body.reason or reason_of(result.status for result in results),
        subject=body.subject,
        site=site,
        message_key=message_key(site, sender.application, sender.facility, body.message_id),
        digest=content_digest(body.model_dump_json().encode()),
        source="json",
        sender=sender,
        message_id=body.message_id,
        tables=tables_read_by(criteria),
        reported_at=body.reported_at,
        results=results,
    )


def _sent(index: int, result: ReportedResult, collected_at: datetime, order: str) -> SentResult:
    codings = []
    if result.code is not None:
        codings.append(("", result.code))
    if result.loinc is not None:
        codings.append(("LN", result.loinc))
    return SentResult(
        number=index,
        codings=tuple(codings),
        text=None if result.value is None else format(result.value, "f"),
        value=result.value,
        comparator=result.comparator,
        unit=result.unit,
        status=result.status,
        collected_at=collected_at,
        order=order,
        reference_low=result.reference_low,
        reference_high=result.reference_high,
    )


def _unreadable(body: LabReport, faults: tuple[Fault, ...]) -> Problem:
    errors = [
        {
            "at": f"results/{fault.number}/{fault.kind.part}",
            "code": fault.kind.code,
            "sent_code": body.results[fault.number].code or body.results[fault.number].loinc,
            "message": fault.text,
        }
        for fault in faults
    ]
    first = errors[0]
    return UNREADABLE[faults[0].kind.code](f"{first['at']} ({first['sent_code']}): {first['message']}", errors=errors)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A report without the shape that it needs, and where it lacks it: pydantic's errors, without what was sent."""

    errors: list[dict[str, str]]

    def problem(self) -> Problem:
        first = self.errors[0]
        return INVALID(f"{first['at']}: {first['message']}", errors=self.errors)


class _OneOrMany:
    """Reads one report or a list of them into a list; what is wrong with one does not cost the others."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        report = handler.generate_schema(LabReport)
        each = core_schema.no_info_wrap_validator_function(_report_or_malformed, report)
        many = core_schema.list_schema(each, min_length=1, max_length=REPORTS_MAX)
        return core_schema.no_info_before_validator_function(
            lambda sent: sent if isinstance(sent, list) else [sent],
            many,
            json_schema_input_schema=core_schema.union_schema([report, many]),
        )


def _report_or_malformed(sent: object, read: ValidatorFunctionWrapHandler) -> LabReport | Malformed:
    try:
        report: LabReport = read(sent)
    except ValidationError as error:
        return Malformed(
            [
                {"at": "/".join(map(str, each["loc"])), "code": each["type"], "message": each["msg"]}
                for each in error.errors(include_url=False, include_context=False, include_input=False)
            ]
        )
    return report


Reports = Annotated[list[LabReport | Malformed], _OneOrMany()]
"""The body of a request: a report, or a list of reports."""
