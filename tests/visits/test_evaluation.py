"""Evaluations on what the log holds: when they are open, what they rest on, and when they hold no longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as given_examples
from hypothesis import settings
from hypothesis import strategies as st

from services.visits import evaluation
from services.visits.commands import EvaluateSubject, Override, ReviewEvaluations
from services.visits.events import EvaluationInputsChanged, LineageStatus, StatusChange, SubjectEvaluated
from shared.events import Event
from shared.identity import Role
from shared.problems import FORBIDDEN, NOT_RANDOMIZED, REASON_REQUIRED, UNKNOWN_SUBJECT, WITHDRAWN, Refusal
from shared.protocol import load_protocol
from shared.signing import AUTHENTICATION_NOT_FRESH
from tests.randomization.examples import ready_to_randomize
from tests.scenario import DAY_0, At, Scenario, given
from tests.visits.courses import BY_2018
from tests.visits.examples import (
    BASELINE,
    EVALUATION,
    INVESTIGATOR,
    MSC,
    NO_REMISSIONS,
    RESPONSE,
    SCREENED_WITH_FINDINGS,
    SIGNATURE,
    History,
    S,
    collected,
    counted,
    dosed,
    evaluated,
    happened,
    in_arm,
    infused,
    left,
    transfused,
)

PROTOCOL = load_protocol()
REVIEW = evaluation.evaluation_review(PROTOCOL)

TREATED = happened(*MSC, *BASELINE, infused(), *RESPONSE)
"""Positions: screened 1, randomized 2, counts 3 and 4, infused 5, counts 6 to 8."""

INPUTS = (3, 4, 6, 7, 8)


def evaluate(
    timepoint: str = "M3",
    days: float = 93,
    reason: str | None = None,
    override: dict[str, LineageStatus] | None = None,
) -> EvaluateSubject:
    return EvaluateSubject(
        subject=S,
        timepoint=timepoint,
        occurred_at=DAY_0 + timedelta(days=days),
        reason=reason,
        override=None if override is None else Override(lineages=override),
    )


def only(history: Scenario, command: EvaluateSubject) -> SubjectEvaluated:
    result = history.when(EVALUATION, command)
    assert result.problem is None, result.problem
    (event,) = result.events
    assert isinstance(event, SubjectEvaluated)
    return event


def test_a_rise_that_lasts_is_an_improvement_and_names_what_it_rests_on() -> None:
    given(*TREATED).when(EVALUATION, evaluate()).records(evaluated(inputs=INPUTS))


def test_a_rise_of_one_month_is_provisional_until_a_later_count_confirms_it() -> None:
    late = collected(30, counted(3, HGB="95", PLT="150", NEUT="1.9"))
    history = happened(*MSC, *BASELINE, infused(), late, *RESPONSE[1:], At(evaluated(hi_e="provisional"), 93))
    month_4 = collected(122, counted(6, HGB="104", PLT="150", NEUT="1.9"))
    first = only(given(*history[:-1]), evaluate())
    assert (first.lineages["HI-E"], first.response) == ("provisional", "SD")
    again = only(given(*history, month_4), evaluate(days=122, reason="the count of month 4 is there"))
    assert (again.lineages["HI-E"], again.response, again.inputs) == ("confirmed", "HI", (3, 4, 7, 8, 10))


def test_counts_of_later_days_are_not_known_yet() -> None:
    history = given(*TREATED, collected(120, counted(6, HGB="70", PLT="150", NEUT="1.9")))
    assert only(history, evaluate()).inputs == INPUTS


def test_ciclosporins_day_0_is_that_of_its_first_dose() -> None:
    history = happened(*in_arm("CSA"), *BASELINE, At(dosed("4"), 5), dosed(), *RESPONSE)
    assert only(given(*history), evaluate()).response == "HI"


def test_an_evaluation_is_open_from_the_first_day_of_its_window() -> None:
    history = given(*TREATED)
    history.when(EVALUATION, evaluate(days=76)).rejects(evaluation.EVALUATION_NOT_OPEN, opens_on="2026-03-19")
    assert only(history, evaluate(days=77)).timepoint == "M3"


def test_until_treatment_begins_the_window_is_counted_from_randomization() -> None:
    assert only(given(*MSC), evaluate(days=77)).response == "NE"


def test_the_last_timepoint_of_the_protocol_is_the_final_one() -> None:
    assert [only(given(*TREATED), evaluate(each, days=365)).final for each in ("M3", "M6", "M12")] == [
        False,
        False,
        True,
    ]


def test_a_time_that_the_protocol_does_not_plan_is_refused() -> None:
    given(*TREATED).when(EVALUATION, evaluate("M9", days=300)).rejects(
        evaluation.TIMEPOINT_NOT_PLANNED, timepoints=["M3", "M6", "M12"]
    )


def test_a_second_evaluation_of_a_timepoint_needs_a_reason() -> None:
    history = given(*TREATED, At(evaluated(inputs=INPUTS), 93))
    history.when(EVALUATION, evaluate(days=94)).rejects(REASON_REQUIRED)
    history.when(EVALUATION, evaluate(days=94, reason="a count was corrected")).records(evaluated(inputs=INPUTS))


def test_a_transfusion_washes_out_the_haemoglobin_after_it() -> None:
    history = happened(*TREATED, At(transfused(), 85))
    event = only(given(*history), evaluate())
    assert (event.lineages["HI-E"], event.grounds["HI-E"]) == ("not-evaluable", "count-transfused")
    assert event.inputs == (3, 4, 8, 9)  # the baseline, the count of month 3, and the transfusion that influences it


@settings(max_examples=20)
@given_examples(st.permutations((*BASELINE, infused(), At(transfused(), 40), *RESPONSE)))
def test_the_order_in_which_results_arrive_does_not_matter(arrivals: list[Event | At]) -> None:
    event = only(given(*SCREENED_WITH_FINDINGS, *arrivals), evaluate())
    in_order = only(given(*SCREENED_WITH_FINDINGS, *BASELINE, infused(), At(transfused(), 40), *RESPONSE), evaluate())
    assert (event.lineages, event.grounds, event.findings) == (in_order.lineages, in_order.grounds, in_order.findings)
    assert len(event.inputs) == len(in_order.inputs)


def test_the_protocol_chooses_the_rule_set() -> None:
    by_2018 = evaluation.evaluation(BY_2018, INVESTIGATOR, DAY_0)
    assert only(given(*TREATED), evaluate()).rule_set == "IWG-2006"
    (event,) = given(*TREATED).when(by_2018, evaluate()).events
    assert isinstance(event, SubjectEvaluated)
    assert (event.rule_set, event.lineages["HI-E"]) == ("IWG-2018", "confirmed")


def test_a_remission_is_evaluated_where_there_were_blasts_to_clear() -> None:
    marrows = (collected(-5, counted(8, BLAST_BM="8")), collected(91, counted(9, BLAST_BM="4")))
    event = only(given(*MSC, *BASELINE, marrows[0], infused(), *RESPONSE, marrows[1]), evaluate())
    assert event.remissions == {"CR": "not-met", "PR": "not-met", "mCR": "provisional"}
    assert (event.grounds["CR"], event.grounds["mCR"]) == ("blood-criterion-not-met", "remission-not-yet-lasting")


@pytest.mark.parametrize("status", ["P", "X", "D", "W"])
def test_a_result_that_is_not_final_is_nothing_to_rest_on(status: Any) -> None:
    value = "102" if status == "P" else None
    last = collected(91, counted(5, status, HGB=value))
    event = only(given(*TREATED[:-1], last), evaluate())
    assert (event.lineages["HI-E"], event.inputs) == ("not-evaluable", (3, 4))


def test_a_corrected_result_takes_the_place_of_the_first() -> None:
    corrected = collected(91, counted(5, "C", supersedes=8, HGB="88"))
    event = only(given(*TREATED, corrected), evaluate())
    assert (event.lineages["HI-E"], event.inputs) == ("not-met", (3, 4, 9))


def test_a_preliminary_word_on_a_final_result_changes_nothing() -> None:
    late = collected(91, counted(5, "P", current=False, HGB="60"))
    given(*TREATED, late).when(EVALUATION, evaluate()).records(evaluated(inputs=INPUTS))


def test_blasts_of_screening_are_the_baseline_where_no_marrow_was_reported() -> None:
    history = happened(
        *SCREENED_WITH_FINDINGS, *BASELINE, infused(), *RESPONSE, collected(90, counted(7, BLAST_BM="6"))
    )
    event = only(given(*history), evaluate())
    assert (event.response, event.findings, event.inputs) == ("PD", ("blasts-increased",), (2, 4, 5, 7, 8, 9, 10))


def test_a_marrow_of_the_laboratory_goes_before_the_findings_of_screening() -> None:
    before = collected(-5, counted(8, BLAST_BM="4.5"))
    history = happened(*SCREENED_WITH_FINDINGS, before, infused(), collected(90, counted(7, BLAST_BM="6")))
    assert only(given(*history), evaluate()).findings == ()


@pytest.mark.parametrize(
    ("history", "refusal"),
    [((), UNKNOWN_SUBJECT), (ready_to_randomize(S), NOT_RANDOMIZED), (happened(*MSC, left("study")), WITHDRAWN)],
)
def test_only_who_is_followed_is_evaluated(history: History, refusal: Refusal) -> None:
    given(*history).when(EVALUATION, evaluate()).rejects(refusal)


class TestReview:
    """What a corrected result means for the evaluations that were made before it."""

    COMMAND = ReviewEvaluations(subject=S)
    EVALUATED = happened(*TREATED, At(evaluated(inputs=INPUTS), 93))

    def changed(
        self, inputs: tuple[int, ...], hi_e: Any = "confirmed", response: Any = "HI"
    ) -> EvaluationInputsChanged:
        said = (("HI-E", "confirmed", hi_e), ("response", "HI", response))
        return EvaluationInputsChanged(
            added=tuple(each for each in inputs if each not in INPUTS),
            removed=tuple(each for each in INPUTS if each not in inputs),
            changes=tuple(StatusChange(criterion=c, before=b, after=a) for c, b, a in said if a != b),
            subject=S,
            site="01",
            timepoint="M3",
            evaluation=9,
            inputs=inputs,
            lineages=evaluated(hi_e=hi_e).lineages,
            progression=False,
            response=response,
            outcome_changed=hi_e != "confirmed",
            remissions=NO_REMISSIONS,
        )

    def corrected(self, haemoglobin_g_L: str) -> At:  # noqa: N803
        return collected(61, counted(4, "C", supersedes=7, HGB=haemoglobin_g_L))

    def test_without_a_correction_there_is_nothing_to_note(self) -> None:
        given(*self.EVALUATED).when(REVIEW, self.COMMAND).records()

    def test_a_correction_of_a_result_that_it_does_not_rest_on_is_not_noted(self) -> None:
        creatinine = collected(61, counted(9, "C", supersedes=2, CREAT="80"))
        given(*self.EVALUATED, creatinine).when(REVIEW, self.COMMAND).records()

    def test_a_correction_that_leaves_the_outcome_is_noted_once(self) -> None:
        history = happened(*self.EVALUATED, self.corrected("104"))
        noted = self.changed(inputs=(3, 4, 6, 8, 10))
        given(*history).when(REVIEW, self.COMMAND).records(noted)
        given(*history, noted).when(REVIEW, self.COMMAND).records()

    def test_a_correction_that_turns_the_outcome_is_noted_with_the_new_one(self) -> None:
        turned = self.changed(inputs=(3, 4, 8, 10), hi_e="provisional", response="SD")
        given(*self.EVALUATED, self.corrected("90")).when(REVIEW, self.COMMAND).records(turned)

    def test_a_correction_of_the_correction_is_noted_again(self) -> None:
        turned = self.changed(inputs=(3, 4, 8), hi_e="provisional", response="SD")
        history = happened(*self.EVALUATED, self.corrected("90"), turned, self.corrected("104"))
        given(*history).when(REVIEW, self.COMMAND).records(self.changed(inputs=(3, 4, 6, 8, 12)))

    def test_a_result_of_a_later_day_is_none_that_the_evaluation_could_have_known(self) -> None:
        later = collected(100, counted(9, "C", supersedes=2, HGB="60"))
        given(*self.EVALUATED, later).when(REVIEW, self.COMMAND).records()

    def test_who_is_not_in_the_trial_has_nothing_to_review(self) -> None:
        given().when(REVIEW, self.COMMAND).records()

    def test_an_override_stands_as_long_as_the_rule_set_says_what_it_said_then(self) -> None:
        late = collected(30, counted(3, HGB="95", PLT="150", NEUT="1.9"))
        history = happened(*MSC, *BASELINE, infused(), late, *RESPONSE[1:])
        judged = only(given(*history), evaluate(reason="seen by two", override={"HI-E": "confirmed"}))
        history = happened(*history, At(judged, 93))
        (noted,) = given(*history, self.corrected("104")).when(REVIEW, self.COMMAND).events
        assert isinstance(noted, EvaluationInputsChanged)
        assert (noted.outcome_changed, noted.lineages["HI-E"], noted.response) == (False, "confirmed", "HI")
        lower = collected(91, counted(5, "C", supersedes=8, HGB="88"))
        (turned,) = given(*history, lower).when(REVIEW, self.COMMAND).events
        assert isinstance(turned, EvaluationInputsChanged)
        assert (turned.outcome_changed, turned.lineages["HI-E"], turned.response) == (True, "not-met", "SD")

    def test_a_late_first_result_counts_like_a_corrected_one(self) -> None:
        history = happened(*TREATED[:-1], At(evaluated(hi_e="not-evaluable", response="NE", inputs=(3, 4)), 93))
        late = collected(91, counted(5, HGB="102", PLT="150", NEUT="1.9"))
        (change,) = given(*history, late).when(REVIEW, self.COMMAND).events
        assert isinstance(change, EvaluationInputsChanged)
        assert (change.added, change.removed, change.outcome_changed) == ((6, 7, 9), (), True)
        assert StatusChange(criterion="HI-E", before="not-evaluable", after="confirmed") in change.changes

    def test_a_transfusion_that_is_entered_late_washes_out_what_was_counted_after_it(self) -> None:
        (change,) = given(*self.EVALUATED, At(transfused(), 85)).when(REVIEW, self.COMMAND).events
        assert isinstance(change, EvaluationInputsChanged)
        assert (change.added, change.removed, change.lineages["HI-E"]) == ((10,), (6, 7), "not-evaluable")

    def test_a_treatment_that_is_entered_late_moves_day_0_and_so_what_is_judged(self) -> None:
        history = happened(*MSC, *BASELINE, *RESPONSE, At(evaluated(inputs=(3, 4, 5, 6, 7)), 93))
        (change,) = given(*history, At(infused(), 60)).when(REVIEW, self.COMMAND).events
        assert isinstance(change, EvaluationInputsChanged)
        assert change.outcome_changed

    def test_an_evaluation_that_was_made_anew_since_is_reviewed_as_well(self) -> None:
        anew = At(evaluated(inputs=INPUTS), 95)
        changes = given(*self.EVALUATED, anew, self.corrected("90")).when(REVIEW, self.COMMAND).events
        assert [change.evaluation for change in changes if isinstance(change, EvaluationInputsChanged)] == [9, 10]


class TestSignature:
    """Who makes an evaluation a moment after having authenticated signs it by this (21 CFR 11.50, 11.200)."""

    @pytest.mark.parametrize(("minutes", "signature"), [(0, SIGNATURE), (5, SIGNATURE), (5.1, None)])
    def test_it_is_signed_by_an_investigator_with_fresh_authentication(self, minutes: float, signature: Any) -> None:
        rules = evaluation.evaluation(PROTOCOL, INVESTIGATOR, DAY_0 + timedelta(minutes=minutes))
        (event,) = given(*TREATED).when(rules, evaluate()).events
        assert isinstance(event, SubjectEvaluated)
        assert event.signature == signature

    def test_nobody_elses_evaluation_is_signed(self) -> None:
        rules = evaluation.evaluation(PROTOCOL, replace(INVESTIGATOR, role=Role.ADMIN), DAY_0)
        (event,) = given(*TREATED).when(rules, evaluate()).events
        assert isinstance(event, SubjectEvaluated)
        assert event.signature is None


class TestOverride:
    """An investigator may judge a lineage otherwise than the rule set, signed and with a reason."""

    LATE = happened(
        *MSC, *BASELINE, infused(), collected(30, counted(3, HGB="95", PLT="150", NEUT="1.9")), *RESPONSE[1:]
    )
    OVERRIDE = evaluate(reason="the count of month 1 was low for a bleeding", override={"HI-E": "confirmed"})

    def test_both_what_was_computed_and_what_holds_are_recorded(self) -> None:
        event = only(given(*self.LATE), self.OVERRIDE)
        assert (event.computed["HI-E"], event.lineages["HI-E"], event.response) == ("provisional", "confirmed", "HI")
        assert event.grounds["HI-E"] == "rise-not-yet-lasting"
        assert event.overridden == {"HI-E": "confirmed"}

    def test_it_needs_a_reason_an_investigator_and_fresh_authentication(self) -> None:
        history = given(*self.LATE)
        unreasoned = self.OVERRIDE.model_copy(update={"reason": None})
        history.when(EVALUATION, unreasoned).rejects(REASON_REQUIRED)
        stale = evaluation.evaluation(PROTOCOL, INVESTIGATOR, DAY_0 + timedelta(minutes=6))
        history.when(stale, self.OVERRIDE).rejects(AUTHENTICATION_NOT_FRESH)
        admin = evaluation.evaluation(PROTOCOL, replace(INVESTIGATOR, role=Role.ADMIN), DAY_0)
        history.when(admin, self.OVERRIDE).rejects(FORBIDDEN)

    def test_it_says_something_else_of_a_lineage_that_is_judged(self) -> None:
        history = given(*self.LATE)
        same = evaluate(reason="seen", override={"HI-E": "provisional", "HI-P": "confirmed"})
        history.when(EVALUATION, same).rejects(evaluation.OVERRIDE_CHANGES_NOTHING, lineages=["HI-E"])
        unknown = evaluate(reason="seen", override={"HI-X": "confirmed"})
        history.when(EVALUATION, unknown).rejects(evaluation.UNKNOWN_LINEAGE, lineages=["HI-X"])

    def test_progression_stays_what_it_is(self) -> None:
        history = happened(*SCREENED_WITH_FINDINGS, *BASELINE, infused(), collected(90, counted(7, BLAST_BM="6")))
        event = only(given(*history), self.OVERRIDE)
        assert (event.lineages["HI-E"], event.progression, event.response) == ("confirmed", True, "PD")
