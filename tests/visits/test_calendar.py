"""A subject's schedule from the rows of the read model: day 0, what did which item, what an ending cancels."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.visits.answers import SubjectSchedule
from services.visits.calendar import Calendar
from services.visits.projections import Collected, Kind, Performed, Subject
from services.visits.schedule import ItemState
from shared.protocol import load_protocol
from tests.scenario import DAY_0
from tests.visits.examples import S

PROTOCOL = load_protocol()
DAY_0_ON = date(2026, 1, 1)


def at(days: float) -> datetime:
    return DAY_0 + timedelta(days=days)


def on(days: int) -> date:
    return DAY_0_ON + timedelta(days=days)


class Rows:
    """The rows of one subject, in the order in which they came about."""

    def __init__(self, arm: str = "MSC", randomized: float = -2, **subject: Any) -> None:
        self._subject = Subject(id=S, site="01", arm=arm, randomized_at=at(randomized), **subject)
        self._arm, self._randomized_at = arm, at(randomized)
        self._performed: list[Performed] = []
        self._collected: list[Collected] = []
        self._position = 10

    def performed(self, kind: Kind, which: object = "", days: float = 0) -> Rows:
        self._position += 1
        self._performed.append(
            Performed(position=self._position, subject=S, kind=kind.value, which=str(which), at=at(days))
        )
        return self

    def collected(self, days: float, *analytes: str, stands: bool = True) -> Rows:
        self._position += 1
        self._collected += [
            Collected(
                subject=S,
                result=f"{self._position}/{analyte}",
                analyte=analyte,
                at=at(days),
                position=self._position,
                stands=stands,
            )
            for analyte in analytes
        ]
        return self

    def calendar(self) -> Calendar:
        return Calendar(PROTOCOL, self._subject, self._arm, self._randomized_at, self._performed, self._collected)

    def as_of(self, days: int) -> dict[str, ItemState]:
        return {state.item.code: state for state in self.calendar().states(on(days))}


def told(item: ItemState) -> tuple[str, date | None, int | None]:
    return item.state, item.done_on, item.position


def infused(**subject: Any) -> Rows:
    """A subject whose first infusion stands at position 11."""
    return Rows(**subject).performed(Kind.INFUSION, 1)


@pytest.mark.parametrize("arm", ["MSC", "CSA"])
def test_every_subject_has_the_75_items_of_the_protocol(arm: str) -> None:
    planned = {"symptoms", "blood-count", "marrow", "treg", "evaluation"}
    items = Rows(arm).calendar().states(on(0))
    assert sum(state.item.activity in planned for state in items) == 75


def test_day_0_is_that_of_the_first_treatment_and_before_it_that_of_randomization() -> None:
    assert Rows().calendar().start().day_0 == on(-2)
    assert infused().calendar().start().day_0 == on(0)
    csa = Rows("CSA").performed(Kind.CICLOSPORIN, days=20).performed(Kind.CICLOSPORIN, days=1)
    assert csa.calendar().start().day_0 == on(1)


def test_a_second_infusion_moves_nothing() -> None:
    assert infused().performed(Kind.INFUSION, 2, days=98).calendar().start().day_0 == on(0)


def test_treatment_that_begins_more_than_a_week_after_randomization_is_late() -> None:
    assert not infused(randomized=-7).calendar().start().is_late
    assert infused(randomized=-8).calendar().start().is_late


def test_days_are_those_of_the_sites_zone() -> None:
    late_in_the_evening = timedelta(hours=16).total_seconds() / 86400  # 01:00 of the next day in Shanghai
    assert Rows().performed(Kind.INFUSION, 1, days=late_in_the_evening).calendar().start().day_0 == on(1)


def test_symptoms_do_the_item_of_their_week() -> None:
    rows = infused().performed(Kind.SYMPTOMS, 1, days=8).performed(Kind.SYMPTOMS, 2, days=30)
    items = rows.as_of(40)
    assert told(items["W1"]) == ("done", on(8), 12)
    assert told(items["W2"]) == ("done-out-of-window", on(30), 13)
    assert items["W3"].state == "missed"


def test_of_several_scores_of_a_week_the_one_in_its_window_did_it() -> None:
    rows = infused().performed(Kind.SYMPTOMS, 1, days=7).performed(Kind.SYMPTOMS, 1, days=60)
    assert told(rows.as_of(61)["W1"]) == ("done", on(7), 12)


def test_what_was_collected_does_the_items_of_its_analytes() -> None:
    rows = infused().collected(30, "WBC", "HGB", "PLT").collected(91, "BLAST_BM").collected(92, "TREG")
    items = rows.as_of(100)
    assert told(items["C1"]) == ("done", on(30), 12)
    assert told(items["B3"]) == ("done", on(91), 13)
    assert told(items["T3"]) == ("done", on(92), 14)
    assert items["C2"].state == "missed"


def test_ciclosporins_creatinine_and_trough_are_done_by_their_own_analytes() -> None:
    items = Rows("CSA").performed(Kind.CICLOSPORIN).collected(14, "CREAT").collected(28, "CSA").as_of(40)
    assert (items["CR1"].state, items["TR1"].state) == ("done", "missed")
    assert (items["CR2"].state, items["TR2"].state) == ("missed", "done")


def test_a_result_that_was_withdrawn_did_nothing() -> None:
    assert infused().collected(30, "HGB", stands=False).as_of(50)["C1"].state == "missed"


def test_an_evaluation_does_its_item_and_a_later_one_does_not_undo_that() -> None:
    rows = infused().performed(Kind.EVALUATION, "M3", days=93).performed(Kind.EVALUATION, "M3", days=123)
    assert told(rows.as_of(130)["E3"]) == ("done", on(93), 12)


def test_the_looks_of_an_infusion_follow_it() -> None:
    rows = infused().performed(Kind.SAFETY_LOOK, "S6H-1", days=0.25)
    items = rows.as_of(10)
    assert told(items["S6H-1"]) == ("done", on(0), 12)
    assert (items["S24H-1"].state, items["D7-1"].state) == ("missed", "missed")
    assert "S6H-2" not in items


def test_before_an_infusion_there_are_no_looks_after_it() -> None:
    rows = infused().performed(Kind.INFUSION, 2, days=98)
    assert "D7-2" not in rows.as_of(97)
    assert rows.as_of(98)["D7-2"].state == "planned"


@pytest.mark.parametrize(
    ("decided", "days", "state"),
    [
        (None, 100, "planned"),
        (True, 100, "due"),
        (True, 90, "planned"),
        (False, 100, "cancelled"),
        (None, 127, "cancelled"),
    ],
)
def test_the_second_infusion_hangs_on_what_was_decided_by_then(decided: bool | None, days: int, state: str) -> None:
    decided_at = None if decided is None else at(93)
    rows = infused(may_have_second_dose=decided, second_dose_decided_at=decided_at)
    assert rows.as_of(days)["INF2"].state == state


def test_the_second_infusion_does_its_item() -> None:
    rows = infused(may_have_second_dose=True, second_dose_decided_at=at(93)).performed(Kind.INFUSION, 2, days=99)
    assert told(rows.as_of(100)["INF2"]) == ("done", on(99), 12)


def test_leaving_the_study_cancels_what_is_ahead_and_asks_for_a_last_visit() -> None:
    rows = infused(withdrawn_from_study_at=at(50))
    items = rows.as_of(51)
    assert (items["W6"].state, items["W7"].state, items["W8"].state) == ("missed", "cancelled", "cancelled")
    assert items["ET"].state == "due"
    assert "ET" not in rows.as_of(49)
    assert told(rows.collected(55, "HGB").as_of(60)["ET"]) == ("done", on(55), 12)


def test_leaving_the_treatment_cancels_the_treatments_items_alone() -> None:
    items = Rows("CSA", withdrawn_from_treatment_at=at(50)).performed(Kind.CICLOSPORIN).as_of(51)
    assert (items["CR4"].state, items["W7"].state) == ("cancelled", "due")
    assert "ET" not in items


def test_death_cancels_what_is_ahead_and_asks_for_nothing() -> None:
    items = infused(died_at=at(50)).as_of(51)
    assert items["W8"].state == "cancelled"
    assert "ET" not in items


def test_the_answer_writes_windows_as_from_and_to() -> None:
    schedule = SubjectSchedule.of(infused().calendar(), on(5)).model_dump(mode="json", by_alias=True)
    assert (schedule["day_0"], schedule["started_late"], schedule["as_of"]) == ("2026-01-01", False, "2026-01-06")
    week_1 = next(item for item in schedule["items"] if item["code"] == "W1")
    assert week_1 == {
        "code": "W1",
        "activity": "symptoms",
        "nominal_on": "2026-01-08",
        "window": {"from": "2026-01-05", "to": "2026-01-11"},
        "state": "due",
        "done_on": None,
        "position": None,
    }
