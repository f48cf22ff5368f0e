"""When a subject's response may be judged, on which results of the log, and whether it still rests on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from services.labs.events import LabReportRecorded
from services.randomization.events import EligibilityAssessed
from services.visits.commands import EvaluateSubject, ReviewEvaluations
from services.visits.events import (
    CiclosporinDosed,
    EvaluationInputsChanged,
    ProductInfused,
    SubjectEvaluated,
    TransfusionGiven,
)
from services.visits.evidence import Count, Transfusion
from services.visits.response import Assessment, assess
from services.visits.subject import (
    Subject,
    day_0_of,
    policy_decider,
    require_followed,
    subject_decider,
)
from shared.decision import Decider
from shared.events import Event
from shared.problems import NOT_RANDOMIZED, REASON_REQUIRED, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

TIMEPOINT_NOT_PLANNED = refusal("timepoint-not-planned", 422, "The protocol plans no evaluation at this time.")
EVALUATION_NOT_OPEN = refusal("evaluation-not-open", 409, "The window of the evaluation has not opened yet.")

USABLE = frozenset({"F", "C"})
"""HL7 table 0085: a response rests on final and corrected results, never on a preliminary one."""

NEEDS = (
    EligibilityAssessed,
    ProductInfused,
    CiclosporinDosed,
    TransfusionGiven,
    LabReportRecorded,
    SubjectEvaluated,
    EvaluationInputsChanged,
)
"""What an evaluation rests on, besides the subject's standing."""


def evaluate(protocol: Protocol, command: EvaluateSubject, subject: Subject) -> Sequence[Event]:
    """Judge the response from what was collected until then. Again for the same timepoint needs a reason, and replaces.

    Raises EVALUATION_NOT_OPEN before the first day of the timepoint's window.
    """
    require_followed(subject)
    timepoints = _timepoints(protocol)
    if command.timepoint not in timepoints:
        raise TIMEPOINT_NOT_PLANNED(timepoints=timepoints)
    day_0, on = day_0_of(protocol, subject), protocol.civil_date(command.at, subject.site)
    if day_0 is None:
        raise NOT_RANDOMIZED()
    item = protocol.response.evaluation(command.timepoint).item
    opens_on = day_0 + timedelta(days=protocol.schedule.days_of(item).opens)
    if on < opens_on:
        raise EVALUATION_NOT_OPEN(opens_on=opens_on.isoformat())
    if command.timepoint in subject.evaluations and command.reason is None:
        raise REASON_REQUIRED(f"The subject has been evaluated at {command.timepoint} before.")
    assessment = _assess(protocol, command.timepoint, subject, day_0, on)
    return [
        SubjectEvaluated(
            subject=command.subject,
            site=site_of(command.subject),
            timepoint=command.timepoint,
            rule_set=assessment.rule_set,
            lineages={code: result.status for code, result in assessment.lineages.items()},
            remissions={code: result.status for code, result in assessment.remissions.items()},
            grounds={code: result.ground for code, result in assessment.criteria.items()},
            progression=assessment.progression,
            findings=tuple(finding.code for finding in assessment.findings),
            response=assessment.response,
            inputs=assessment.inputs,
            final=command.timepoint == timepoints[-1],
        )
    ]


def evaluation(protocol: Protocol) -> Decider[EvaluateSubject, Subject]:
    """The rules of evaluation under a protocol."""
    return subject_decider(protocol, lambda command, subject: evaluate(protocol, command, subject), *NEEDS)


def review(protocol: Protocol, command: ReviewEvaluations, subject: Subject) -> Sequence[Event]:
    """What the policy records when a result was corrected: for each evaluation, whether it now rests on other results.

    Each evaluation is judged again as of its own day. What has been noted already is not noted again.
    """
    day_0 = day_0_of(protocol, subject)
    if day_0 is None:
        return []
    changes: list[Event] = []
    for timepoint in _timepoints(protocol):
        made = subject.evaluations.get(timepoint)
        if made is None:
            continue
        on = protocol.civil_date(made.happened.at, subject.site)
        assessment = _assess(protocol, timepoint, subject, day_0, on)
        change = EvaluationInputsChanged(
            subject=command.subject,
            site=site_of(command.subject),
            timepoint=timepoint,
            evaluation=made.happened.position,
            inputs=assessment.inputs,
            lineages={code: result.status for code, result in assessment.lineages.items()},
            remissions={code: result.status for code, result in assessment.remissions.items()},
            progression=assessment.progression,
            response=assessment.response,
            outcome_changed=_outcome(assessment) != (made.event.lineages, made.event.progression, made.event.response),
        )
        is_as_recorded = change.inputs == made.event.inputs and not change.outcome_changed
        if change != made.changed if made.changed else not is_as_recorded:
            changes.append(change)
    return changes


def evaluation_review(protocol: Protocol) -> Decider[ReviewEvaluations, Subject]:
    """The rules of the review of evaluations under a protocol."""
    return policy_decider(lambda command, subject: review(protocol, command, subject), *NEEDS)


def _timepoints(protocol: Protocol) -> list[str]:
    return [each.timepoint for each in protocol.response.evaluations]


def _outcome(assessment: Assessment) -> tuple[dict[str, str], bool, str]:
    statuses = {code: result.status for code, result in assessment.lineages.items()}
    return dict(statuses), assessment.progression, assessment.response


def _assess(protocol: Protocol, timepoint: str, subject: Subject, day_0: date, on: date) -> Assessment:
    transfusions = (
        Transfusion(
            component=event.component,
            units=event.units,
            given_on=protocol.civil_date(happened.at, subject.site),
            position=happened.position,
            haemoglobin_before_g_L=event.haemoglobin_before_g_L,
        )
        for event, happened in subject.transfusions
    )
    counts = tuple(_counts(protocol, subject))
    screened = _blasts_at_screening(protocol, subject, day_0, counts)
    return assess(protocol, timepoint, day_0=day_0, as_of=on, counts=(*counts, *screened), transfusions=transfusions)


def _counts(protocol: Protocol, subject: Subject) -> Iterator[Count]:
    """The current word on each result. A value that is only a bound, such as < 5, is no count to reckon with."""
    for result, position in subject.results.values():
        if result.value is not None:
            usable = result.status in USABLE and result.comparator is None
            collected_on = protocol.civil_date(result.collected_at, subject.site)
            yield Count(result.code, result.value, collected_on, position, usable)


def _blasts_at_screening(
    protocol: Protocol, subject: Subject, day_0: date, counts: Sequence[Count]
) -> tuple[Count, ...]:
    """The marrow blasts of the assessment of eligibility, where no laboratory reported a marrow before treatment."""
    code = protocol.response.iwg_2006.progression.blast_analyte
    latest_on = day_0 + timedelta(days=protocol.response.baseline.latest_day)
    reported = any(count.code == code and count.usable and count.collected_on <= latest_on for count in counts)
    if subject.screening is None or reported:
        return ()
    assessed, happened = subject.screening
    on = protocol.civil_date(happened.at, subject.site)
    return (Count(code, assessed.findings.marrow_blasts_pct, on, happened.position),)
