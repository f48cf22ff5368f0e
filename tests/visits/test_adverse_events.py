"""Adverse events from their report to their end: judged, followed up, reported in time, or void (ICH E2A, E2B)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from services.visits import adverse_events, domain
from services.visits.commands import ConcludeSecondDose
from services.visits.commands_safety import FollowUpAdverseEvent, NullifyAdverseEvent, SubmitSafetyReport
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    ClockEnded,
    ReportKind,
    SafetyReportSubmitted,
    SecondDoseEligible,
    SecondDoseIneligible,
    StatusReason,
)
from services.visits.second_dose import second_dose
from shared.chronology import OUT_OF_ORDER
from shared.decision import Command, Decider
from shared.problems import NOT_RANDOMIZED, REASON_REQUIRED, UNKNOWN_SUBJECT, Refusal
from tests.randomization.examples import ready_to_randomize
from tests.scenario import DAY_0, At, given
from tests.visits.examples import (
    ADVERSE_EVENT,
    ADVERSE_EVENTS,
    ELIGIBLE,
    INFUSION,
    MSC,
    PROTOCOL,
    RESPONDER,
    History,
    S,
    happened,
    infuse,
    left,
    report,
    reported,
)

FOLLOW_UPS = adverse_events.follow_ups(PROTOCOL)
NULLIFICATION = adverse_events.nullification(PROTOCOL)
SUBMISSION = adverse_events.report_submission(PROTOCOL)
SECOND_DOSE = second_dose(PROTOCOL)

DAY = timedelta(days=1)
AE = 3
"""The position of the report in the histories below: screened 1, randomized 2, reported 3."""

HOSPITALISED: dict[str, Any] = {"grade": 3, "serious": True, "seriousness_criteria": ("hospitalisation",)}
FATAL: dict[str, Any] = {"grade": 5, "serious": True, "seriousness_criteria": ("hospitalisation", "death")}

MILD = happened(*MSC, reported())
SERIOUS = happened(*MSC, reported(**HOSPITALISED, sponsor_by=DAY_0 + DAY, authority_on=date(2026, 1, 16)))
"""Known on the first of January: to the sponsor within 24 h, to the authority by the sixteenth."""


def more(days: float = 10, reason: str | None = None, adverse_event: int = AE, **said: Any) -> FollowUpAdverseEvent:
    """What became known some days later, and was recorded at once."""
    at = DAY_0 + timedelta(days=days)
    return FollowUpAdverseEvent(
        subject=S, adverse_event=adverse_event, aware_at=at, occurred_at=at, reason=reason, **said
    )


def followed_up(days: float = 10, adverse_event: int = AE, **members: Any) -> AdverseEventFollowedUp:
    """The mild fever of the examples after a follow-up, but for what is said of it."""
    unsaid = {
        "fatal": False,
        "resolved_on": None,
        "sponsor_by": None,
        "authority_on": None,
        "follow_up_on": None,
        "death_retracted": False,
    }
    known = {name: value for name, value in ADVERSE_EVENT.items() if name not in {"term", "onset_on"}}
    at = {"aware_at": DAY_0 + timedelta(days=days)}
    return AdverseEventFollowedUp(subject=S, site="01", adverse_event=adverse_event, **known | unsaid | at | members)


def ended(report: ReportKind, *, started_by: int = AE, late: bool = False) -> ClockEnded:
    return ClockEnded(started_by=started_by, report=report, late=late)


def handed_in(report: ReportKind, *clocks: ClockEnded) -> SafetyReportSubmitted:
    return SafetyReportSubmitted(subject=S, site="01", adverse_event=AE, report=report, clocks=clocks)


def hand_in(report: ReportKind, days: float) -> SubmitSafetyReport:
    return SubmitSafetyReport(subject=S, adverse_event=AE, report=report, occurred_at=DAY_0 + timedelta(days=days))


NULLIFY = NullifyAdverseEvent(subject=S, adverse_event=AE, reason="recorded under another subject's number")


class TestReport:
    AWARE_AT = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)  # the second of March in the sponsor's zone
    SPONSOR_BY = AWARE_AT + timedelta(hours=24)

    def test_a_mild_event_is_recorded_and_reported_to_nobody(self) -> None:
        given(*MSC).when(ADVERSE_EVENTS, report()).records(reported())

    @pytest.mark.parametrize(
        ("criteria", "authority_on", "follow_up_on"),
        [
            (("hospitalisation",), date(2026, 3, 17), None),
            (("life-threatening",), date(2026, 3, 9), date(2026, 3, 17)),
        ],
    )
    def test_a_serious_related_event_says_by_when_it_is_reported(
        self, criteria: tuple[str, ...], authority_on: date, follow_up_on: date | None
    ) -> None:
        members: dict[str, Any] = {
            "grade": 3,
            "serious": True,
            "seriousness_criteria": criteria,
            "aware_at": self.AWARE_AT,
        }
        due: dict[str, Any] = {
            "sponsor_by": self.SPONSOR_BY,
            "authority_on": authority_on,
            "follow_up_on": follow_up_on,
        }
        given(*MSC).when(ADVERSE_EVENTS, report(**members)).records(reported(**members, **due))

    def test_an_expected_serious_event_goes_to_the_sponsor_alone(self) -> None:
        members: dict[str, Any] = {
            "serious": True,
            "seriousness_criteria": ("hospitalisation",),
            "expected": True,
            "aware_at": self.AWARE_AT,
        }
        expected = reported(**members, sponsor_by=self.SPONSOR_BY)
        given(*MSC).when(ADVERSE_EVENTS, report(**members)).records(expected)

    @pytest.mark.parametrize("members", [{"grade": 5}, {"grade": 4, "outcome": "fatal"}])
    def test_an_event_of_grade_5_or_of_fatal_outcome_is_fatal(self, members: dict[str, Any]) -> None:
        command = report(**members, serious=True, seriousness_criteria=("death",), related=False)
        (event,) = given(*MSC).when(ADVERSE_EVENTS, command).events
        assert event.model_dump()["fatal"] is True

    @pytest.mark.parametrize(
        "members",
        [
            {"serious": True},
            {"seriousness_criteria": ("hospitalisation",)},
            {"serious": True, "seriousness_criteria": ("very-annoying",)},
            {"grade": 5},
            {"outcome": "fatal"},
        ],
    )
    def test_seriousness_without_the_protocols_criteria_is_refused(self, members: dict[str, Any]) -> None:
        given(*MSC).when(ADVERSE_EVENTS, report(**members)).rejects(
            adverse_events.SERIOUSNESS_INVALID, criteria=list(PROTOCOL.safety.seriousness_criteria)
        )

    @pytest.mark.parametrize("onset_on", ["2026-01-02", "1901"])
    def test_an_event_that_began_after_it_was_recorded_or_before_anybodys_time_is_refused(self, onset_on: str) -> None:
        given(*MSC).when(ADVERSE_EVENTS, report(onset_on=onset_on)).rejects(
            adverse_events.ONSET_IMPLAUSIBLE, latest="2026-01-01"
        )

    @pytest.mark.parametrize("onset_on", ["2025-12", "2026-01", "2026", "1960"])
    def test_an_onset_is_kept_as_exact_as_it_is_known_and_refused_only_where_no_day_of_it_can_be(
        self, onset_on: str
    ) -> None:
        given(*MSC).when(ADVERSE_EVENTS, report(onset_on=onset_on)).records(reported(onset_on=onset_on))

    @pytest.mark.parametrize("scope", ["treatment", "study"])
    def test_safety_is_followed_after_a_withdrawal(self, scope: str) -> None:
        given(*MSC, left(scope)).when(ADVERSE_EVENTS, report()).records(reported())


class TestFollowUp:
    def test_the_course_of_an_event_goes_on_without_a_reason(self) -> None:
        command = more(outcome="recovered", resolved_on="2026-01", action_taken="not-changed")
        expected = followed_up(outcome="recovered", resolved_on="2026-01", action_taken="not-changed")
        given(*MILD).when(FOLLOW_UPS, command).records(expected)

    @pytest.mark.parametrize(
        "said", [{"grade": 2}, {"related": False}, {"expected": True}, {"infusion_reaction": True}, HOSPITALISED]
    )
    def test_a_changed_judgement_needs_a_reason(self, said: dict[str, Any]) -> None:
        given(*MILD).when(FOLLOW_UPS, more(**said)).rejects(REASON_REQUIRED)
        assert given(*MILD).when(FOLLOW_UPS, more(**said, reason="seen on the ward")).problem is None

    def test_another_end_of_what_had_ended_is_a_correction(self) -> None:
        history = given(*MILD, followed_up(outcome="recovered", resolved_on="2026-01-05"))
        history.when(FOLLOW_UPS, more(outcome="not-recovered")).rejects(REASON_REQUIRED)
        history.when(FOLLOW_UPS, more(resolved_on="2026-01-06")).rejects(REASON_REQUIRED)

    def test_what_is_not_said_stays_as_it_was(self) -> None:
        history = given(*MILD, followed_up(grade=2, outcome="recovering"))
        expected = followed_up(11, grade=2, outcome="recovered")
        history.when(FOLLOW_UPS, more(11, outcome="recovered")).records(expected)

    @pytest.mark.parametrize("said", [{}, {"grade": 1}, {"serious": False, "seriousness_criteria": ()}])
    def test_a_follow_up_that_says_nothing_new_is_refused(self, said: dict[str, Any]) -> None:
        given(*MILD).when(FOLLOW_UPS, more(**said)).rejects(adverse_events.UNCHANGED)

    @pytest.mark.parametrize(
        "said", [{"serious": True}, {"grade": 5}, {"outcome": "fatal"}, {"seriousness_criteria": ("very-annoying",)}]
    )
    def test_seriousness_is_borne_out_by_the_protocols_criteria(self, said: dict[str, Any]) -> None:
        command = more(**said, reason="seen on the ward")
        given(*MILD).when(FOLLOW_UPS, command).rejects(adverse_events.SERIOUSNESS_INVALID)

    @pytest.mark.parametrize("resolved_on", ["2025-12-31", "2025-12", "2026-01-12", "2026-02", "2027"])
    def test_an_event_ends_after_it_began_and_not_after_it_is_known(self, resolved_on: str) -> None:
        given(*MILD).when(FOLLOW_UPS, more(resolved_on=resolved_on)).rejects(
            adverse_events.RESOLUTION_IMPLAUSIBLE, earliest="2026-01-01", latest="2026-01-11"
        )

    def test_nobody_learns_more_before_anything_was_known(self) -> None:
        command = more(-1, outcome="recovering").model_copy(update={"occurred_at": DAY_0})
        given(*MILD).when(FOLLOW_UPS, command).rejects(OUT_OF_ORDER, follows="adverse-event-awareness")

    @pytest.mark.parametrize("adverse_event", [1, 99])
    def test_it_is_of_an_event_of_the_subject(self, adverse_event: int) -> None:
        given(*MILD).when(FOLLOW_UPS, more(adverse_event=adverse_event)).rejects(adverse_events.UNKNOWN_ADVERSE_EVENT)

    @pytest.mark.parametrize("scope", ["treatment", "study"])
    def test_safety_is_followed_after_a_withdrawal(self, scope: str) -> None:
        assert given(*MILD, left(scope)).when(FOLLOW_UPS, more(outcome="recovered")).problem is None


class TestUpgrade:
    def test_an_event_that_becomes_serious_starts_every_clock_from_that_awareness(self) -> None:
        expected = followed_up(**HOSPITALISED, sponsor_by=DAY_0 + 11 * DAY, authority_on=date(2026, 1, 26))
        given(*MILD).when(FOLLOW_UPS, more(**HOSPITALISED, reason="admitted")).records(expected)

    def test_an_upgrade_to_fatal_starts_its_own_clock_and_the_earlier_stays(self) -> None:
        upgrade = followed_up(
            **FATAL,
            fatal=True,
            sponsor_by=DAY_0 + 11 * DAY,
            authority_on=date(2026, 1, 18),
            follow_up_on=date(2026, 1, 26),
        )
        given(*SERIOUS).when(FOLLOW_UPS, more(**FATAL, reason="died")).records(upgrade)
        too_late_for_the_first = handed_in(
            "authority", ended("authority", late=True), ended("authority", started_by=4, late=False)
        )
        given(*SERIOUS, upgrade).when(SUBMISSION, hand_in("authority", 16)).records(too_late_for_the_first)

    def test_a_fatal_event_that_is_not_suspected_goes_to_the_sponsor_alone(self) -> None:
        history = given(*MSC, reported(**HOSPITALISED, related=False, sponsor_by=DAY_0 + DAY))
        expected = followed_up(**FATAL, related=False, fatal=True, sponsor_by=DAY_0 + 11 * DAY)
        history.when(FOLLOW_UPS, more(**FATAL, reason="died")).records(expected)

    def test_an_event_that_comes_to_be_suspected_goes_to_the_authority_from_then_on(self) -> None:
        history = given(*MSC, reported(**HOSPITALISED, related=False, sponsor_by=DAY_0 + DAY))
        expected = followed_up(**HOSPITALISED, sponsor_by=DAY_0 + 11 * DAY, authority_on=date(2026, 1, 26))
        history.when(FOLLOW_UPS, more(related=True, reason="no other cause was found")).records(expected)

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ({"outcome": "recovering"}, None),
            ({"grade": 2, "serious": False, "seriousness_criteria": ()}, "was not admitted"),
            ({"expected": True}, "stands in the brochure"),
        ],
    )
    def test_what_else_becomes_known_of_a_case_for_the_authority_goes_there_within_15_days(
        self, said: dict[str, Any], reason: str | None
    ) -> None:
        expected = followed_up(**HOSPITALISED | said, follow_up_on=date(2026, 1, 26))
        given(*SERIOUS).when(FOLLOW_UPS, more(**said, reason=reason)).records(expected)

    def test_a_downgrade_shortens_nothing_that_was_due(self) -> None:
        downgrade = followed_up(grade=2, follow_up_on=date(2026, 1, 26))
        given(*SERIOUS, downgrade).when(SUBMISSION, hand_in("authority", 20)).records(
            handed_in("authority", ended("authority", late=True))
        )


class TestSubmission:
    @pytest.mark.parametrize(("days", "late"), [(0.5, False), (1, False), (1.01, True)])
    def test_a_report_to_the_sponsor_is_late_after_24_hours(self, days: float, late: bool) -> None:
        given(*SERIOUS).when(SUBMISSION, hand_in("sponsor", days)).records(
            handed_in("sponsor", ended("sponsor", late=late))
        )

    @settings(max_examples=60)
    @for_all(st.timedeltas(timedelta(), 40 * DAY))
    def test_a_report_to_the_authority_is_late_after_its_last_day_in_the_sponsors_zone(self, since: timedelta) -> None:
        command = hand_in("authority", since / DAY)
        late = (command.at + timedelta(hours=8)).date() > date(2026, 1, 16)  # Asia/Shanghai
        given(*SERIOUS).when(SUBMISSION, command).records(handed_in("authority", ended("authority", late=late)))

    def test_a_clock_is_answered_once_and_no_report_is_handed_in_that_is_not_due(self) -> None:
        history = given(*SERIOUS, handed_in("sponsor", ended("sponsor")))
        history.when(SUBMISSION, hand_in("sponsor", 2)).rejects(adverse_events.REPORT_NOT_DUE, due=["authority"])
        given(*MILD).when(SUBMISSION, hand_in("sponsor", 2)).rejects(adverse_events.REPORT_NOT_DUE, due=[])

    def test_a_report_does_not_answer_for_what_became_known_after_it(self) -> None:
        upgrade = followed_up(**FATAL, fatal=True, sponsor_by=DAY_0 + 11 * DAY)
        given(*SERIOUS, upgrade).when(SUBMISSION, hand_in("sponsor", 1)).records(handed_in("sponsor", ended("sponsor")))


@pytest.mark.parametrize(
    ("history", "refusal"),
    [((), UNKNOWN_SUBJECT), (ready_to_randomize(S), NOT_RANDOMIZED), (MSC, adverse_events.UNKNOWN_ADVERSE_EVENT)],
    ids=["unknown", "enrolled", "without an adverse event"],
)
@pytest.mark.parametrize(
    ("decider", "command"),
    [(FOLLOW_UPS, more(outcome="recovered")), (SUBMISSION, hand_in("sponsor", 1)), (NULLIFICATION, NULLIFY)],
)
def test_there_is_no_later_word_without_a_report(
    decider: Decider[Command, object], command: Command, history: History, refusal: Refusal
) -> None:
    given(*history).when(decider, command).rejects(refusal)


class TestNullification:
    def test_a_report_in_error_is_void_and_nothing_of_it_is_due_any_more(self) -> None:
        void = AdverseEventNullified(
            subject=S,
            site="01",
            adverse_event=AE,
            clocks=(ended("sponsor"), ended("authority")),
            death_retracted=False,
        )
        given(*SERIOUS).when(NULLIFICATION, NULLIFY).records(void)
        for decider, command in (
            (NULLIFICATION, NULLIFY),
            (FOLLOW_UPS, more(outcome="recovered")),
            (SUBMISSION, hand_in("sponsor", 2)),
        ):
            given(*SERIOUS, void).when(decider, command).rejects(adverse_events.NULLIFIED)

    def test_it_takes_a_death_back_unless_the_subject_died_of_something_else_too(self) -> None:
        fatal = reported(**FATAL, fatal=True)
        (event,) = given(*MSC, fatal).when(NULLIFICATION, NULLIFY).events
        assert event.model_dump()["death_retracted"] is True
        (event,) = given(*MSC, fatal, fatal).when(NULLIFICATION, NULLIFY).events
        assert event.model_dump()["death_retracted"] is False

    def test_a_follow_up_may_take_a_death_back_too(self) -> None:
        alive = more(**HOSPITALISED, outcome="recovered", reason="the wrong row was read")
        (event,) = given(*MSC, reported(**FATAL, fatal=True, outcome="fatal")).when(FOLLOW_UPS, alive).events
        assert (event.model_dump()["fatal"], event.model_dump()["death_retracted"]) == (False, True)


class TestSecondDose:
    """Positions: screened 1, randomized 2, infused 3, evaluated 4, reported 5."""

    REACTION = At(reported(grade=1, infusion_reaction=True), 1)
    WORSE = At(followed_up(94, adverse_event=5, grade=3, infusion_reaction=True), 94)
    CONCLUDE = ConcludeSecondDose(subject=S, occurred_at=DAY_0 + 94 * DAY)

    def test_a_follow_up_that_raises_the_grade_of_a_reaction_takes_the_eligibility_back(self) -> None:
        taken_back = SecondDoseIneligible(
            subject=S, site="01", because=(StatusReason(code="severe-infusion-reaction", position=7),)
        )
        history = given(*RESPONDER, self.REACTION, ELIGIBLE, self.WORSE)
        history.when(SECOND_DOSE, self.CONCLUDE).records(taken_back)
        history.when(INFUSION, infuse(2, days=98)).rejects(domain.SECOND_DOSE_NOT_ELIGIBLE)

    def test_a_downgrade_and_a_nullification_give_it_again(self) -> None:
        taken_back = SecondDoseIneligible(subject=S, site="01", because=())
        history = (*RESPONDER, self.REACTION, ELIGIBLE, self.WORSE, taken_back)
        milder = followed_up(95, adverse_event=5, grade=2, infusion_reaction=True)
        void = AdverseEventNullified(subject=S, site="01", adverse_event=5, clocks=(), death_retracted=False)
        for later in (milder, void):
            (event,) = given(*history, At(later, 95)).when(SECOND_DOSE, self.CONCLUDE).events
            assert isinstance(event, SecondDoseEligible)

    @pytest.mark.parametrize(("onset_on", "bars"), [("2025-12-31", False), ("2025", False), ("2026", True)])
    def test_an_onset_that_may_have_been_since_the_first_infusion_bars(self, onset_on: str, bars: bool) -> None:
        severe = At(reported(grade=3, infusion_reaction=True, onset_on=onset_on), 1)
        result = given(*RESPONDER, severe).when(INFUSION, infuse(2, days=98))
        assert (result.problem is not None) is bars
