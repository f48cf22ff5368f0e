"""The `eventsourcing` library on PostgreSQL: its connections, and its way of projecting, one transaction an event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import singledispatchmethod
from typing import Any

import orjson
from eventsourcing.dcb.api import DCBEvent
from eventsourcing.dcb.application import DCBApplication
from eventsourcing.dcb.domain import Tagged
from eventsourcing.dcb.persistence import DCBMapper
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict

from services.labs.events import LabReportRecorded
from shared.clock import system_clock
from shared.events import decode_data
from shared.eventstore.model import NewEvent
from shared.eventstore.record import seal


@contextmanager
def datastore(database_url: str, *, connections: int) -> Iterator[PostgresDatastore]:
    """The library's pool of so many connections, in the schema public, outside which its DCB functions fail."""
    at = _address(database_url)
    with PostgresDatastore(
        *at.values(), pool_size=connections, max_overflow=0, max_waiting=connections, schema="public"
    ) as store:
        yield store


def _address(database_url: str) -> dict[str, str]:
    given = conninfo_to_dict(database_url)
    return {
        "DBNAME": str(given["dbname"]),
        "HOST": str(given["host"]),
        "PORT": str(given.get("port") or 5432),
        "USER": str(given["user"]),
        "PASSWORD": str(given.get("password") or "trusted"),
    }


class Reports(DCBApplication):
    """The library's application over a log of our records."""


class RecordMapper(DCBMapper[Any]):
    """Reads our records into our events, so that both ways of projecting begin with the same work."""

    def to_dcb_event(self, event: Tagged[Any]) -> DCBEvent:
        raise NotImplementedError("records are appended as they are")

    def to_domain_event(self, event: DCBEvent) -> Tagged[Any]:
        document = orjson.loads(event.data)
        return Tagged(event.tags, decode_data(document["type"], document["version"], document["data"]))


class ResultsView(PostgresTrackingRecorder):
    """The same table as ours, written by one statement of plain SQL."""

    def put(self, report: LabReportRecorded, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            for result in report.results:
                cursor.execute(_UPSERT, _row(report, result.model_dump(), tracking.notification_id), prepare=True)
            self._insert_tracking(cursor, tracking)


class ResultsProjection(Projection[ResultsView]):
    """Puts each report into the view as it is recorded."""

    topics = (LabReportRecorded.name,)

    @singledispatchmethod
    def process_event(self, domain_event: Tagged[Any], tracking: Tracking) -> None:
        self.view.put(domain_event.decision, tracking)


def fill(database_url: str, events: Sequence[NewEvent]) -> None:
    """Append the records of these events to the library's log."""
    with Reports(_environment(database_url)) as application:
        records = [DCBEvent(event.type, seal(event.document, system_clock()), list(event.tags)) for event in events]
        application.recorder.append(records)


@contextmanager
def projecting(database_url: str) -> Iterator[ResultsView]:
    """The library's runner at work, on its thread, from where it was stopped before."""
    with ProjectionRunner(
        application_class=Reports,
        projection_class=ResultsProjection,
        view_class=ResultsView,
        env=_environment(database_url),
    ) as runner:
        yield runner.view


def _environment(database_url: str) -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "eventsourcing.dcb.postgres_tt",
        f"{ResultsProjection.name.upper()}_PERSISTENCE_MODULE": "eventsourcing.postgres",
        "MAPPER_TOPIC": f"{__name__}:{RecordMapper.__name__}",
        **{f"POSTGRES_{name}": value for name, value in _address(database_url).items()},
    }


_COLUMNS = (
    "key", "version", "subject", "code", "value", "unit", "comparator", "collected_at", "reported_at", "status",
    "current", "discrepancy", "reference_low", "reference_high", "grade", "flag", "sent_code", "sent_value",
    "sent_unit", "source", "sender_application", "sender_facility", "message_id", "position",
)  # fmt: skip
_UPSERT = f"""
INSERT INTO labs.result ({", ".join(_COLUMNS)}) VALUES ({", ".join(f"%({name})s" for name in _COLUMNS)})
ON CONFLICT (key, version) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[2:])}
"""


def _row(report: LabReportRecorded, result: dict[str, Any], position: int) -> dict[str, Any]:
    sent = result["as_sent"]
    return {
        **result,
        "subject": report.subject,
        "reported_at": report.reported_at,
        "sent_code": sent["code"],
        "sent_value": sent["value"],
        "sent_unit": sent["unit"],
        "source": report.source,
        "sender_application": report.sender.application,
        "sender_facility": report.sender.facility,
        "message_id": report.message_id,
        "position": position,
    }
