"""What may be recorded of adverse events: the report, what becomes known later, its reports, and that it is void.

Safety is followed in everybody who was randomized, also after a withdrawal, a loss or a death (ICH E2A). An adverse
event is named by the log position of its report. How an event is judged may change, and each change starts the clocks
that it calls for; what was due before stays due.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from services.visits import safety
from services.visits.commands_safety import (
    AboutAdverseEvent,
    FollowUpAdverseEvent,
    NullifyAdverseEvent,
    ReportAdverseEvent,
    SubmitSafetyReport,
)
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    ClockEnded,
    SafetyReportSubmitted,
)
from services.visits.partial_dates import earliest, latest
from services.visits.safety_case import SafetyCase, died_of
from services.visits.subject import Subject, require_randomized, subject_decider
from shared.chronology import require_not_before, require_since_start
from shared.decision import Decider
from shared.events import Event
from shared.problems import REASON_REQUIRED, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

SERIOUSNESS_INVALID = refusal(
    "seriousness-invalid", 422, "A serious event meets criteria of the protocol, any other event none."
)
ONSET_IMPLAUSIBLE = refusal(
    "onset-implausible", 422, "An adverse event begins in a subject's lifetime, and not after anybody knows of it."
)
RESOLUTION_IMPLAUSIBLE = refusal(
    "resolution-implausible", 422, "An adverse event ends after it began, and not after anybody knows of it."
)
UNKNOWN_ADVERSE_EVENT = refusal("unknown-adverse-event", 404, "No adverse event of the subject was reported there.")
NULLIFIED = refusal("adverse-event-nullified", 409, "The adverse event was reported in error and is void.")
UNCHANGED = refusal("adverse-event-unchanged", 409, "The follow-up says nothing that was not on record.")
REPORT_NOT_DUE = refusal("safety-report-not-due", 409, "No report of this kind is due for the adverse event.")

ENDED = frozenset({"recovered", "recovered-with-sequelae", "fatal"})
"""Outcomes that an event ends with: another one afterwards is a correction."""

JUDGED = ("grade", "serious", "seriousness_criteria", "related", "expected")

ABOUT_CASES = (AdverseEventReported, AdverseEventFollowedUp, AdverseEventNullified, SafetyReportSubmitted)
"""The events that tell a subject's cases."""


# The report.


def report_adverse_event(protocol: Protocol, command: ReportAdverseEvent, subject: Subject) -> Sequence[Event]:
    """Taken from anybody who was randomized.

    Raises SERIOUSNESS_INVALID where the criteria do not bear out what `serious` says, are none of the protocol's, or a
    fatal event is called not serious; ONSET_IMPLAUSIBLE for an onset that cannot be.
    """
    require_randomized(subject)
    require_since_start(protocol, site_of(command.subject), command.aware_at)
    _require_plausible_onset(protocol, command, subject)
    judged = safety.Assessment(**{name: getattr(command, name) for name in JUDGED})
    fatal = _require_borne_out(protocol, judged, command.outcome)
    due = safety.due(protocol, aware_at=command.aware_at, **_judged(judged))
    return [
        AdverseEventReported(
            site=site_of(command.subject),
            fatal=fatal,
            sponsor_by=due.sponsor_by,
            authority_on=due.authority_on,
            follow_up_on=due.follow_up_on,
            **command.model_dump(exclude={"occurred_at", "reason"}),
        )
    ]


def _judged(assessment: safety.Assessment) -> dict[str, Any]:
    return {name: getattr(assessment, name) for name in JUDGED}


def _require_borne_out(protocol: Protocol, judged: safety.Assessment, outcome: str | None) -> bool:
    """Whether the event is fatal. Raises SERIOUSNESS_INVALID where the criteria do not bear out the judgement."""
    rules, criteria = protocol.safety, set(judged.seriousness_criteria)
    if judged.serious != bool(criteria) or not criteria <= set(rules.seriousness_criteria):
        raise SERIOUSNESS_INVALID(criteria=list(rules.seriousness_criteria))
    fatal = judged.grade >= rules.fatal_grade or outcome == "fatal"
    if fatal and not judged.serious:
        raise SERIOUSNESS_INVALID("A fatal event is serious.", criteria=list(rules.seriousness_criteria))
    return fatal


def _require_plausible_onset(protocol: Protocol, command: ReportAdverseEvent, subject: Subject) -> None:
    """An event began in the subject's lifetime, of which the year of birth is known, and before anybody knew of it.

    It may have begun before consent: a condition at baseline that worsens (ICH E9 glossary, treatment emergent). A
    partial onset is refused where no day that it may mean is possible.
    """
    first = last = known_on = protocol.civil_date(command.at, subject.site)
    if command.onset_on is not None:
        first, last = earliest(command.onset_on), latest(command.onset_on)
        known_on = min(known_on, protocol.civil_date(command.aware_at, subject.site))
    if last.year < subject.birth_year or first > known_on:
        raise ONSET_IMPLAUSIBLE(earliest=f"{subject.birth_year:04}", latest=known_on.isoformat())


# What becomes known later.


def follow_up(protocol: Protocol, command: FollowUpAdverseEvent, subject: Subject) -> Sequence[Event]:
    """How the event is judged from now on, and the clocks that this starts from its own awareness.

    Raises UNCHANGED where nothing new is said, REASON_REQUIRED where a judgement or an end that was on record changes,
    SERIOUSNESS_INVALID and RESOLUTION_IMPLAUSIBLE for what cannot be.
    """
    case = _standing_case(command, subject)
    known_on = protocol.civil_date(command.aware_at, subject.site)
    first_known_on = protocol.civil_date(case.report.aware_at, subject.site)
    require_not_before(known_on, "adverse-event-awareness", first_known_on)
    before = {
        **_judged(case.assessment),
        "infusion_reaction": case.infusion_reaction,
        "outcome": case.outcome,
        "action_taken": case.action_taken,
        "resolved_on": case.resolved_on,
    }
    said = {name: value for name in before if (value := getattr(command, name)) is not None}
    changed = {name for name, value in said.items() if value != before[name]}
    if not changed:
        raise UNCHANGED()
    if command.reason is None and (corrected := sorted(_corrected(case, changed))):
        raise REASON_REQUIRED(f"On record before: {', '.join(corrected)}.")
    after = before | said
    judged = safety.Assessment(**{name: after[name] for name in JUDGED})
    fatal = _require_borne_out(protocol, judged, after["outcome"])
    _require_plausible_resolution(protocol, case, after["resolved_on"], known_on)
    due = safety.due_after_follow_up(
        protocol, case.assessment, judged, aware_at=command.aware_at, authority_told_of=case.authority_told_of
    )
    return [
        AdverseEventFollowedUp(
            subject=command.subject,
            site=site_of(command.subject),
            adverse_event=command.adverse_event,
            fatal=fatal,
            aware_at=command.aware_at,
            sponsor_by=due.sponsor_by,
            authority_on=due.authority_on,
            follow_up_on=due.follow_up_on,
            death_retracted=not fatal and _is_the_only_death(command, subject),
            **after,
        )
    ]


def _standing_case(command: AboutAdverseEvent, subject: Subject) -> SafetyCase:
    """The case that a command is about. Raises UNKNOWN_ADVERSE_EVENT or NULLIFIED."""
    require_randomized(subject)
    case = subject.adverse_events.get(command.adverse_event)
    if case is None:
        raise UNKNOWN_ADVERSE_EVENT()
    if not case.stands:
        raise NULLIFIED()
    return case


def _corrected(case: SafetyCase, changed: set[str]) -> Iterator[str]:
    """What of a change replaces a fact on record; how an event runs on replaces none."""
    yield from changed & {*JUDGED, "infusion_reaction"}
    if "outcome" in changed and case.outcome in ENDED:
        yield "outcome"
    if "resolved_on" in changed and case.resolved_on is not None:
        yield "resolved_on"


def _require_plausible_resolution(
    protocol: Protocol, case: SafetyCase, resolved_on: str | None, known_on: date
) -> None:
    """An event ends no earlier than on the first day that its onset may mean, and not after it is known."""
    if resolved_on is None:
        return
    onset = case.report.onset_on
    began_on = protocol.civil_date(case.happened_at, case.report.site) if onset is None else earliest(onset)
    if latest(resolved_on) < began_on or earliest(resolved_on) > known_on:
        raise RESOLUTION_IMPLAUSIBLE(earliest=began_on.isoformat(), latest=known_on.isoformat())


def _is_the_only_death(command: AboutAdverseEvent, subject: Subject) -> bool:
    """Whether the subject is on record as dead, and by this adverse event alone."""
    others = {number: case for number, case in subject.adverse_events.items() if number != command.adverse_event}
    return subject.died is not None and died_of(others) is None


def nullify(command: NullifyAdverseEvent, subject: Subject) -> Sequence[Event]:
    """The report was an error: another subject's, or no event at all. It stays in the log and bears on nothing."""
    case = _standing_case(command, subject)
    return [
        AdverseEventNullified(
            subject=command.subject,
            site=site_of(command.subject),
            adverse_event=command.adverse_event,
            clocks=tuple(ClockEnded(started_by=c.started_by, report=c.report, late=False) for c in case.running()),
            death_retracted=_is_the_only_death(command, subject),
        )
    ]


# The reports of it.


def submit_report(protocol: Protocol, command: SubmitSafetyReport, subject: Subject) -> Sequence[Event]:
    """A report answers every clock of its kind that runs for what was known by its day, late or in time.

    Raises REPORT_NOT_DUE where there is none.
    """
    case = _standing_case(command, subject)
    answered = case.answered_by(protocol, command.report, command.at)
    if not answered:
        raise REPORT_NOT_DUE(due=sorted({clock.report for clock in case.running()}))
    return [
        SafetyReportSubmitted(
            subject=command.subject,
            site=site_of(command.subject),
            adverse_event=command.adverse_event,
            report=command.report,
            clocks=tuple(
                ClockEnded(
                    started_by=clock.started_by,
                    report=clock.report,
                    late=safety.is_late(protocol, command.at, due_by=clock.due_by, due_on=clock.due_on),
                )
                for clock in answered
            ),
        )
    ]


def adverse_events(protocol: Protocol) -> Decider[ReportAdverseEvent, Subject]:
    """The rules of a report of an adverse event under a protocol."""
    return subject_decider(protocol, lambda command, subject: report_adverse_event(protocol, command, subject))


def follow_ups(protocol: Protocol) -> Decider[FollowUpAdverseEvent, Subject]:
    """The rules of follow-ups under a protocol."""
    return subject_decider(protocol, lambda command, subject: follow_up(protocol, command, subject), *ABOUT_CASES)


def nullification(protocol: Protocol) -> Decider[NullifyAdverseEvent, Subject]:
    """The rules of reports in error under a protocol."""
    return subject_decider(protocol, nullify, *ABOUT_CASES)


def report_submission(protocol: Protocol) -> Decider[SubmitSafetyReport, Subject]:
    """The rules of safety reports under a protocol."""
    return subject_decider(protocol, lambda command, subject: submit_report(protocol, command, subject), *ABOUT_CASES)
