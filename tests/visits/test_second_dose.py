"""The second infusion: who gets it, and for which reasons (the register's "when one responds well")."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.visits.commands import ConcludeSecondDose
from services.visits.events import EvaluationInputsChanged, SecondDoseEligible, SecondDoseIneligible, StatusReason
from services.visits.evidence import Finding, Status
from services.visits.second_dose import (
    AdverseEventSeen,
    EvaluationMade,
    SecondDoseDecision,
    SecondDoseFacts,
    decide_second_dose,
    second_dose,
)
from shared.events import Event
from shared.identity import Role
from shared.protocol import SecondDose, load_protocol
from tests.scenario import DAY_0, At, Result, given
from tests.visits.examples import CSA, INVESTIGATOR, MSC, S, given_by, happened, infused, left, reported, signature_over
from tests.visits.examples import evaluated as an_evaluation


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
    return decision.state, [reason.code for reason in decision.because]


def test_a_confirmed_response_makes_eligible_and_names_what_it_rests_on() -> None:
    decision = decide_second_dose(RULE, RESPONDER)
    assert decision == SecondDoseDecision("eligible", (Finding("hi-e-confirmed", (50, 3, 4, 21)),))


@pytest.mark.parametrize(
    ("facts", "state", "reasons"),
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
def test_each_situation_has_its_state_and_reason(facts: SecondDoseFacts, state: str, reasons: list[str]) -> None:
    assert told(decide_second_dose(RULE, facts)) == (state, reasons)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (AdverseEventSeen(30, 3, serious=False, related=True, infusion_reaction=True), "severe-infusion-reaction"),
        (AdverseEventSeen(30, 2, serious=True, related=True), "related-serious-adverse-event"),
    ],
)
def test_a_severe_reaction_or_a_related_serious_event_bars_a_responder(event: AdverseEventSeen, reason: str) -> None:
    decision = decide_second_dose(RULE, replace(RESPONDER, adverse_events=(event,)))
    assert decision == SecondDoseDecision("not-eligible", (Finding(reason, (30,)),))


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


def test_an_evaluation_that_a_correction_has_outdated_decides_nothing() -> None:
    outdated = EvaluationMade(50, (3, 4, 21), {"HI-E": "confirmed"}, progression=False, signed=True, outdated_by=60)
    decision = decide_second_dose(RULE, replace(TREATED, evaluation=outdated))
    assert decision == SecondDoseDecision("pending", (Finding("evaluation-outdated", (50, 60)),))


def outcome(evaluation: int, *, changed: bool) -> EvaluationInputsChanged:
    """That the evaluation at a position would now come out otherwise, or comes out as it did after all."""
    return EvaluationInputsChanged(
        subject=S,
        site="01",
        timepoint="M3",
        evaluation=evaluation,
        inputs=(1,),
        lineages={"HI-E": "not-met" if changed else "confirmed"},
        remissions={},
        progression=False,
        response="SD" if changed else "HI",
        outcome_changed=changed,
    )


class TestConclusion:
    """What the policy records of it: changes, each once, with the events that they rest on."""

    DECIDER = second_dose(load_protocol())
    CONCLUDE = ConcludeSecondDose(subject=S, occurred_at=DAY_0 + timedelta(days=93))
    RESPONDED = happened(*MSC, infused(), At(an_evaluation(inputs=(1, 2)), 93))

    def concluded(self, *events: Event | At, days: int = 93) -> Result:
        command = self.CONCLUDE.model_copy(update={"occurred_at": DAY_0 + timedelta(days=days)})
        return given(*events).when(self.DECIDER, command)

    def eligible(self, *because: tuple[str, int]) -> SecondDoseEligible:
        reasons = tuple(StatusReason(code=code, position=position) for code, position in because)
        return SecondDoseEligible(subject=S, site="01", because=reasons)

    def ineligible(self, *because: tuple[str, int]) -> SecondDoseIneligible:
        reasons = tuple(StatusReason(code=code, position=position) for code, position in because)
        return SecondDoseIneligible(subject=S, site="01", because=reasons)

    @property
    def found_eligible(self) -> SecondDoseEligible:
        return self.eligible(("hi-e-confirmed", 4), ("hi-e-confirmed", 1), ("hi-e-confirmed", 2))

    def test_a_responder_becomes_eligible_once(self) -> None:
        self.concluded(*self.RESPONDED).records(self.found_eligible)
        self.concluded(*self.RESPONDED, self.found_eligible).records()

    def test_who_did_not_respond_becomes_ineligible_once(self) -> None:
        history = happened(*MSC, infused(), At(an_evaluation(hi_e="not-met", response="SD"), 93))
        not_eligible = self.ineligible(("response-not-met", 4))
        self.concluded(*history).records(not_eligible)
        self.concluded(*history, not_eligible).records()

    def test_what_is_pending_is_not_recorded(self) -> None:
        self.concluded(*MSC).records()
        self.concluded(*MSC, infused()).records()
        self.concluded(*MSC, infused(), At(an_evaluation(hi_e="provisional", response="SD"), 93)).records()

    def test_a_confirmation_makes_eligible_who_was_not(self) -> None:
        history = happened(*MSC, infused(), At(an_evaluation(hi_e="not-met", response="SD"), 93))
        later = happened(self.ineligible(("response-not-met", 4)), At(an_evaluation(), 122))
        self.concluded(*history, *later, days=122).records(self.eligible(("hi-e-confirmed", 6)))

    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            (left("treatment"), "withdrawn-from-treatment"),
            (left("study"), "withdrawn-from-study"),
            (reported(grade=3, infusion_reaction=True), "severe-infusion-reaction"),
            (
                reported(serious=True, seriousness_criteria=("hospitalisation",), related=True),
                "related-serious-adverse-event",
            ),
            (reported(fatal=True, grade=5, serious=True, seriousness_criteria=("death",), related=False), "died"),
        ],
    )
    def test_what_bars_a_second_dose_takes_the_eligibility_back(self, event: Event, reason: str) -> None:
        history = happened(*self.RESPONDED, self.found_eligible, At(event, 95))
        self.concluded(*history).records(self.ineligible((reason, 6)))

    def test_an_adverse_event_from_before_the_first_infusion_bars_nothing(self) -> None:
        before = reported(grade=3, infusion_reaction=True, onset_on="2025-12-30")
        self.concluded(*self.RESPONDED, before).records(self.found_eligible)

    def test_a_correction_that_turns_the_evaluation_takes_the_eligibility_back(self) -> None:
        turned = outcome(4, changed=True)
        history = happened(*self.RESPONDED, self.found_eligible, turned)
        self.concluded(*history).records(self.ineligible(("evaluation-outdated", 4), ("evaluation-outdated", 6)))
        unturned = turned.model_copy(update={"outcome_changed": False})
        self.concluded(*self.RESPONDED, self.found_eligible, unturned).records()

    def test_a_correction_that_is_taken_back_revives_the_answer_and_not_the_signature(self) -> None:
        turned = outcome(4, changed=True)
        back = outcome(4, changed=False)
        history = happened(*self.RESPONDED, self.found_eligible, turned, back)
        self.concluded(*history).records(self.ineligible(("evaluation-unsigned", 4)))
        found = (("hi-e-confirmed", 4), ("hi-e-confirmed", 1), ("hi-e-confirmed", 2))
        again = happened(*history, self.ineligible(("evaluation-unsigned", 4)), At(signature_over(4), 93))
        given_by(INVESTIGATOR, *again).when(self.DECIDER, self.CONCLUDE).records(self.eligible(*found))

    def test_a_signature_over_an_evaluation_that_holds_no_longer_revives_nothing(self) -> None:
        history = happened(*self.RESPONDED, self.found_eligible, outcome(4, changed=True), At(signature_over(4), 93))
        given_by(INVESTIGATOR, *history).when(self.DECIDER, self.CONCLUDE).records(
            self.ineligible(("evaluation-outdated", 4), ("evaluation-outdated", 6))
        )

    UNSIGNED = happened(*MSC, infused(), At(an_evaluation(signed=False), 93))

    def test_an_evaluation_waits_for_its_signature(self) -> None:
        self.concluded(*self.UNSIGNED).records()
        signed = given_by(INVESTIGATOR, *self.UNSIGNED, At(signature_over(4, "responsibility"), 94))
        signed.when(self.DECIDER, self.CONCLUDE).records(self.eligible(("hi-e-confirmed", 4)))

    def test_only_an_investigators_signature_with_a_meaning_that_the_protocol_lists_signs_it(self) -> None:
        monitor = replace(INVESTIGATOR, role=Role.MONITOR)
        for author, event in (
            (INVESTIGATOR, signature_over(4, "review")),
            (INVESTIGATOR, signature_over(3)),
            (monitor, signature_over(4)),
        ):
            given_by(author, *self.UNSIGNED, At(event, 94)).when(self.DECIDER, self.CONCLUDE).records()

    def test_a_signature_over_an_evaluation_that_was_made_anew_is_superseded(self) -> None:
        anew = happened(*self.UNSIGNED, At(signature_over(4), 94), At(an_evaluation(signed=False), 95))
        given_by(INVESTIGATOR, *anew).when(self.DECIDER, self.CONCLUDE).records()

    def test_an_override_is_what_counts_and_progression_bars_even_so(self) -> None:
        overridden = an_evaluation(hi_e="confirmed", computed="provisional")
        self.concluded(*MSC, infused(), At(overridden, 93)).records(self.eligible(("hi-e-confirmed", 4)))
        progressed = overridden.model_copy(update={"progression": True, "response": "PD"})
        self.concluded(*MSC, infused(), At(progressed, 93)).records(self.ineligible(("progression", 4)))

    def test_after_the_second_dose_nothing_is_concluded_any_more(self) -> None:
        self.concluded(*self.RESPONDED, self.found_eligible, At(infused(2), 98), left("study"), days=200).records()

    def test_nothing_is_concluded_of_the_other_arm_or_of_nobody(self) -> None:
        self.concluded(*CSA, At(an_evaluation(), 93)).records()
        self.concluded().records()
