"""A subject's schedule from what is known of it: day 0, what did which item, what an ending cancels."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.visits.answers_schedule import SubjectSchedule
from services.visits.calendar import Calendar
from services.visits.followed import Deed, Kind, Specimen, Standing
from services.visits.item_state import ItemState, Miss
from services.visits.schedule import DateWindow
from shared.protocol import Protocol, Protocols, load_protocol
from tests.scenario import DAY_0
from tests.visits.examples import S

PROTOCOL = load_protocol()
ANOTHER = load_protocol(Path(__file__).parents[1] / "shared" / "protocol" / "three-arms-2.1.toml")
DAY_0_ON = date(2026, 1, 1)


def at(days: float) -> datetime:
    return DAY_0 + timedelta(days=days)


def on(days: int) -> date:
    return DAY_0_ON + timedelta(days=days)


class Known:
    """What is known of one subject, in the order in which it was recorded."""

    def __init__(self, arm: str = "MSC", randomized: float = -2, **standing: Any) -> None:
        self._standing = Standing(S, "01", arm=arm, randomized_at=at(randomized), **standing)
        self._deeds: list[Deed] = []
        self._specimens: list[Specimen] = []
        self._misses: list[Miss] = []
        self._position = 10

    def performed(self, kind: Kind, which: object = "", days: float = 0) -> Known:
        self._position += 1
        self._deeds.append(Deed(kind.value, str(which), at(days), self._position))
        return self

    def collected(self, days: float, *analytes: str, stands: bool = True) -> Known:
        self._position += 1
        self._specimens += [Specimen(analyte, at(days), self._position, stands) for analyte in analytes]
        return self

    def missed(self, code: str, opens: int, closes: int) -> Known:
        """The miss of a window was recorded on the day after it had closed."""
        self._position += 1
        window = DateWindow(on(opens), on(closes))
        self._misses.append(Miss(code, window, at(closes + 1), self._position))
        return self

    def calendar(self, protocol: Protocol = PROTOCOL) -> Calendar:
        calendar = Calendar.of(
            Protocols.beginning(protocol), self._standing, self._deeds, self._specimens, self._misses
        )
        assert calendar is not None
        return calendar

    def as_of(self, days: int) -> dict[str, ItemState]:
        return {state.item.code: state for state in self.calendar().states(on(days))}


def told(item: ItemState) -> tuple[str, date | None, int | None]:
    return item.state, item.done_on, item.position


def infused(**standing: Any) -> Known:
    """A subject whose first infusion stands at position 11."""
    return Known(**standing).performed(Kind.INFUSION, 1)


@pytest.mark.parametrize("arm", ["MSC", "CSA"])
def test_every_subject_has_the_75_items_of_the_protocol(arm: str) -> None:
    planned = {"symptoms", "blood-count", "marrow", "treg", "evaluation"}
    items = Known(arm).calendar().states(on(0))
    assert sum(state.item.activity in planned for state in items) == 75


def test_day_0_is_that_of_the_first_treatment_and_before_it_that_of_randomization() -> None:
    assert Known().calendar().start.day_0 == on(-2)
    assert infused().calendar().start.day_0 == on(0)
    csa = Known("CSA").performed(Kind.CICLOSPORIN, days=20).performed(Kind.CICLOSPORIN, days=1)
    assert csa.calendar().start.day_0 == on(1)


def test_a_second_infusion_moves_nothing() -> None:
    assert infused().performed(Kind.INFUSION, 2, days=98).calendar().start.day_0 == on(0)


def test_treatment_that_begins_more_than_a_week_after_randomization_is_late() -> None:
    assert not infused(randomized=-7).calendar().start.is_late
    assert infused(randomized=-8).calendar().start.is_late


def test_days_are_those_of_the_sites_zone() -> None:
    late_in_the_evening = timedelta(hours=16).total_seconds() / 86400  # 01:00 of the next day in Shanghai
    assert Known().performed(Kind.INFUSION, 1, days=late_in_the_evening).calendar().start.day_0 == on(1)


def test_symptoms_do_the_item_of_their_week() -> None:
    known = infused().performed(Kind.SYMPTOMS, 1, days=8).performed(Kind.SYMPTOMS, 2, days=30)
    items = known.as_of(40)
    assert told(items["W1"]) == ("done", on(8), 12)
    assert told(items["W2"]) == ("done-out-of-window", on(30), 13)
    assert items["W3"].state == "missed"


def test_of_several_scores_of_a_week_the_one_in_its_window_did_it() -> None:
    known = infused().performed(Kind.SYMPTOMS, 1, days=7).performed(Kind.SYMPTOMS, 1, days=60)
    assert told(known.as_of(61)["W1"]) == ("done", on(7), 12)


def test_what_was_collected_does_the_items_of_its_analytes() -> None:
    known = infused().collected(30, "WBC", "HGB", "PLT").collected(91, "BLAST_BM").collected(92, "TREG")
    items = known.as_of(100)
    assert told(items["C1"]) == ("done", on(30), 12)
    assert told(items["B3"]) == ("done", on(91), 13)
    assert told(items["T3"]) == ("done", on(92), 14)
    assert items["C2"].state == "missed"


def test_ciclosporins_creatinine_and_trough_are_done_by_their_own_analytes() -> None:
    items = Known("CSA").performed(Kind.CICLOSPORIN).collected(14, "CREAT").collected(28, "CSA").as_of(40)
    assert (items["CR1"].state, items["TR1"].state) == ("done", "missed")
    assert (items["CR2"].state, items["TR2"].state) == ("missed", "done")


def test_a_result_that_was_withdrawn_did_nothing() -> None:
    assert infused().collected(30, "HGB", stands=False).as_of(50)["C1"].state == "missed"


def test_an_evaluation_does_its_item_and_a_later_one_does_not_undo_that() -> None:
    known = infused().performed(Kind.EVALUATION, "M3", days=93).performed(Kind.EVALUATION, "M3", days=123)
    assert told(known.as_of(130)["E3"]) == ("done", on(93), 12)


def test_the_looks_of_an_infusion_follow_it() -> None:
    known = infused().performed(Kind.SAFETY_LOOK, "S6H-1", days=0.25)
    items = known.as_of(10)
    assert told(items["S6H-1"]) == ("done", on(0), 12)
    assert (items["S24H-1"].state, items["D7-1"].state) == ("missed", "missed")
    assert "S6H-2" not in items


def test_before_an_infusion_there_are_no_looks_after_it() -> None:
    known = infused().performed(Kind.INFUSION, 2, days=98)
    assert "D7-2" not in known.as_of(97)
    assert known.as_of(98)["D7-2"].state == "planned"


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
    known = infused(may_have_second_dose=decided, second_dose_decided_at=decided_at)
    assert known.as_of(days)["INF2"].state == state


def test_the_second_infusion_does_its_item() -> None:
    known = infused(may_have_second_dose=True, second_dose_decided_at=at(93)).performed(Kind.INFUSION, 2, days=99)
    assert told(known.as_of(100)["INF2"]) == ("done", on(99), 12)


def test_leaving_the_study_cancels_what_is_ahead_and_asks_for_a_last_visit() -> None:
    known = infused(withdrawn_from_study_at=at(50))
    items = known.as_of(51)
    assert (items["W6"].state, items["W7"].state, items["W8"].state) == ("missed", "cancelled", "cancelled")
    assert items["ET"].state == "due"
    assert "ET" not in known.as_of(49)
    assert told(known.collected(55, "HGB").as_of(60)["ET"]) == ("done", on(55), 12)


def test_leaving_the_treatment_cancels_the_treatments_items_alone() -> None:
    items = Known("CSA", withdrawn_from_treatment_at=at(50)).performed(Kind.CICLOSPORIN).as_of(51)
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
        "visitnum": "1",
        "missed_at": None,
        "missed_position": None,
        "cancelled_because": None,
        "protocol_version": "1.0",
    }


def test_what_no_item_claims_is_unscheduled() -> None:
    known = infused().collected(30, "HGB", "PLT").collected(32, "HGB").collected(-14, "HGB").collected(70, "BLAST_BM")
    told_of = [(done.activity, done.done_on, done.position) for done in known.calendar().unscheduled(on(75))]
    assert told_of == [("blood-count", on(-14), 14), ("blood-count", on(32), 13), ("marrow", on(70), 15)]
    assert len(known.calendar().unscheduled(on(31))) == 1


def test_a_second_score_of_a_week_is_a_change_and_no_visit() -> None:
    known = infused().performed(Kind.SYMPTOMS, 1, days=7).performed(Kind.SYMPTOMS, 1, days=8)
    assert known.calendar().unscheduled(on(20)) == ()


def test_the_blood_count_of_an_early_termination_is_not_unscheduled() -> None:
    known = infused(withdrawn_from_study_at=at(50)).collected(52, "HGB").collected(53, "HGB")
    assert told(known.as_of(60)["ET"]) == ("done", on(52), 12)
    assert [done.done_on for done in known.calendar().unscheduled(on(60))] == [on(53)]


def test_what_does_the_last_visit_is_the_protocols() -> None:
    known = Known("HIGH", withdrawn_from_study_at=at(50)).performed(Kind.INFUSION, 1)
    known = known.collected(49, "CREAT").collected(52, "PLT").collected(53, "CREAT", "HGB")
    calendar = known.calendar(ANOTHER)
    [last_visit] = [state for state in calendar.states(on(60)) if state.item.activity == "end-of-study"]
    assert told(last_visit) == ("done", on(53), 14)
    told_of = [(done.activity, done.done_on) for done in calendar.unscheduled(on(60))]
    assert told_of == [("blood-count", on(52)), ("blood-count", on(53))], "it does not ask for a whole blood count"


def test_who_dies_after_leaving_has_left_alive() -> None:
    known = infused(withdrawn_from_study_at=at(50), died_at=at(300)).collected(52, "HGB")
    assert known.as_of(310)["ET"].state == "done"


def test_a_recorded_miss_stands_beside_the_state() -> None:
    known = infused().missed("C1", 23, 37).collected(30, "HGB")
    schedule = SubjectSchedule.of(known.calendar(), on(60)).model_dump(mode="json", by_alias=True)
    item = next(item for item in schedule["items"] if item["code"] == "C1")
    assert (item["state"], item["position"], item["missed_position"]) == ("done-late", 13, 12)
    assert item["missed_at"] == "2026-02-08T09:00:00Z"


def test_the_answer_tells_visits_and_what_was_unscheduled() -> None:
    known = infused().collected(45, "HGB")
    schedule = SubjectSchedule.of(known.calendar(), on(60)).model_dump(mode="json", by_alias=True)
    shared = next(visit for visit in schedule["visits"] if "E3" in visit["items"])
    assert set(shared["items"]) == {"W13", "C3", "B3", "T3", "E3"}
    assert shared["visitnum"] == next(item["visitnum"] for item in schedule["items"] if item["code"] == "E3")
    expected = {"activity": "blood-count", "done_on": "2026-02-15", "position": 12, "visitnum": "7.01"}
    assert schedule["unscheduled"] == [expected]
