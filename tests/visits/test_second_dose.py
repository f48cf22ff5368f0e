"""The second infusion: who gets it, and on which grounds (the register's "when one responds well")."""

from dataclasses import replace

import pytest

from services.visits.evidence import Finding, Status
from services.visits.second_dose import (
    AdverseEventSeen,
    EvaluationMade,
    SecondDoseDecision,
    SecondDoseFacts,
    decide_second_dose,
)
from shared.protocol import SecondDose, load_protocol


def rule_of_the_trial() -> SecondDose:
    rule = load_protocol().second_dose
    assert rule is not None
    return rule


RULE = rule_of_the_trial()

TREATED = SecondDoseFacts(arm="MSC", first_infusion=10)


def evaluated(
    hi_e: Status = "not-met",
    hi_p: Status = "not-evaluable",
    hi_n: Status = "not-evaluable",
    *,
    progression: bool = False,
    signed: bool = True,
) -> SecondDoseFacts:
    lineages: dict[str, Status] = {"HI-E": hi_e, "HI-P": hi_p, "HI-N": hi_n}
    return replace(TREATED, evaluation=EvaluationMade(50, (3, 4, 21), lineages, progression, signed))


RESPONDER = evaluated("confirmed")


def told(decision: SecondDoseDecision) -> tuple[str, list[str]]:
    return decision.state, [ground.code for ground in decision.because]


def test_a_confirmed_response_makes_eligible_and_names_what_it_rests_on() -> None:
    decision = decide_second_dose(RULE, RESPONDER)
    assert decision == SecondDoseDecision("eligible", (Finding("hi-e-confirmed", (50, 3, 4, 21)),))


@pytest.mark.parametrize(
    ("facts", "state", "grounds"),
    [
        (replace(RESPONDER, arm="CSA"), "not-eligible", ["other-arm"]),
        (SecondDoseFacts(arm="MSC"), "pending", ["first-infusion-missing"]),
        (TREATED, "pending", ["evaluation-missing"]),
        (evaluated("confirmed", signed=False), "pending", ["evaluation-unsigned"]),
        (evaluated("provisional"), "pending", ["response-provisional"]),
        (evaluated("provisional", "confirmed"), "eligible", ["hi-p-confirmed"]),
        (evaluated("confirmed", "not-met", "confirmed"), "eligible", ["hi-e-confirmed", "hi-n-confirmed"]),
        (evaluated("not-met"), "not-eligible", ["response-not-met"]),
        (evaluated("not-evaluable"), "not-eligible", ["response-not-evaluable"]),
        (evaluated("confirmed", progression=True), "not-eligible", ["progression"]),
        (replace(RESPONDER, second_infusion=70), "given", ["second-infusion-given"]),
    ],
)
def test_each_situation_has_its_state_and_ground(facts: SecondDoseFacts, state: str, grounds: list[str]) -> None:
    assert told(decide_second_dose(RULE, facts)) == (state, grounds)


@pytest.mark.parametrize(
    ("event", "ground"),
    [
        (AdverseEventSeen(30, 3, serious=False, related=True, infusion_reaction=True), "severe-infusion-reaction"),
        (AdverseEventSeen(30, 2, serious=True, related=True), "related-serious-adverse-event"),
    ],
)
def test_a_severe_reaction_or_a_related_serious_event_bars_a_responder(event: AdverseEventSeen, ground: str) -> None:
    decision = decide_second_dose(RULE, replace(RESPONDER, adverse_events=(event,)))
    assert decision == SecondDoseDecision("not-eligible", (Finding(ground, (30,)),))


@pytest.mark.parametrize(
    "event",
    [
        AdverseEventSeen(30, 2, serious=False, related=True, infusion_reaction=True),
        AdverseEventSeen(30, 4, serious=True, related=False),
    ],
)
def test_other_adverse_events_do_not_bar(event: AdverseEventSeen) -> None:
    assert decide_second_dose(RULE, replace(RESPONDER, adverse_events=(event,))).state == "eligible"


def test_who_left_or_came_to_be_excluded_is_not_eligible_and_every_bar_is_named() -> None:
    facts = replace(RESPONDER, left=Finding("withdrawn", (60,)), exclusions=(Finding("active-infection", (61,)),))
    decision = decide_second_dose(RULE, facts)
    assert told(decision) == ("not-eligible", ["withdrawn", "active-infection"])


def test_what_is_still_pending_when_the_window_closes_is_not_eligible() -> None:
    facts = replace(evaluated("provisional"), window_closed=True)
    assert told(decide_second_dose(RULE, facts)) == ("not-eligible", ["response-provisional", "window-closed"])


def test_a_protocol_may_give_it_to_all_who_were_treated_and_are_not_barred() -> None:
    for_all = RULE.model_copy(update={"rule": "all"})
    assert decide_second_dose(for_all, TREATED).state == "eligible"
    assert decide_second_dose(for_all, replace(TREATED, left=Finding("died", (60,)))).state == "not-eligible"


def test_a_protocol_without_a_second_dose_makes_no_one_eligible() -> None:
    assert decide_second_dose(None, RESPONDER).state == "not-eligible"
