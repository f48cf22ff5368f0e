"""The rules of what becomes of a laboratory's report: recorded once, versioned by result, or quarantined.

Pure functions: nothing here reads a clock, draws a number or touches a database. The order of the rules:

1. The same message again (same sender, id and content) comes to what it came to before.
2. Another content under a known message id is refused (HL7 table 0357, condition 205).
3. A report of JSON is recorded whole or refused. Of a message of HL7 v2 or FHIR, what can be read of a known subject is
   recorded and the rest quarantined; without a known subject all of it is. Nothing is lost and nothing guessed.
4. A result's later word is a new version. It counts, unless a weightier one stands already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.labs.commands import RecordLabReport, ReleaseMessage
from services.labs.events import (
    Ground,
    LabMessageQuarantined,
    LabMessageRefused,
    LabMessageReleased,
    LabReportRecorded,
    LabResult,
    Place,
    Sealed,
    Superseded,
    message_tag,
    order_tag,
)
from services.labs.hl7_errors import ErrorCode
from services.labs.normalization import FAULT_KINDS, ReadResult
from services.randomization.events import SubjectScreened
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import UNKNOWN_SUBJECT, Refusal, refusal
from shared.protocol.language import site_of

MESSAGE_ID_REUSED = refusal(
    "message-id-reused", 409, "The sender has used this message id before, with another content."
)
ALREADY_RELEASED = refusal("message-already-released", 409, "The quarantined message has been released already.")
ERASED = refusal("message-erased", 410, "The quarantined message has been erased together with its key.")
STILL_UNREADABLE = refusal("message-still-unreadable", 409, "The quarantined message cannot be read this way either.")
UNKNOWN_QUARANTINE = refusal("unknown-quarantine", 404, "No message is quarantined under this number.")

UNREADABLE: dict[str, Refusal] = {kind.code: refusal(kind.code, 422, kind.title) for kind in FAULT_KINDS}
"""Why a result cannot be read, by the code of its fault."""

NO_SUBJECT = Ground(
    code="unknown-subject",
    condition=ErrorCode.UNKNOWN_KEY_IDENTIFIER,
    text="No subject of this site bears an identifier of the message.",
    place=Place(segment="PID", sequence=1, field=3),
)

ABOUT_MESSAGE = tuple(
    event.name for event in (LabReportRecorded, LabMessageQuarantined, LabMessageReleased, LabMessageRefused)
)


class RecordedBefore(Exception):  # noqa: N818 (it is no error: the caller answers with what stands recorded)
    """The very message came before: what was recorded then is the answer now."""

    def __init__(self, earlier: tuple[Recorded, ...]) -> None:
        super().__init__("the message came before")
        self.earlier = earlier


class ResultsStand(Exception):  # noqa: N818 (it is no error: the caller answers that they stand)
    """Every result of the message was to be recorded only where none stands, and all of them do."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a result stands: the version that counts, since which report, where it is recorded, and the last version."""

    counts: LabResult
    position: int
    reported_at: datetime | None
    last_version: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a message is decided on: whether its subject is known, what it came to before, how its results stand."""

    message_key: str
    subject_known: bool = False
    earlier: tuple[Recorded, ...] = ()
    released: frozenset[int] = frozenset()
    results: Mapping[str, Standing] = field(default_factory=dict)


def boundary(command: RecordLabReport) -> Query:
    """The subject's screening, everything about the message, and the reports of the same orders; nothing else."""
    orders = dict.fromkeys(result.order for result in command.results)
    items = [QueryItem(types=ABOUT_MESSAGE, tags=(message_tag(command.message_key),))]
    items += [QueryItem(types=(LabReportRecorded.name,), tags=(order_tag(order),)) for order in orders]
    if command.subject is not None:
        items.append(QueryItem(types=(SubjectScreened.name,), tags=(f"subject:{command.subject}",)))
    return Query(tuple(items))


def evolve(ledger: Ledger, recorded: Recorded) -> Ledger:
    """The ledger after one more event."""
    match recorded.event:
        case SubjectScreened():
            return replace(ledger, subject_known=True)
        case LabReportRecorded(message_key=message_key, released_from=released_from) as report:
            earlier = (recorded,) if message_key == ledger.message_key and released_from is None else ()
            results = {**ledger.results, **_stand(ledger.results, report, recorded.position)}
            return replace(ledger, earlier=ledger.earlier + earlier, results=results)
        case LabMessageQuarantined() | LabMessageRefused():
            return replace(ledger, earlier=(*ledger.earlier, recorded))
        case LabMessageReleased(quarantine=quarantine):
            return replace(ledger, released=ledger.released | {quarantine})
        case _:
            return ledger


def _stand(known: Mapping[str, Standing], report: LabReportRecorded, position: int) -> dict[str, Standing]:
    """How the results of a report stand after it."""
    standing = {}
    for result in report.results:
        before = known.get(result.key)
        if result.current or before is None:
            standing[result.key] = Standing(result, position, report.reported_at, result.version)
        else:
            standing[result.key] = replace(before, last_version=result.version)
    return standing


def record_report(command: RecordLabReport, ledger: Ledger) -> Sequence[Event]:
    """A report of JSON: recorded whole, or refused."""
    _require_new(command, ledger)
    if ledger.earlier:
        raise MESSAGE_ID_REUSED(message_id=command.message_id, position=ledger.earlier[0].position)
    if command.subject is None or not ledger.subject_known:
        raise UNKNOWN_SUBJECT(subject=command.subject)
    return [_report(command, command.subject, ledger)]


def record_message(command: RecordLabReport, ledger: Ledger) -> Sequence[Event]:
    """A message of HL7 v2 or FHIR: what can be read is recorded, the rest quarantined; no message id is used twice."""
    _require_new(command, ledger)
    all_of_it, command = command, _without_standing(command, ledger)
    sealed = _sealed(command)
    if ledger.earlier:
        return [
            LabMessageRefused(
                site=command.site,
                message_key=command.message_key,
                digest=command.digest,
                source=command.source,
                sender=command.sender,
                message_id=command.message_id,
                earlier=ledger.earlier[0].position,
                sealed=sealed,
            )
        ]
    subject = command.subject if ledger.subject_known else None
    if subject is None:
        return [_quarantine(command, None, (_no_subject(command), *command.grounds), None, sealed)]
    events: list[Event] = []
    if command.results or not command.grounds:
        events.append(_report(command, subject, ledger))
    if command.grounds:
        quarantined = command.quarantined if events or command is not all_of_it else None
        events.append(_quarantine(command, subject, command.grounds, quarantined, sealed))
    return events


def _without_standing(command: RecordLabReport, ledger: Ledger) -> RecordLabReport:
    """The command without results that are only recorded where none stands. Raises ResultsStand where none is left."""
    standing = {each.number for each in command.results if each.key in ledger.results} & command.if_none_exist
    if not standing:
        return command
    results = tuple(each for each in command.results if each.number not in standing)
    if not results and not command.grounds:
        raise ResultsStand
    return command.model_copy(update={"results": results})


def _no_subject(command: RecordLabReport) -> Ground:
    """The ground that the subject is unknown, with the place where the message would name it."""
    if command.subject_expression is None:
        return NO_SUBJECT
    return NO_SUBJECT.model_copy(update={"place": None, "expression": command.subject_expression})


def release(command: ReleaseMessage, ledger: Ledger) -> Sequence[Event]:
    """What was quarantined is recorded, once and whole; while any of it cannot be read, all of it stays quarantined."""
    if command.quarantine in ledger.released:
        raise ALREADY_RELEASED(quarantine=command.quarantine)
    subject = command.subject
    known = subject is not None and ledger.subject_known and site_of(subject) == command.site
    grounds = command.grounds if known else (_no_subject(command), *command.grounds)
    if subject is None or grounds:
        raise STILL_UNREADABLE(
            grounds[0].text, grounds=[ground.model_dump(mode="json", exclude_none=True) for ground in grounds]
        )
    released = LabMessageReleased(
        quarantine=command.quarantine,
        subject=subject,
        site=command.site,
        message_key=command.message_key,
        codes=command.mapping.codes,
        units=command.mapping.units,
    )
    return [released, _report(command, subject, ledger, released_from=command.quarantine)]


def _require_new(command: RecordLabReport, ledger: Ledger) -> None:
    """Raise RecordedBefore where this very content came before."""
    same = tuple(recorded for recorded in ledger.earlier if _digest(recorded.event) == command.digest)
    if same:
        raise RecordedBefore(same)


def _digest(event: Event) -> str:
    match event:
        case LabReportRecorded() | LabMessageQuarantined() | LabMessageRefused():
            return event.digest
        case _:
            return ""


def _sealed(command: RecordLabReport) -> Sealed:
    if command.sealed is None:
        raise ValueError("a message is sealed before it is decided about")
    return command.sealed


def _quarantine(
    command: RecordLabReport,
    subject: str | None,
    grounds: tuple[Ground, ...],
    quarantined: tuple[int, ...] | None,
    sealed: Sealed,
) -> LabMessageQuarantined:
    return LabMessageQuarantined(
        subject=subject,
        site=command.site,
        message_key=command.message_key,
        digest=command.digest,
        source=command.source,
        sender=command.sender,
        message_id=command.message_id,
        grounds=grounds,
        quarantined=quarantined,
        tables=command.tables,
        sealed=sealed,
    )


def _report(
    command: RecordLabReport, subject: str, ledger: Ledger, released_from: int | None = None
) -> LabReportRecorded:
    return LabReportRecorded(
        subject=subject,
        site=site_of(subject),
        message_key=command.message_key,
        digest=command.digest,
        source=command.source,
        sender=command.sender,
        message_id=command.message_id,
        reported_at=command.reported_at,
        orders=tuple(dict.fromkeys(result.order for result in command.results)),
        results=tuple(
            next_version(result, command.reported_at, ledger.results.get(result.key)) for result in command.results
        ),
        tables=command.tables,
        unread=command.unread,
        sealed=command.sealed,
        released_from=released_from,
    )


def next_version(read: ReadResult, reported_at: datetime | None, standing: Standing | None) -> LabResult:
    """The version of a result that a report adds to those that stand.

    A correction without an earlier result is a first version: the sender may have been restarted. A final value that
    differs from a final one is taken as the correction that it was not called, and marked.
    """
    counts = standing is None or not _is_late(read, reported_at, standing)
    supersedes = None
    if standing is not None and counts:
        supersedes = Superseded(position=standing.position, version=standing.counts.version)
    return LabResult(
        key=read.key,
        version=standing.last_version + 1 if standing else 1,
        code=read.code,
        value=read.value,
        unit=read.unit,
        comparator=read.comparator,
        status=read.status,
        collected_at=read.collected_at,
        reference_low=read.reference_low,
        reference_high=read.reference_high,
        grade=read.grade,
        flag=read.flag,
        as_sent=read.as_sent,
        current=counts,
        discrepancy=standing is not None and _is_unflagged_change(read, standing.counts),
        supersedes=supersedes,
    )


def _is_late(read: ReadResult, reported_at: datetime | None, standing: Standing) -> bool:
    """Whether a weightier version stands: a final one against a preliminary, else the one that was reported later."""
    if (read.status == "P") != (standing.counts.status == "P"):
        return read.status == "P"
    return reported_at is not None and standing.reported_at is not None and reported_at < standing.reported_at


def _is_unflagged_change(read: ReadResult, counts: LabResult) -> bool:
    """A final result after a settled one, with another value."""
    if read.status != "F" or counts.status == "P":
        return False
    return (read.value, read.comparator) != (counts.value, counts.comparator)


def _ledger(command: RecordLabReport) -> Ledger:
    return Ledger(message_key=command.message_key)


REPORT: Decider[RecordLabReport, Ledger] = Decider(boundary, _ledger, evolve, record_report)
MESSAGE: Decider[RecordLabReport, Ledger] = Decider(boundary, _ledger, evolve, record_message)
RELEASE: Decider[ReleaseMessage, Ledger] = Decider(boundary, _ledger, evolve, release)
