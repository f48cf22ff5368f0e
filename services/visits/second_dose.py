"""Whether a subject gets the second infusion, and for which reasons: decided from the evaluation and what bars it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.audit.events import RecordsSigned
from services.visits.commands import ConcludeSecondDose
from services.visits.evaluated import latest_of
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    CiclosporinDosed,
    EvaluationInputsChanged,
    ProductInfused,
    SecondDoseEligible,
    SecondDoseIneligible,
    StatusReason,
    SubjectEvaluated,
)
from services.visits.evidence import Finding, Status
from services.visits.partial_dates import latest
from services.visits.safety_case import SafetyCase
from services.visits.subject import FIRST, SECOND, Happened, Subject, day_0_of, policy_decider
from shared.decision import Decider
from shared.events import Event
from shared.protocol import Protocol, SecondDose
from shared.protocol.language import site_of

SecondDoseState = Literal["pending", "eligible", "not-eligible", "given"]


@dataclass(frozen=True, slots=True)
class EvaluationMade:
    """The evaluation that decides: where it stands, what it said of each lineage, and whether it is signed.

    `outdated_by` is where a correction stands under which it would now come out otherwise.
    """

    position: int
    inputs: tuple[int, ...]
    lineages: Mapping[str, Status]
    progression: bool
    signed: bool
    outdated_by: int | None = None


@dataclass(frozen=True, slots=True)
class AdverseEventSeen:
    """An adverse event since the first infusion, as far as it can bar a second."""

    position: int
    grade: int
    serious: bool
    related: bool
    infusion_reaction: bool = False


@dataclass(frozen=True, slots=True)
class SecondDoseFacts:
    """What is known of a subject; `exclusions` are reasons such as an infection, `left` ended the treatment."""

    arm: str
    first_infusion: int | None = None
    second_infusion: int | None = None
    evaluation: EvaluationMade | None = None
    adverse_events: tuple[AdverseEventSeen, ...] = ()
    exclusions: tuple[Finding, ...] = ()
    left: Finding | None = None
    window_closed: bool = False


@dataclass(frozen=True, slots=True)
class SecondDoseDecision:
    """The state and its reasons, each a stable code with the positions of the log that it rests on."""

    state: SecondDoseState
    because: tuple[Finding, ...]


def decide_second_dose(rule: SecondDose | None, facts: SecondDoseFacts) -> SecondDoseDecision:
    """Who gets the second infusion: a responder of the arm, once the evaluation is signed, whom nothing bars.

    A provisional response waits for the counts that confirm it until the window closes. A protocol without a second
    dose makes no one eligible.
    """
    if rule is None:
        return SecondDoseDecision("not-eligible", (Finding("protocol-has-no-second-dose", ()),))
    if facts.second_infusion is not None:
        return SecondDoseDecision("given", (Finding("second-infusion-given", (facts.second_infusion,)),))
    if facts.arm != rule.arm:
        return SecondDoseDecision("not-eligible", (Finding("other-arm", ()),))
    if bars := tuple(_bars(rule, facts)):
        return SecondDoseDecision("not-eligible", bars)
    if facts.first_infusion is None:
        return SecondDoseDecision("pending", (Finding("first-infusion-missing", ()),))
    decision = _by_response(rule, facts.evaluation, facts.first_infusion)
    if decision.state == "pending" and facts.window_closed:
        return SecondDoseDecision("not-eligible", (*decision.because, Finding("window-closed", ())))
    return decision


def _bars(rule: SecondDose, facts: SecondDoseFacts) -> Iterator[Finding]:
    if facts.left is not None:
        yield facts.left
    yield from facts.exclusions
    for event in facts.adverse_events:
        if event.infusion_reaction and event.grade >= rule.reaction_grade_bars_from:
            yield Finding("severe-infusion-reaction", (event.position,))
        if event.serious and event.related:
            yield Finding("related-serious-adverse-event", (event.position,))


def _by_response(rule: SecondDose, evaluation: EvaluationMade | None, first_infusion: int) -> SecondDoseDecision:
    if rule.rule == "all":
        return SecondDoseDecision("eligible", (Finding("first-infusion-given", (first_infusion,)),))
    if evaluation is None:
        return SecondDoseDecision("pending", (Finding("evaluation-missing", ()),))
    positions = (evaluation.position, *evaluation.inputs)
    if evaluation.outdated_by is not None:
        return SecondDoseDecision("pending", (Finding("evaluation-outdated", (positions[0], evaluation.outdated_by)),))
    if rule.signed_evaluation and not evaluation.signed:
        return SecondDoseDecision("pending", (Finding("evaluation-unsigned", (evaluation.position,)),))
    if evaluation.progression:
        return SecondDoseDecision("not-eligible", (Finding("progression", positions),))
    statuses = set(evaluation.lineages.values())
    if "confirmed" in statuses:
        confirmed = (code.lower() for code, status in evaluation.lineages.items() if status == "confirmed")
        return SecondDoseDecision("eligible", tuple(Finding(f"{code}-confirmed", positions) for code in confirmed))
    if "provisional" in statuses:
        return SecondDoseDecision("pending", (Finding("response-provisional", positions),))
    if "not-met" in statuses:
        return SecondDoseDecision("not-eligible", (Finding("response-not-met", positions),))
    return SecondDoseDecision("not-eligible", (Finding("response-not-evaluable", positions),))


# From the log to the decision, and back.


def second_dose_of(protocol: Protocol, subject: Subject, on: date) -> SecondDoseDecision:
    """Whether a randomized subject may be given the second infusion, as things stand on a day."""
    first, second = subject.infusions.get(FIRST), subject.infusions.get(SECOND)
    facts = SecondDoseFacts(
        arm=subject.arm or "",
        first_infusion=first.position if first else None,
        second_infusion=second.position if second else None,
        evaluation=_deciding_evaluation(protocol, subject),
        adverse_events=_adverse_events_since_first(protocol, subject),
        left=_ending(subject),
        window_closed=_window_has_closed(protocol, subject, on),
    )
    return decide_second_dose(protocol.second_dose, facts)


def _deciding_evaluation(protocol: Protocol, subject: Subject) -> EvaluationMade | None:
    rule = protocol.second_dose
    made = latest_of(subject.evaluations).get(rule.timepoint) if rule else None
    if made is None:
        return None
    return EvaluationMade(
        position=made.position,
        inputs=made.event.inputs,
        lineages=made.event.lineages,
        progression=made.event.progression,
        signed=made.signature(protocol) is not None,
        outdated_by=made.outdated_by,
    )


def _evaluation_of_given(
    protocol: Protocol, rule: SecondDose, subject: Subject, given: Happened
) -> EvaluationMade | None:
    """The evaluation that a second dose was given on, as it would come out by what is known now.

    It is the last that was on record when the dose was recorded and made by its day, signed by that day or not.
    """
    given_on = protocol.civil_date(given.at, subject.site)
    made = next(
        (
            each
            for each in reversed(subject.evaluations)
            if each.event.timepoint == rule.timepoint
            and each.position < given.position
            and protocol.civil_date(each.at, subject.site) <= given_on
        ),
        None,
    )
    if made is None:
        return None
    now = made.changed or made.event
    return EvaluationMade(
        position=made.position,
        inputs=now.inputs,
        lineages=now.lineages,
        progression=now.progression,
        signed=made.was_signed_by(protocol, given_on, given.position),
    )


def _adverse_events_since_first(
    protocol: Protocol, subject: Subject, before: date = date.max
) -> tuple[AdverseEventSeen, ...]:
    """As each is judged now. One that may have begun since the first infusion counts: a doubt guards the subject.

    Of those, the ones that have begun for certain before a day.
    """
    first = subject.infusions.get(FIRST)
    if first is None:
        return ()
    given_on = protocol.civil_date(first.at, subject.site)
    return tuple(
        _seen(case)
        for case in subject.adverse_events.values()
        if case.stands and given_on <= _began_on_at_latest(protocol, case) < before
    )


def _seen(case: SafetyCase) -> AdverseEventSeen:
    judged = case.assessment
    return AdverseEventSeen(case.known_by, judged.grade, judged.serious, judged.related, case.infusion_reaction)


def _began_on_at_latest(protocol: Protocol, case: SafetyCase) -> date:
    """The last day on which an adverse event may have begun, as far as its onset is known."""
    onset = case.report.onset_on
    return protocol.civil_date(case.happened_at, case.report.site) if onset is None else latest(onset)


def grounds_of_given(protocol: Protocol, subject: Subject) -> SecondDoseDecision | None:
    """Whether the second infusion that was given would still be, by what is known now of the time before its day.

    None where there was no such dose. How the response was judged anew since, how long the window was open and whether
    the subject has left since are no grounds. Of adverse events count those that had begun for certain.
    """
    second = subject.infusions.get(SECOND)
    if protocol.second_dose is None or second is None:
        return None
    given_on = protocol.civil_date(second.at, subject.site)
    first = subject.infusions.get(FIRST)
    facts = SecondDoseFacts(
        arm=subject.arm or "",
        first_infusion=first.position if first else None,
        evaluation=_evaluation_of_given(protocol, protocol.second_dose, subject, second),
        adverse_events=_adverse_events_since_first(protocol, subject, before=given_on),
    )
    return decide_second_dose(protocol.second_dose, facts)


def _ending(subject: Subject) -> Finding | None:
    if subject.died is not None:
        return Finding("died", (subject.died,))
    for scope in ("study", "treatment"):
        if scope in subject.left:
            return Finding(f"withdrawn-from-{scope}", (subject.left[scope],))
    return None


def _window_has_closed(protocol: Protocol, subject: Subject, on: date) -> bool:
    rule, day_0 = protocol.second_dose, day_0_of(protocol, subject)
    if rule is None or day_0 is None:
        return False
    return on > day_0 + timedelta(days=protocol.schedule.days_of(rule.item).closes)


def status_reasons(decision: SecondDoseDecision) -> tuple[StatusReason, ...]:
    """The reasons of a decision, one for each position that they rest on."""
    return tuple(
        StatusReason(code=finding.code, position=position)
        for finding in decision.because
        for position in (finding.positions or (None,))
    )


def conclusion(subject_id: str, subject: Subject, decision: SecondDoseDecision) -> Sequence[Event]:
    """What a decision changes of what the log says; an eligibility that no longer stands is taken back."""
    site, because = site_of(subject_id), status_reasons(decision)
    match decision.state, subject.may_have_second_dose:
        case "eligible", None | False:
            return [SecondDoseEligible(subject=subject_id, site=site, because=because)]
        case ("not-eligible", None | True) | ("pending", True):
            return [SecondDoseIneligible(subject=subject_id, site=site, because=because)]
        case _:
            return []


def conclude(protocol: Protocol, command: ConcludeSecondDose, subject: Subject) -> Sequence[Event]:
    """What the policy records when something has happened that may bear on the second dose of a candidate."""
    rule = protocol.second_dose
    if rule is None or subject.arm != rule.arm:
        return []
    decision = second_dose_of(protocol, subject, protocol.civil_date(command.at, subject.site))
    return conclusion(command.subject, subject, decision)


NEEDS = (
    ProductInfused,
    CiclosporinDosed,
    SubjectEvaluated,
    EvaluationInputsChanged,
    RecordsSigned,
    AdverseEventReported,
    AdverseEventFollowedUp,
    AdverseEventNullified,
    SecondDoseEligible,
    SecondDoseIneligible,
)
"""What bears on the second dose, besides the subject's standing."""


def second_dose(protocol: Protocol) -> Decider[ConcludeSecondDose, Subject]:
    """The rules of the second dose under a protocol."""
    return policy_decider(lambda command, subject: conclude(protocol, command, subject), *NEEDS)
