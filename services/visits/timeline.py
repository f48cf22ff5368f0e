"""What happened to a subject, in the order of occurrence: each event of the log that says something clinical, in short.

What was corrected stands as it is now: a week's symptoms and a day's laboratory once, with the position of the last
word on them. Evaluations are judgements that somebody made, and each stands; so does each word on an adverse event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from services.labs.events import LabReportRecorded, LabResult
from services.randomization.events import (
    ContactRegained,
    RandomizationMarkedInError,
    SubjectLostToFollowUp,
    SubjectRandomized,
    SubjectRandomizedTwice,
    SubjectWithdrawn,
    WrongTreatmentGiven,
)
from services.visits.answers_views import Moment, MomentKind
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    CiclosporinDoseAdvised,
    CiclosporinDosed,
    EvaluationInputsChanged,
    InfusionSafetyChecked,
    ItemMissed,
    ProductInfused,
    ProtocolDeviationRecorded,
    SafetyReportSubmitted,
    SecondDoseEligible,
    SecondDoseIneligible,
    StatusReason,
    SubjectEvaluated,
    SymptomsScored,
    TransfusionGiven,
)
from services.visits.followed import change_of_standing
from services.visits.partial_dates import earliest, latest
from shared.events import Event, Recorded
from shared.protocol import Protocol

NEEDS: tuple[type[Event], ...] = (
    SubjectLostToFollowUp,
    ContactRegained,
    ProductInfused,
    InfusionSafetyChecked,
    CiclosporinDosed,
    SymptomsScored,
    TransfusionGiven,
    AdverseEventReported,
    SubjectEvaluated,
    EvaluationInputsChanged,
    SecondDoseEligible,
    SecondDoseIneligible,
    LabReportRecorded,
    AdverseEventFollowedUp,
    AdverseEventNullified,
    SafetyReportSubmitted,
    CiclosporinDoseAdvised,
    RandomizationMarkedInError,
    WrongTreatmentGiven,
    SubjectRandomizedTwice,
    ItemMissed,
    ProtocolDeviationRecorded,
)
"""What a timeline tells, besides the subject's standing."""

SYMPTOMS = ("fatigue", "dyspnoea", "pallor", "palpitations", "dizziness")


@dataclass(frozen=True, slots=True)
class Said:
    """What an event says: when, of which kind, in short."""

    at: datetime
    kind: MomentKind
    label: str
    position: int
    detail: str | None = None


def timeline(protocol: Protocol, site: str, day_0: date | None, history: Sequence[Recorded]) -> tuple[Moment, ...]:
    """All that is known to have happened to a subject of a site, in the order of occurrence, then of recording."""
    moments = []
    for said in (
        *_events(protocol, site, history),
        *_death(history),
        *_weeks(history),
        *_laboratory(protocol, site, history),
    ):
        on = protocol.civil_date(said.at, site)
        moments.append(
            Moment(
                at=said.at.astimezone(UTC),
                on=on,
                day=None if day_0 is None else (on - day_0).days,
                kind=said.kind,
                label=said.label,
                detail=said.detail,
                position=said.position,
            )
        )
    return tuple(sorted(moments, key=lambda moment: moment.cursor))


def page_after(moments: Sequence[Moment], after: str | None, limit: int) -> tuple[tuple[Moment, ...], str | None]:
    """Those after a cursor, at most `limit`, and the cursor of the next page, if there is one."""
    rest = [moment for moment in moments if after is None or moment.cursor > after]
    return tuple(rest[:limit]), rest[limit - 1].cursor if len(rest) > limit else None


def _events(protocol: Protocol, site: str, history: Iterable[Recorded]) -> Iterator[Said]:
    """What each event says by itself."""
    for recorded in history:
        at, position = recorded.occurred_at, recorded.position
        match recorded.event:
            case SubjectRandomized(arm=arm):
                yield Said(at, "randomization", arm, position)
            case SubjectWithdrawn(scope=scope):
                yield Said(at, "withdrawal", scope, position)
            case SubjectLostToFollowUp():
                yield Said(at, "lost-to-follow-up", "lost", position)
            case ContactRegained():
                yield Said(at, "contact-regained", "regained", position)
            case AdverseEventReported() as event:
                yield from _adverse_event(protocol, site, recorded, event)
            case _:
                for said in (_treatment, _response, _case, _conduct):
                    yield from said(recorded)


def _conduct(recorded: Recorded) -> Iterator[Said]:
    """Where the subject's course departed from what was planned."""
    at, position = recorded.occurred_at, recorded.position
    match recorded.event:
        case RandomizationMarkedInError(cause=cause):
            yield Said(at, "allocation-error", cause, position)
        case WrongTreatmentGiven(received=received):
            yield Said(at, "allocation-error", f"received {received}", position)
        case SubjectRandomizedTwice(subject=later, duplicate_of=first):
            yield Said(at, "allocation-error", "randomized-twice", position, f"{later} is {first}")
        case ItemMissed(code=code):
            yield Said(at, "missed", code, position)
        case ProtocolDeviationRecorded(code=code, grade=grade):
            yield Said(at, "deviation", code, position, grade)


def _treatment(recorded: Recorded) -> Iterator[Said]:
    at, position = recorded.occurred_at, recorded.position
    match recorded.event:
        case ProductInfused(dose_number=number, cells_per_kg=cells_per_kg, deviation=deviation):
            detail = f"{cells_per_kg:f} cells/kg" + (", out of tolerance" if deviation else "")
            yield Said(at, "infusion", f"MSC-{number}", position, detail)
        case InfusionSafetyChecked(look=look):
            yield Said(at, "infusion-safety", look, position)
        case CiclosporinDosed(mg_per_kg_per_day=dose):
            yield Said(at, "ciclosporin", f"CSA {dose:f}", position, f"{dose:f} mg/kg/day")
        case CiclosporinDoseAdvised(advice=advice, ground=ground, analyte=analyte):
            yield Said(at, "ciclosporin-advice", advice, position, f"{analyte}, {ground}")
        case TransfusionGiven(component=component, units=units):
            yield Said(at, "transfusion", f"{component} ×{units}", position)


def _response(recorded: Recorded) -> Iterator[Said]:
    """What a policy concludes happens when it is recorded, whichever event it was that made it look."""
    at, position = recorded.occurred_at, recorded.position
    match recorded.event:
        case SubjectEvaluated(timepoint=timepoint, response=response, lineages=lineages):
            detail = ", ".join(f"{code} {status}" for code, status in lineages.items())
            yield Said(at, "evaluation", f"{timepoint} {response}", position, detail)
        case EvaluationInputsChanged(timepoint=timepoint, response=response, outcome_changed=True):
            yield Said(recorded.recorded_at, "evaluation-outdated", f"{timepoint} {response}", position)
        case SecondDoseEligible(because=because):
            yield Said(recorded.recorded_at, "second-dose", "eligible", position, _grounds(because))
        case SecondDoseIneligible(because=because):
            yield Said(recorded.recorded_at, "second-dose", "not-eligible", position, _grounds(because))


def _grounds(because: Iterable[StatusReason]) -> str:
    return ", ".join(dict.fromkeys(reason.code for reason in because))


def _adverse_event(protocol: Protocol, site: str, recorded: Recorded, event: AdverseEventReported) -> Iterator[Said]:
    """It stands at its onset: at the beginning, at the site, of the first day that a partial date may mean.

    A date that holds the day on which it happened says nothing else.
    """
    at, onset = recorded.occurred_at, event.onset_on
    if onset is not None and not earliest(onset) <= protocol.civil_date(at, site) <= latest(onset):
        at = datetime.combine(earliest(onset), time(), protocol.zone(site))
    yield Said(at, "adverse-event", _judged(event), recorded.position, event.term)


def _judged(event: AdverseEventReported | AdverseEventFollowedUp) -> str:
    return f"G{event.grade}" + (" serious" if event.serious else "")


def _case(recorded: Recorded) -> Iterator[Said]:
    """Later words on an adverse event, by when they came; the first stays as it was said."""
    at, position = recorded.occurred_at, recorded.position
    match recorded.event:
        case AdverseEventFollowedUp(adverse_event=number, outcome=outcome) as event:
            detail = f"of {number}" + (f", {outcome}" if outcome else "")
            yield Said(at, "adverse-event-follow-up", _judged(event), position, detail)
        case AdverseEventNullified(adverse_event=number):
            yield Said(at, "adverse-event-nullified", "nullified", position, f"of {number}")
        case SafetyReportSubmitted(adverse_event=number, report=report, clocks=clocks):
            late = ", late" if any(clock.late for clock in clocks) else ""
            yield Said(at, "safety-report", report, position, f"of {number}{late}")


def _death(history: Iterable[Recorded]) -> Iterator[Said]:
    """The death that is on record: the first that was told of, unless it was taken back since (`followed`)."""
    died: Recorded | None = None
    for recorded in history:
        change = change_of_standing(recorded)
        if "died_at" in change:
            died = None if change["died_at"] is None else died or recorded
    if died is not None:
        yield Said(died.occurred_at, "death", "died", died.position)


def _weeks(history: Iterable[Recorded]) -> Iterator[Said]:
    """The symptoms of each week, as scored last."""
    weeks = {
        recorded.event.week: (recorded, recorded.event)
        for recorded in history
        if isinstance(recorded.event, SymptomsScored)
    }
    for week, (recorded, event) in weeks.items():
        scores = ", ".join(f"{name} {getattr(event, name)}" for name in SYMPTOMS)
        yield Said(recorded.occurred_at, "symptoms", f"W{week}", recorded.position, scores)


def _laboratory(protocol: Protocol, site: str, history: Iterable[Recorded]) -> Iterator[Said]:
    """What was collected on each day, by the last word on every result: the analytes, by their codes."""
    results: dict[str, tuple[LabResult, int]] = {}
    for recorded in history:
        if isinstance(recorded.event, LabReportRecorded):
            results |= {each.key: (each, recorded.position) for each in recorded.event.results if each.current}
    days: dict[date, list[tuple[LabResult, int]]] = {}
    for result, position in results.values():
        if result.value is not None:
            days.setdefault(protocol.civil_date(result.collected_at, site), []).append((result, position))
    for found in days.values():
        codes = sorted({result.code for result, _ in found})
        yield Said(
            at=min(result.collected_at for result, _ in found),
            kind="laboratory",
            label=f"{len(codes)} analyte{'' if len(codes) == 1 else 's'}",
            position=max(position for _, position in found),
            detail=" ".join(codes),
        )
