"""Whether a subject gets the second infusion, and on which grounds: decided from the evaluation and what bars it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from services.visits.evidence import Finding, Status
from shared.protocol import SecondDose

SecondDoseState = Literal["pending", "eligible", "not-eligible", "given"]


@dataclass(frozen=True, slots=True)
class EvaluationMade:
    """The evaluation that decides: where it stands, what it said of each lineage, and whether it is signed."""

    position: int
    inputs: tuple[int, ...]
    lineages: Mapping[str, Status]
    progression: bool
    signed: bool


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
    """What is known of a subject; `exclusions` are grounds such as an infection, `left` ended the treatment."""

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
    """The state and its grounds, each a stable code with the positions of the log that it rests on."""

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
