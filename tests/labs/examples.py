"""A laboratory's reports of a subject as bodies, commands, messages and events, for the tests of several modules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.labs import hl7v2
from services.labs.commands import LabReport, RecordLabReport
from services.labs.events import LabReportRecorded, LabResult, Sealed, Tables
from services.labs.grading import CRITERIA
from services.labs.json_report import read_report
from tests.scenario import DAY_0

S = "01-001"
COLLECTED = datetime(2025, 12, 31, 0, 0, tzinfo=UTC)
REPORTED = COLLECTED + timedelta(hours=4)
SEALED = Sealed(holder="site:01", text="v1.c2VhbGVk")
TABLES = Tables(analytes="1.0", other_tests="1.0", ctcae="5.0")
SETTING = hl7v2.Setting(
    site="01", zone=ZoneInfo("Asia/Shanghai"), authority="MARROW", latest=DAY_0, criteria=CRITERIA["5.0"]
)


def hgb(value: object = "86", status: str = "F", **members: Any) -> dict[str, Any]:
    return {"code": "HGB", "value": value, "unit": "g/L", "status": status} | members


def body(*results: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A report in JSON, of haemoglobin unless it says otherwise."""
    return {
        "sender": {"application": "LIS", "facility": "LAB"},
        "message_id": "m1",
        "subject": S,
        "collected_at": COLLECTED.isoformat(),
        "reported_at": REPORTED.isoformat(),
        "results": list(results) or [hgb()],
    } | members


def report(*results: dict[str, Any], **members: Any) -> RecordLabReport:
    """The command that such a report becomes."""
    return read_report(LabReport.model_validate(body(*results, **members)), DAY_0, CRITERIA["5.0"])


def recorded(
    command: RecordLabReport, *versions: LabResult, subject: str = S, released_from: int | None = None, **members: Any
) -> LabReportRecorded:
    """The event that records a command, with these versions of its results (default: the first of each)."""
    return LabReportRecorded(
        subject=subject,
        site=subject[:2],
        message_key=command.message_key,
        digest=command.digest,
        source=command.source,
        sender=command.sender,
        message_id=command.message_id,
        reported_at=command.reported_at,
        orders=tuple(dict.fromkeys(result.order for result in command.results)),
        results=versions or tuple(version(command, number) for number in range(len(command.results))),
        tables=TABLES,
        unread=command.unread,
        sealed=command.sealed,
        released_from=released_from,
    ).model_copy(update=members)


def version(command: RecordLabReport, number: int = 0, **members: Any) -> LabResult:
    """The version that a result of a command becomes: the first, unless it says otherwise."""
    result = command.results[number]
    return LabResult(
        key=result.key,
        version=1,
        code=result.code,
        value=result.value,
        unit=result.unit,
        comparator=result.comparator,
        status=result.status,
        collected_at=result.collected_at,
        reference_low=result.reference_low,
        reference_high=result.reference_high,
        grade=result.grade,
        flag=result.flag,
        as_sent=result.as_sent,
    ).model_copy(update=members)


OBX_HGB = "NM|718-7^Hemoglobin^LN||8.6|g/dL|12 - 16|L|||F|||20251231080000"
OBX_PLT = "NM|777-3^Platelets^LN||62|10*3/uL|150 - 400|L|||F|||20251231080000"
OBX_HCT = "NM|20570-8^Hematocrit^LN||27|%|||||F|||20251231080000"
OBX_LOCAL = "NM|HB1^Haemoglobin^99LAB||8.6|g/dL|||||F|||20251231080000"
OBX_NO_UNIT = "NM|6690-2^WBC^LN||3.1||||||F|||20251231080000"


def oru(*observations: str, subject: str = S, control_id: str = "42", msh: str = "", filler: str = "F1") -> str:
    """An ORU^R01 of one order about a subject; each observation is an OBX from its field 2 on."""
    header = f"MSH|^~\\&|LIS|LAB|MARROW|01|20251231120000+0800||ORU^R01^ORU_R01|{control_id}|P|2.5.1{msh}"
    segments = [
        header,
        f"PID|1||{subject}^^^MARROW^PI~MRN77^^^HOSP^MR||Doe^Jane||19610615|F|||1 Long Street^^Tianjin",
        f"OBR|1||{filler}^LAB|58410-2^CBC^LN|||20251231080000|||||||||||||||20251231110000|||F",
        *(f"OBX|{number}|{text}" for number, text in enumerate(observations or (OBX_HGB,), start=1)),
    ]
    return "\r".join(segments) + "\r"


def message(*observations: str, **members: Any) -> RecordLabReport:
    """The command that such a message becomes, sealed."""
    return hl7v2.read_message(oru(*observations, **members), SETTING).model_copy(update={"sealed": SEALED})
