"""What is impossible in itself is refused; how the steps of a subject fit each other is not asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.visits import adverse_events
from services.visits.commands import EvaluateSubject
from shared.chronology import OUT_OF_ORDER
from shared.decision import Command, Decider
from tests.randomization.examples import randomized, screened
from tests.scenario import DAY_0, At, given
from tests.visits.examples import (
    ADVERSE_EVENTS,
    CICLOSPORIN,
    CSA,
    DOSE_CICLOSPORIN,
    ELIGIBLE,
    EVALUATION,
    INFUSION,
    INFUSION_SAFETY,
    LOOK,
    MSC,
    PROTOCOL,
    RESPONDER,
    SYMPTOMS,
    TRANSFUSE,
    TRANSFUSION,
    History,
    S,
    happened,
    infuse,
    infused,
    report,
    score,
    transfused,
)

SINCE = happened(At(screened(S, birth_year=1960), -9), At(randomized(S, 0), -5))
STARTED = datetime(2010, 4, 30, 16, 0, tzinfo=UTC)  # the first of May at the site
INFUSED_LONG_AGO = happened(*MSC, At(infused(), -6000))


def on_day(command: Command, days: float) -> Command:
    return command.model_copy(update={"occurred_at": DAY_0 + timedelta(days=days)})


@pytest.mark.parametrize(
    ("history", "decider", "command"),
    [
        (MSC, INFUSION, infuse()),
        (INFUSED_LONG_AGO, INFUSION_SAFETY, LOOK),
        (CSA, CICLOSPORIN, DOSE_CICLOSPORIN),
        (MSC, SYMPTOMS, score()),
        (INFUSED_LONG_AGO, EVALUATION, EvaluateSubject(subject=S, timepoint="M3")),
        (MSC, ADVERSE_EVENTS, report()),
    ],
    ids=["infusion", "look", "ciclosporin", "symptoms", "evaluation", "adverse-event"],
)
def test_nothing_happens_before_the_study_started(
    history: History, decider: Decider[Any, Any], command: Command
) -> None:
    before = command.model_copy(update={"occurred_at": STARTED - timedelta(seconds=1)})
    given(*history).when(decider, before).rejects(OUT_OF_ORDER, follows="study-start", earliest="2010-05-01")
    on_its_first_day = command.model_copy(update={"occurred_at": STARTED})
    assert given(*history).when(decider, on_its_first_day).problem is None


def test_nobody_is_aware_of_an_event_before_the_study_started() -> None:
    before = report(aware_at=STARTED - timedelta(seconds=1))
    given(*MSC).when(ADVERSE_EVENTS, before).rejects(OUT_OF_ORDER, follows="study-start", earliest="2010-05-01")
    assert given(*MSC).when(ADVERSE_EVENTS, report(aware_at=STARTED)).problem is None


def test_the_history_of_transfusions_goes_back_before_the_study_as_far_as_the_protocol_says() -> None:
    weeks = PROTOCOL.eligibility.screening.transfusion_history_weeks
    earliest = STARTED - timedelta(weeks=weeks)
    given(*MSC).when(TRANSFUSION, TRANSFUSE.model_copy(update={"occurred_at": earliest})).records(transfused())
    before = TRANSFUSE.model_copy(update={"occurred_at": earliest - timedelta(seconds=1)})
    given(*MSC).when(TRANSFUSION, before).rejects(OUT_OF_ORDER, follows="study-start", earliest="2010-01-09")


@pytest.mark.parametrize(
    ("history", "decider", "command"),
    [
        (MSC, INFUSION, infuse()),
        (CSA, CICLOSPORIN, DOSE_CICLOSPORIN),
        (MSC, SYMPTOMS, score()),
        (MSC, TRANSFUSION, TRANSFUSE),
        (MSC, ADVERSE_EVENTS, report(grade=5, serious=True, seriousness_criteria=("death",))),
        (MSC, ADVERSE_EVENTS, report(aware_at=DAY_0 - timedelta(days=400))),
    ],
    ids=["infusion", "ciclosporin", "symptoms", "transfusion", "death", "awareness"],
)
def test_what_is_dated_before_an_undated_randomization_is_recorded(
    history: History, decider: Decider[Any, Any], command: Command
) -> None:
    assert given(*history).when(decider, on_day(command, -400)).problem is None


def test_a_second_dose_is_not_given_before_the_first() -> None:
    history = given(*RESPONDER)
    history.when(INFUSION, infuse(2, days=-1)).rejects(OUT_OF_ORDER, follows="first-infusion", earliest="2026-01-01")
    history.when(INFUSION, infuse(2, days=0)).records(ELIGIBLE, infused(2))


@pytest.mark.parametrize("days", [90, 127], ids=["before", "after"])
def test_a_responders_second_dose_outside_its_window_is_recorded(days: int) -> None:
    given(*RESPONDER).when(INFUSION, infuse(2, days=days)).records(ELIGIBLE, infused(2))


def test_a_look_is_had_after_its_infusion() -> None:
    history = given(*MSC, infused())
    history.when(INFUSION_SAFETY, on_day(LOOK, -1)).rejects(OUT_OF_ORDER, follows="infusion")
    assert history.when(INFUSION_SAFETY, on_day(LOOK, 0)).problem is None


def test_nobody_is_aware_of_an_event_that_has_not_begun() -> None:
    aware_at = datetime(2025, 12, 28, 15, 59, tzinfo=UTC)  # the last minute of the day at the site
    members: dict[str, Any] = {"aware_at": aware_at}
    history = given(*SINCE)
    history.when(ADVERSE_EVENTS, report(**members, onset_on="2025-12-29")).rejects(
        adverse_events.ONSET_IMPLAUSIBLE, earliest="1960", latest="2025-12-28"
    )
    assert history.when(ADVERSE_EVENTS, report(**members, onset_on="2025-12-28")).problem is None


def test_an_event_may_have_begun_before_consent_but_not_before_the_subject_was_born() -> None:
    history = given(*SINCE)
    assert history.when(ADVERSE_EVENTS, report(onset_on="1960-01-01")).problem is None
    history.when(ADVERSE_EVENTS, report(onset_on="1959-12-31")).rejects(adverse_events.ONSET_IMPLAUSIBLE)
