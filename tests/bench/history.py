"""What stands in the logs of the benches: subjects that were screened, and reports of one result about each in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from services.labs.events import AsSent, LabReportRecorded, LabResult, Sender, Tables
from services.randomization.events import SubjectScreened
from shared.events import Event
from shared.eventstore.log import PostgresLog
from shared.eventstore.model import NewEvent
from shared.eventstore.record import format_instant

SUBJECTS = tuple(f"01-{number:03d}" for number in range(1, 501))
APPEND_EVENTS = 500
"""Events of one append, where a log is filled beforehand."""

AT = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
BY = {"id": "lis-1", "name": "Laboratory system", "role": "lab", "org": "Hospital"}


def new_event(
    event_type: str, tags: Sequence[str], data: dict[str, Any], *, version: int = 1, at: datetime = AT
) -> NewEvent:
    """An event with the envelope that every event of the services has."""
    document = {
        "id": uuid4().hex,
        "type": event_type,
        "version": version,
        "tags": tuple(tags),
        "occurred_at": format_instant(at),
        "by": BY,
        "reason": None,
        "trace": "5f1d3c7c2e0b4a6f8d9e1c2b3a4f5e6d",
        "cause": None,
        "key": None,
        "protocol": "1.0",
        "data": data,
    }
    return NewEvent(event_type, tuple(tags), document)


def of_today(event: Event, at: datetime = AT) -> NewEvent:
    """An event in its version of today."""
    data = event.model_dump(mode="json")
    return new_event(event.name, event.tags(), data, version=event.version, at=at)


def screening(subject: str) -> NewEvent:
    return of_today(SubjectScreened(subject=subject, site=subject[:2], birth_year=1960, sex="F"))


def report(number: int) -> NewEvent:
    """The report of that number: a first version of one haemoglobin."""
    message, order, key = f"{number:032x}", f"0{number:031x}", f"1{number:031x}"
    subject = SUBJECTS[number % len(SUBJECTS)]
    changes = {"subject": subject, "message_key": message, "message_id": f"m-{number}", "orders": (order,)}
    data = {**_REPORT, **changes, "results": ({**_REPORT["results"][0], "key": key},)}
    tags = (f"subject:{subject}", f"site:{subject[:2]}", f"message:{message}", f"order:{order}")
    return new_event(LabReportRecorded.name, tags, data)


async def fill(log: PostgresLog, reports: int) -> None:
    """Append the screenings of all subjects and so many reports."""
    await log.append([screening(subject) for subject in SUBJECTS])
    for numbers in _batches(reports):
        await log.append([report(number) for number in numbers])


def _batches(count: int) -> Iterator[range]:
    for first in range(0, count, APPEND_EVENTS):
        yield range(first, min(first + APPEND_EVENTS, count))


_REPORT: dict[str, Any] = LabReportRecorded(
    subject=SUBJECTS[0],
    site="01",
    message_key="",
    digest="db8d5cf4f6437c99cca6cd5c63c70f331288756c2900c62bc94212765db084d1",
    source="json",
    sender=Sender(application="LIS", facility="HOSPITAL"),
    message_id="",
    reported_at=AT,
    orders=(),
    results=(
        LabResult(
            key="",
            version=1,
            code="HGB",
            value=Decimal(86),
            unit="g/L",
            status="F",
            collected_at=AT,
            grade=2,
            as_sent=AsSent(code="HGB", value="8.6", unit="g/dL"),
        ),
    ),
    tables=Tables(analytes="1.0", other_tests="1.0", ctcae="5.0"),
).model_dump(mode="json")
