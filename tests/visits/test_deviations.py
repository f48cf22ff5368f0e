"""What departs from the protocol: found by rules once for each fact, noted by people, and graded (ICH E3 Q&A R1 Q7)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from services.randomization.events import (
    ErrorCause,
    RandomizationMarkedInError,
    SubjectLostToFollowUp,
    WrongTreatmentGiven,
)
from services.visits import deviations
from services.visits.commands_safety import NoteDeviation, RaiseDeviations, RegradeDeviation
from services.visits.events import (
    ClockEnded,
    DeviationKind,
    EvaluationInputsChanged,
    InfusionSafetyChecked,
    ItemMissed,
    ProtocolDeviationGraded,
    ProtocolDeviationRecorded,
    SafetyReportSubmitted,
)
from services.visits.subject import OTHER_TREATMENT
from shared.decision import Command, Decider
from shared.problems import UNKNOWN_SUBJECT
from shared.protocol import DeviationGrade, load_protocol
from tests.randomization.examples import screened
from tests.scenario import DAY_0, At, Scenario, given
from tests.visits.examples import (
    ADVERSE_EVENTS,
    CICLOSPORIN,
    CSA,
    DOSE_CICLOSPORIN,
    ELIGIBLE,
    INFUSION,
    INVESTIGATOR,
    MSC,
    PROTOCOL,
    RESPONDER,
    SYMPTOMS,
    TRANSFUSE,
    TRANSFUSION,
    S,
    dosed,
    evaluated,
    given_by,
    happened,
    infuse,
    infused,
    report,
    reported,
    score,
    scored,
    signature_over,
)

NOTING = deviations.noting(PROTOCOL)
REGRADING = deviations.regrading(PROTOCOL)


def deviation(
    code: str,
    fact: int | None,
    kind: DeviationKind = "treatment",
    grade: DeviationGrade = "important",
    item: str | None = None,
) -> ProtocolDeviationRecorded:
    return ProtocolDeviationRecorded(subject=S, site="01", kind=kind, code=code, grade=grade, item=item, fact=fact)


def raised(scenario: Scenario, fact: int | None = None) -> list[Any]:
    """What the policy records when it comes to the event at a position, the last by default, all else being known."""
    recorded = scenario.history[-1 if fact is None else fact - 1]
    command = RaiseDeviations(subject=S, occurred_at=recorded.occurred_at)
    return list(scenario.when(deviations.deviations_of(PROTOCOL, recorded), command).events)


class TestTreatment:
    @pytest.mark.parametrize(("arm", "treatment"), [(MSC, infused()), (CSA, dosed())])
    @pytest.mark.parametrize("days", [0, 7])
    def test_treatment_may_begin_within_a_week_of_randomization(self, arm: Any, treatment: Any, days: int) -> None:
        assert raised(given(*arm, At(treatment, days))) == []

    @pytest.mark.parametrize(("arm", "treatment"), [(MSC, infused()), (CSA, dosed())])
    def test_treatment_that_began_later_is_a_deviation_once(self, arm: Any, treatment: Any) -> None:
        late = deviation("treatment-started-late", 3, grade="minor")
        assert raised(given(*arm, At(treatment, 8))) == [late]
        assert raised(given(*arm, At(treatment, 8), late), 3) == []

    def test_a_changed_dose_starts_no_treatment(self) -> None:
        assert raised(given(*CSA, At(dosed(), 2), At(dosed("3.75"), 30))) == []

    def test_a_dose_outside_the_tolerance_is_important(self) -> None:
        assert raised(given(*MSC, infused(cells_per_kg=800_000))) == [deviation("dose-outside-tolerance", 3)]

    @pytest.mark.parametrize(("age_days", "found"), [(0, False), (7, False), (8, True), (None, False)])
    def test_a_weight_may_be_a_week_old_and_of_an_unknown_day(self, age_days: int | None, found: bool) -> None:
        weighed_on = None if age_days is None else (DAY_0 - timedelta(days=age_days)).date()
        dose = infused().model_copy(update={"weighed_on": weighed_on})
        expected = [deviation("weight-too-old", 3, grade="minor")] if found else []
        assert raised(given(*MSC, dose)) == expected

    def test_the_treatment_of_another_arm_is_important(self) -> None:
        wrong = WrongTreatmentGiven(subject=S, site="01", arm="MSC", received="CSA", counted_in_balance=True)
        assert raised(given(*MSC, wrong)) == [deviation("wrong-treatment-given", 3)]


class TestMissedItems:
    @pytest.mark.parametrize(
        ("item", "code", "grade"), [("C2", "item-missed", "minor"), ("E3", "evaluation-missed", "important")]
    )
    def test_a_missed_evaluation_is_more_than_a_missed_visit(self, item: str, code: str, grade: Any) -> None:
        day = DAY_0.date()
        missed = ItemMissed(
            subject=S,
            site="01",
            code=item,
            activity="blood-count",
            nominal_on=day,
            opens_on=day,
            closes_on=day,
            protocol_version="1.0",
        )
        assert raised(given(*MSC, missed)) == [deviation(code, 3, "assessment", grade, item=item)]


class TestSecondDose:
    """Positions: screened 1, randomized 2, infused 3, evaluated 4, eligible 5, infused again 6."""

    GIVEN = happened(*RESPONDER, ELIGIBLE, At(infused(2), 98))
    WITHOUT = deviation("second-dose-without-grounds", 6)

    @staticmethod
    def corrected(hi_e: Any, *, evaluation: int = 4, progression: bool = False, outcome_changed: bool = True) -> At:
        return At(
            EvaluationInputsChanged(
                subject=S,
                site="01",
                timepoint="M3",
                evaluation=evaluation,
                inputs=(),
                lineages={"HI-E": hi_e},
                remissions={},
                progression=progression,
                response="SD",
                outcome_changed=outcome_changed,
            ),
            110,
        )

    def test_a_dose_on_standing_grounds_is_none(self) -> None:
        assert raised(given(*self.GIVEN)) == []

    def test_a_correction_that_takes_the_grounds_away_makes_the_given_dose_a_deviation_once(self) -> None:
        history = happened(*self.GIVEN, self.corrected("not-met"))
        assert raised(given(*history)) == [self.WITHOUT]
        assert raised(given(*history, self.WITHOUT, self.corrected("not-met", progression=True))) == []

    def test_a_correction_that_leaves_a_response_leaves_the_grounds(self) -> None:
        assert raised(given(*self.GIVEN, self.corrected("confirmed"))) == []

    @pytest.mark.parametrize(
        ("onset_on", "found"), [("2026-01-02", True), ("2026-03", True), ("2026-04", False), ("2026-04-09", False)]
    )
    def test_of_what_befell_the_subject_counts_what_had_certainly_begun_before_the_dose(
        self, onset_on: str, found: bool
    ) -> None:
        """The second dose was given on the ninth of April."""
        reaction = At(reported(grade=3, infusion_reaction=True, onset_on=onset_on), 110)
        assert raised(given(*self.GIVEN, reaction)) == ([self.WITHOUT] if found else [])

    def test_an_evaluation_that_was_made_anew_after_the_dose_is_not_what_it_rested_on(self) -> None:
        anew = At(evaluated(hi_e="not-met", response="SD"), 120)
        assert raised(given(*self.GIVEN, anew, self.corrected("not-met", evaluation=7))) == []
        assert raised(given(*self.GIVEN, anew, self.corrected("not-met", evaluation=4))) == [self.WITHOUT]

    def test_a_dose_of_a_day_before_its_evaluation_was_made_has_no_grounds(self) -> None:
        """The infusion was entered late, and rests on what was judged after it."""
        assert raised(given(*RESPONDER, ELIGIBLE, At(infused(2), 92)), 6) == [self.WITHOUT]

    @pytest.mark.parametrize(("signed_on", "found"), [(97, False), (98, False), (99, True)])
    def test_a_dose_before_the_signature_over_its_evaluation_has_no_grounds(self, signed_on: int, found: bool) -> None:
        history = happened(*MSC, infused(), At(evaluated(signed=False), 93), At(signature_over(4), signed_on))
        dose = At(infused(2), 98)
        assert raised(given_by(INVESTIGATOR, *history, dose)) == ([self.WITHOUT] if found else [])

    def test_a_dose_on_an_evaluation_that_nobody_signed_has_no_grounds(self) -> None:
        history = happened(*MSC, infused(), At(evaluated(signed=False), 93), ELIGIBLE, At(infused(2), 98))
        assert raised(given(*history)) == [self.WITHOUT]
        assert raised(given_by(INVESTIGATOR, *history, At(signature_over(4), 99)), 6) == [self.WITHOUT]

    def test_a_correction_that_is_taken_back_gives_the_dose_its_grounds_again(self) -> None:
        taken_back = self.corrected("confirmed", outcome_changed=False)
        assert raised(given(*self.GIVEN, self.corrected("not-met"), taken_back)) == []


class TestEligibility:
    @pytest.mark.parametrize(
        ("cause", "expected"),
        [
            ("ineligible", [deviation("eligibility-breached", 3, "eligibility")]),
            ("consent-invalid", [deviation("consent-invalid", 3, "consent")]),
            ("unintended", []),
        ],
    )
    def test_who_was_randomized_without_a_right_to_be(self, cause: ErrorCause, expected: list[Any]) -> None:
        error = RandomizationMarkedInError(subject=S, site="01", cause=cause, counted_in_balance=True)
        assert raised(given(*MSC, error)) == expected


class TestWindows:
    @settings(max_examples=80)
    @for_all(st.integers(1, 52), st.integers(-6, 6))
    def test_the_symptoms_of_a_week_are_scored_within_three_days_of_it(self, week: int, off: int) -> None:
        found = raised(given(*MSC, infused(), At(scored(week), 7 * week + off)))
        expected = deviation("item-out-of-window", 4, "assessment", "minor", f"W{week}")
        assert found == ([expected] if abs(off) > 3 else [])

    def test_a_corrected_score_is_no_second_doing(self) -> None:
        assert raised(given(*MSC, infused(), At(scored(), 21), At(scored(fatigue=4), 60))) == []

    @pytest.mark.parametrize(("days", "found"), [(93, False), (106, True)])
    def test_an_evaluation_after_its_window_is_one(self, days: int, found: bool) -> None:
        expected = deviation("item-out-of-window", 4, "assessment", "minor", "E3")
        assert raised(given(*MSC, infused(), At(evaluated(), days))) == ([expected] if found else [])

    def test_a_look_and_a_second_infusion_have_windows_too(self) -> None:
        look = At(InfusionSafetyChecked(subject=S, site="01", look="D7-1"), 12)
        assert raised(given(*MSC, infused(), look)) == [
            deviation("item-out-of-window", 4, "assessment", "minor", "D7-1")
        ]
        early = given(*RESPONDER, ELIGIBLE, At(infused(2), 80))
        without = deviation("second-dose-without-grounds", 6)
        assert raised(early) == [deviation("item-out-of-window", 6, "assessment", "minor", "INF2"), without]


@pytest.mark.parametrize(("late", "kind"), [(True, "sponsor"), (False, "sponsor"), (True, "authority")])
def test_a_serious_event_that_came_late_to_the_sponsor_is_important(late: bool, kind: Any) -> None:
    clock = ClockEnded(started_by=3, report=kind, late=late)
    handed_in = SafetyReportSubmitted(subject=S, site="01", adverse_event=3, report=kind, clocks=(clock,))
    expected = [deviation("adverse-event-reported-late", 4, "safety-reporting")] if late and kind == "sponsor" else []
    assert raised(given(*MSC, reported(), handed_in)) == expected


class TestByPeople:
    NOTE = NoteDeviation(
        subject=S, kind="other", code="diary-lost", grade="minor", item="W3", reason="left at home", occurred_at=DAY_0
    )
    NOTED = deviation("diary-lost", None, "other", "minor", "W3")

    def test_a_person_notes_what_no_rule_finds_also_in_screening(self) -> None:
        given(*MSC).when(NOTING, self.NOTE).records(self.NOTED)
        given(screened(S)).when(NOTING, self.NOTE).records(self.NOTED)
        given().when(NOTING, self.NOTE).rejects(UNKNOWN_SUBJECT)

    def test_a_person_judges_anew_how_grave_a_deviation_is(self) -> None:
        regrade = RegradeDeviation(subject=S, deviation=3, grade="important", reason="it decides an endpoint")
        regraded = ProtocolDeviationGraded(subject=S, site="01", deviation=3, grade_before="minor", grade="important")
        given(*MSC, self.NOTED).when(REGRADING, regrade).records(regraded)
        given(*MSC, self.NOTED, regraded).when(REGRADING, regrade).rejects(
            deviations.GRADE_UNCHANGED, grade="important"
        )
        unknown = regrade.model_copy(update={"deviation": 2})
        given(*MSC, self.NOTED).when(REGRADING, unknown).rejects(deviations.UNKNOWN_DEVIATION)


def test_the_grades_are_the_protocols() -> None:
    another = load_protocol(Path(__file__).parents[1] / "shared" / "protocol" / "three-arms-2.1.toml")
    assert another.deviations.grade("item-out-of-window") == "important"
    assert PROTOCOL.deviations.grade("item-out-of-window") == "minor"
    assert PROTOCOL.deviations.grade("evaluation-missed") == "important"


LOST = SubjectLostToFollowUp(subject=S, site="01", last_contact_on=None)


@pytest.mark.parametrize(
    ("decider", "command"),
    [(INFUSION, infuse()), (SYMPTOMS, score()), (TRANSFUSION, TRANSFUSE), (ADVERSE_EVENTS, report())],
)
def test_what_is_recorded_of_a_lost_subject_is_taken_as_evidence_of_a_contact(
    decider: Decider[Command, object], command: Command
) -> None:
    assert given(*MSC, LOST).when(decider, command).problem is None


class TestWrongTreatment:
    """The treatment that was given in error is recorded like any other, once the randomization's record says so."""

    @staticmethod
    def wrong(arm: str, received: str) -> WrongTreatmentGiven:
        return WrongTreatmentGiven(subject=S, site="01", arm=arm, received=received, counted_in_balance=True)

    def test_a_dose_that_was_given_in_error_is_recorded(self) -> None:
        given(*CSA).when(INFUSION, infuse()).rejects(OTHER_TREATMENT, arm="CSA")
        given(*CSA, self.wrong("CSA", "MSC")).when(INFUSION, infuse()).records(infused())
        given(*MSC).when(CICLOSPORIN, DOSE_CICLOSPORIN).rejects(OTHER_TREATMENT, arm="MSC")
        given(*MSC, self.wrong("MSC", "CSA")).when(CICLOSPORIN, DOSE_CICLOSPORIN).records(dosed())

    def test_it_is_no_day_0_of_the_subjects_own_arm_and_no_start_of_its_treatment(self) -> None:
        assert raised(given(*CSA, self.wrong("CSA", "MSC"), At(infused(), 20))) == []

    def test_the_arms_own_treatment_may_go_on(self) -> None:
        given(*CSA, self.wrong("CSA", "MSC")).when(CICLOSPORIN, DOSE_CICLOSPORIN).records(dosed())
