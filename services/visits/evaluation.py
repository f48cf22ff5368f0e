"""When a subject's response may be judged, on which results of the log, and whether it still rests on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.labs.events import LabReportRecorded, LabResult
from services.randomization.events import EligibilityAssessed
from services.visits.commands import EvaluateSubject, ReviewEvaluations
from services.visits.evaluated import Evaluated, latest_of
from services.visits.events import (
    CiclosporinDosed,
    EvaluationInputsChanged,
    EvaluationSignature,
    LineageStatus,
    ProductInfused,
    StatusChange,
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
from shared.identity import Actor, Role
from shared.problems import FORBIDDEN, NOT_RANDOMIZED, REASON_REQUIRED, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of
from shared.signing import is_freshly_authenticated, require_fresh_authentication

TIMEPOINT_NOT_PLANNED = refusal("timepoint-not-planned", 422, "The protocol plans no evaluation at this time.")
EVALUATION_NOT_OPEN = refusal("evaluation-not-open", 409, "The window of the evaluation has not opened yet.")
UNKNOWN_LINEAGE = refusal("unknown-lineage", 422, "The rule set judges no such lineage.")
OVERRIDE_CHANGES_NOTHING = refusal("override-changes-nothing", 422, "The rule set says the same of the lineage.")

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


@dataclass(frozen=True, slots=True)
class Maker:
    """Who makes an evaluation, and when they make it, whatever day it is dated to."""

    actor: Actor
    now: datetime

    @property
    def signs(self) -> bool:
        """An investigator who has just authenticated signs what they make."""
        return self.actor.role is Role.INVESTIGATOR and is_freshly_authenticated(self.actor, self.now)


def evaluate(protocol: Protocol, command: EvaluateSubject, subject: Subject, maker: Maker) -> Sequence[Event]:
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
    if command.timepoint in latest_of(subject.evaluations) and command.reason is None:
        raise REASON_REQUIRED(f"The subject has been evaluated at {command.timepoint} before.")
    computed = _assess(protocol, command.timepoint, subject, day_0, on)
    assessment = computed.overridden(_required_override(command, computed, maker))
    meaning = protocol.response.signature_meanings[0]
    return [
        SubjectEvaluated(
            subject=command.subject,
            site=site_of(command.subject),
            timepoint=command.timepoint,
            rule_set=assessment.rule_set,
            lineages=dict(assessment.statuses),
            computed=dict(computed.statuses),
            remissions={code: result.status for code, result in assessment.remissions.items()},
            grounds={code: result.ground for code, result in assessment.criteria.items()},
            progression=assessment.progression,
            findings=tuple(finding.code for finding in assessment.findings),
            response=assessment.response,
            inputs=assessment.inputs,
            final=command.timepoint == timepoints[-1],
            signature=EvaluationSignature(meaning=meaning, printed_name=maker.actor.name) if maker.signs else None,
        )
    ]


def _required_override(command: EvaluateSubject, computed: Assessment, maker: Maker) -> Mapping[str, LineageStatus]:
    """What the investigator says against the rule set: signed, with a reason, and of each lineage something else.

    It is said of lineages alone. What shows progression shows it still, and so forbids what it forbids.
    """
    if command.override is None:
        return {}
    if maker.actor.role is not Role.INVESTIGATOR:
        raise FORBIDDEN("An investigator alone overrides the rule set.")
    require_fresh_authentication(maker.actor, maker.now)
    if command.reason is None:
        raise REASON_REQUIRED("To override the rule set needs a reason.")
    said, statuses = command.override.lineages, computed.statuses
    if unknown := sorted(said.keys() - statuses.keys()):
        raise UNKNOWN_LINEAGE(lineages=unknown)
    if same := sorted(code for code, status in said.items() if status == statuses[code]):
        raise OVERRIDE_CHANGES_NOTHING(lineages=same)
    return said


def evaluation(protocol: Protocol, actor: Actor, now: datetime) -> Decider[EvaluateSubject, Subject]:
    """The rules of evaluation under a protocol, by whom it is made and when."""
    maker = Maker(actor, now)
    return subject_decider(protocol, lambda command, subject: evaluate(protocol, command, subject, maker), *NEEDS)


def review(protocol: Protocol, subject: Subject) -> Sequence[Event]:
    """What the policy records of each evaluation that would now rest on something else than it did.

    Each is judged again as of its own day, also one that was made anew since: a dose may have been given on it. What
    has been noted already is not noted again.
    """
    day_0 = day_0_of(protocol, subject)
    if day_0 is None:
        return []
    planned = _timepoints(protocol)
    changes = (
        _change(protocol, subject, made, day_0) for made in subject.evaluations if made.event.timepoint in planned
    )
    return [change for change in changes if change is not None]


def _change(protocol: Protocol, subject: Subject, made: Evaluated, day_0: date) -> EvaluationInputsChanged | None:
    """What is to be noted of an evaluation, if anything.

    An override stands as long as the rule set says of the lineage what it said then.
    """
    then = made.event
    computed = _assess(protocol, then.timepoint, subject, day_0, protocol.civil_date(made.at, subject.site))
    standing = {
        code: status for code, status in then.overridden.items() if computed.statuses.get(code) == then.computed[code]
    }
    now = computed.overridden(standing)
    remissions = {code: result.status for code, result in now.remissions.items()}
    outcome = (computed.statuses, now.progression, now.response)
    change = EvaluationInputsChanged(
        subject=then.subject,
        site=then.site,
        timepoint=then.timepoint,
        evaluation=made.position,
        inputs=now.inputs,
        lineages=dict(now.statuses),
        remissions=dict(remissions),
        progression=now.progression,
        response=now.response,
        outcome_changed=outcome != (then.computed, then.progression, then.response),
        added=tuple(sorted(set(now.inputs) - set(then.inputs))),
        removed=tuple(sorted(set(then.inputs) - set(now.inputs))),
        changes=tuple(_differences(then, {**now.statuses, **remissions}, now)),
    )
    if made.changed is None:
        return None if change.inputs == then.inputs and not change.outcome_changed else change
    return None if change == made.changed else change


def _differences(then: SubjectEvaluated, statuses: Mapping[str, str], now: Assessment) -> Iterator[StatusChange]:
    said = {**then.lineages, **then.remissions}
    before = {**said, "progression": _written(then.progression), "response": then.response}
    after = {**statuses, "progression": _written(now.progression), "response": now.response}
    for criterion, status in after.items():
        if before.get(criterion) != status:
            yield StatusChange(criterion=criterion, before=before.get(criterion), after=status)


def _written(truth: bool) -> str:
    return "yes" if truth else "no"


def evaluation_review(protocol: Protocol) -> Decider[ReviewEvaluations, Subject]:
    """The rules of the review of evaluations under a protocol."""
    return policy_decider(lambda _, subject: review(protocol, subject), *NEEDS)


def _timepoints(protocol: Protocol) -> list[str]:
    return [each.timepoint for each in protocol.response.evaluations]


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


def is_usable(result: LabResult) -> bool:
    """Whether a result can be reckoned with: final, and not a bound, such as < 5."""
    return result.status in USABLE and result.comparator is None


def _counts(protocol: Protocol, subject: Subject) -> Iterator[Count]:
    """The current word on each result. A value that is only a bound, such as < 5, is no count to reckon with."""
    for result, position in subject.results.values():
        if result.value is not None:
            usable = is_usable(result)
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
