"""Treatment and observation: each dose by its rule, each refusal named, and nothing recorded by a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from services.visits import domain
from services.visits.commands import CheckInfusionSafety, DoseCiclosporin
from services.visits.events import InfusionSafetyChecked, SecondDoseIneligible, StatusReason
from services.visits.subject import OTHER_TREATMENT
from shared.decision import Command, Decider
from shared.problems import NOT_RANDOMIZED, REASON_REQUIRED, UNKNOWN_SUBJECT, WITHDRAWN, Refusal
from tests.randomization.examples import ready_to_randomize
from tests.scenario import DAY_0, At, given
from tests.visits.examples import (
    ADVERSE_EVENTS,
    CERTIFICATE,
    CICLOSPORIN,
    CSA,
    DOSE_CICLOSPORIN,
    ELIGIBLE,
    INFUSION,
    INFUSION_SAFETY,
    LOOK,
    MSC,
    RESPONDER,
    SYMPTOMS,
    TRANSFUSE,
    TRANSFUSION,
    History,
    S,
    dosed,
    evaluated,
    happened,
    infuse,
    infused,
    left,
    report,
    reported,
    score,
    scored,
    transfused,
)


class TestInfusion:
    def test_the_protocols_dose_is_no_deviation(self) -> None:
        given(*MSC).when(INFUSION, infuse()).records(infused())

    @pytest.mark.parametrize(("volume_mL", "cells_per_kg"), [("11.25", 900_000), ("13.75", 1_100_000)])
    def test_a_dose_at_the_tolerance_is_no_deviation(self, volume_mL: str, cells_per_kg: int) -> None:  # noqa: N803
        result = given(*MSC).when(INFUSION, infuse(volume_mL=volume_mL))
        result.records(infused(cells_per_kg=cells_per_kg, volume_mL=volume_mL))

    def test_a_dose_outside_the_tolerance_is_recorded_as_a_deviation(self) -> None:
        given(*MSC).when(INFUSION, infuse(volume_mL="10")).records(infused(cells_per_kg=800_000, volume_mL="10"))

    @pytest.mark.parametrize(
        ("shown", "failed"),
        [
            ({"viability_pct": "80"}, ["viability"]),
            ({"cd73_pct": "94.9"}, ["cd73"]),
            ({"cd90_pct": "94.9", "cd105_pct": "94.9"}, ["cd90", "cd105"]),
            ({"negative_markers_pct": "2.1"}, ["negative-markers"]),
            ({"sterility": "positive"}, ["sterility"]),
            ({"mycoplasma": "positive"}, ["mycoplasma"]),
            ({"endotoxin_EU_per_kg": "5.1"}, ["endotoxin"]),
            ({"karyotype": "abnormal"}, ["karyotype"]),
        ],
    )
    def test_a_lot_that_fails_release_is_not_infused_and_says_why(
        self, shown: dict[str, Any], failed: list[str]
    ) -> None:
        given(*MSC).when(INFUSION, infuse(**shown)).rejects(domain.LOT_NOT_RELEASED, failed_criteria=failed)

    def test_a_lot_at_the_limits_of_release_is_infused(self) -> None:
        limits: dict[str, Any] = {"cd73_pct": "95", "negative_markers_pct": "2", "endotoxin_EU_per_kg": "5"}
        assert given(*MSC).when(INFUSION, infuse(**limits)).problem is None

    def test_a_dose_is_given_once(self) -> None:
        given(*MSC, infused()).when(INFUSION, infuse()).rejects(domain.DOSE_GIVEN, dose_number=1)

    def test_ciclosporins_arm_is_given_no_cells(self) -> None:
        given(*CSA).when(INFUSION, infuse()).rejects(OTHER_TREATMENT, arm="CSA")

    def test_who_left_the_treatment_is_given_no_cells(self) -> None:
        given(*MSC, left("treatment")).when(INFUSION, infuse()).rejects(WITHDRAWN)

    def test_the_protocol_plans_two_doses(self) -> None:
        given(*RESPONDER).when(INFUSION, infuse(3)).rejects(domain.DOSE_NOT_PLANNED, dose_number=3)


class TestSecondInfusion:
    def test_a_responder_that_was_found_eligible_is_given_the_second_dose(self) -> None:
        given(*RESPONDER, ELIGIBLE).when(INFUSION, infuse(2, days=98)).records(infused(2))

    def test_who_is_faster_than_the_policy_records_the_eligibility_with_the_dose(self) -> None:
        given(*RESPONDER).when(INFUSION, infuse(2, days=98)).records(ELIGIBLE, infused(2))

    def test_there_is_no_second_dose_before_the_first(self) -> None:
        given(*MSC).when(INFUSION, infuse(2)).rejects(domain.FIRST_DOSE_MISSING)

    def test_there_is_no_second_dose_before_the_evaluation(self) -> None:
        because = [{"code": "evaluation-missing", "position": None}]
        given(*MSC, infused()).when(INFUSION, infuse(2, days=98)).rejects(
            domain.SECOND_DOSE_NOT_ELIGIBLE, state="pending", because=because
        )

    def test_an_evaluation_that_no_investigator_signed_opens_no_second_dose(self) -> None:
        because = [{"code": "evaluation-unsigned", "position": 4}]
        unsigned = happened(*MSC, infused(), At(evaluated(signed=False), 93))
        given(*unsigned).when(INFUSION, infuse(2, days=98)).rejects(
            domain.SECOND_DOSE_NOT_ELIGIBLE, state="pending", because=because
        )

    def test_who_did_not_respond_is_given_no_second_dose(self) -> None:
        history = given(*MSC, infused(), At(evaluated(hi_e="not-met", response="SD"), 93))
        history.when(INFUSION, infuse(2, days=98)).rejects(
            domain.SECOND_DOSE_NOT_ELIGIBLE,
            state="not-eligible",
            because=[{"code": "response-not-met", "position": 4}],
        )

    def test_a_provisional_response_waits_until_the_window_closes(self) -> None:
        history = given(*MSC, infused(), At(evaluated(hi_e="provisional", response="SD"), 93))
        history.when(INFUSION, infuse(2, days=126)).rejects(domain.SECOND_DOSE_NOT_ELIGIBLE, state="pending")
        history.when(INFUSION, infuse(2, days=127)).rejects(domain.SECOND_DOSE_NOT_ELIGIBLE, state="not-eligible")

    def test_what_happened_since_the_eligibility_was_recorded_bars_all_the_same(self) -> None:
        reaction = reported(grade=3, infusion_reaction=True)
        given(*RESPONDER, ELIGIBLE, At(reaction, 97)).when(INFUSION, infuse(2, days=98)).rejects(
            domain.SECOND_DOSE_NOT_ELIGIBLE, because=[{"code": "severe-infusion-reaction", "position": 6}]
        )

    def test_an_eligibility_that_was_taken_back_opens_no_second_dose(self) -> None:
        taken_back = SecondDoseIneligible(subject=S, site="01", because=(StatusReason(code="progression", position=6),))
        history = happened(*RESPONDER, ELIGIBLE, At(evaluated(progression=True, response="PD"), 96), taken_back)
        given(*history).when(INFUSION, infuse(2, days=98)).rejects(
            domain.SECOND_DOSE_NOT_ELIGIBLE, because=[{"code": "progression", "position": 6}]
        )


class TestInfusionSafety:
    def test_a_look_follows_an_infusion(self) -> None:
        checked = InfusionSafetyChecked(subject=S, site="01", look="S6H-1")
        given(*MSC, infused()).when(INFUSION_SAFETY, LOOK).records(checked)
        given(*MSC, infused(), checked).when(INFUSION_SAFETY, LOOK).records()

    @pytest.mark.parametrize("look", ["S6H-2", "X6H-1", "W-1"])
    def test_a_look_that_follows_no_infusion_is_refused(self, look: str) -> None:
        command = CheckInfusionSafety(subject=S, look=look)
        given(*MSC, infused()).when(INFUSION_SAFETY, command).rejects(domain.LOOK_NOT_PLANNED, look=look)

    def test_ciclosporin_has_no_looks(self) -> None:
        given(*CSA, dosed()).when(INFUSION_SAFETY, LOOK).rejects(domain.LOOK_NOT_PLANNED)


class TestCiclosporin:
    def test_a_first_and_a_changed_dose_are_recorded(self) -> None:
        given(*CSA).when(CICLOSPORIN, DOSE_CICLOSPORIN).records(dosed())
        reduced = DoseCiclosporin(subject=S, mg_per_kg_per_day="3.75", reason="trough above the range")
        given(*CSA, dosed()).when(CICLOSPORIN, reduced).records(dosed("3.75"))

    def test_the_arm_of_the_cells_is_given_no_ciclosporin(self) -> None:
        given(*MSC).when(CICLOSPORIN, DOSE_CICLOSPORIN).rejects(OTHER_TREATMENT, arm="MSC")

    def test_who_left_the_treatment_is_given_no_ciclosporin(self) -> None:
        given(*CSA, left("treatment")).when(CICLOSPORIN, DOSE_CICLOSPORIN).rejects(WITHDRAWN)


class TestSymptoms:
    def test_a_week_is_scored_once(self) -> None:
        given(*MSC).when(SYMPTOMS, score()).records(scored())
        given(*MSC, scored()).when(SYMPTOMS, score(fatigue=4)).rejects(REASON_REQUIRED)

    def test_another_week_needs_no_reason(self) -> None:
        given(*MSC, scored(3)).when(SYMPTOMS, score(4)).records(scored(4))

    def test_a_changed_score_replaces_the_first_with_a_reason(self) -> None:
        changed = score(fatigue=4, reason="transcription error")
        given(*MSC, scored()).when(SYMPTOMS, changed).records(scored(fatigue=4))

    def test_the_same_score_again_changes_nothing(self) -> None:
        given(*MSC, scored()).when(SYMPTOMS, score()).records()

    def test_the_first_and_the_last_week_are_the_protocols(self) -> None:
        given(*MSC).when(SYMPTOMS, score(52)).records(scored(52))
        given(*MSC).when(SYMPTOMS, score(53)).rejects(domain.WEEK_NOT_PLANNED, week=53)

    def test_who_left_the_treatment_is_still_followed(self) -> None:
        given(*MSC, left("treatment")).when(SYMPTOMS, score()).records(scored())


def test_a_transfusion_is_recorded_with_the_haemoglobin_that_it_was_given_for() -> None:
    given(*CSA).when(TRANSFUSION, TRANSFUSE).records(transfused())


EVERY_COMMAND = [
    (INFUSION, infuse()),
    (INFUSION_SAFETY, LOOK),
    (CICLOSPORIN, DOSE_CICLOSPORIN),
    (SYMPTOMS, score()),
    (TRANSFUSION, TRANSFUSE),
    (ADVERSE_EVENTS, report()),
]


@pytest.mark.parametrize(("decider", "command"), EVERY_COMMAND)
@pytest.mark.parametrize(
    ("history", "refusal"),
    [((), UNKNOWN_SUBJECT), (ready_to_randomize(S), NOT_RANDOMIZED)],
    ids=["unknown", "enrolled"],
)
def test_only_who_is_randomized_is_treated_and_observed(
    decider: Decider[Command, object], command: Command, history: History, refusal: Refusal
) -> None:
    given(*history).when(decider, command).rejects(refusal)


@pytest.mark.parametrize(("decider", "command"), [each for each in EVERY_COMMAND if each[0] is not ADVERSE_EVENTS])
def test_who_has_left_the_study_is_neither_treated_nor_observed(
    decider: Decider[Command, object], command: Command
) -> None:
    given(*MSC, left("study")).when(decider, command).rejects(WITHDRAWN)


def test_the_examples_lot_is_the_certificate_of_the_event() -> None:
    assert infuse().product.model_dump(exclude_none=True) == CERTIFICATE
    assert infuse().at == DAY_0
