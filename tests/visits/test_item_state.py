"""How the items of a plan stand on a day: what was done, is due or was missed, and what an ending cancels."""

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.visits.item_state import Course, Done, ItemState, match, states
from services.visits.schedule import InfusionGiven, PlannedItem, plan
from shared.protocol import load_protocol

PROTOCOL = load_protocol()
DAY_0 = date(2026, 3, 2)
MSC = plan(PROTOCOL, "MSC", "01", DAY_0)
CSA = plan(PROTOCOL, "CSA", "01", DAY_0)

ten_years_of_days = st.dates(date(2023, 1, 1), date(2032, 12, 31))


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def item(items: tuple[PlannedItem, ...], code: str) -> PlannedItem:
    return next(item for item in items if item.code == code)


def state(items: tuple[ItemState, ...], code: str) -> str:
    return next(item.state for item in items if item.item.code == code)


def blood_count(on: int, position: int = 1) -> Done:
    return Done("blood-count", day(on), position)


@given(ten_years_of_days, st.integers(-30, 500))
def test_every_item_has_one_state_on_any_day(day_0: date, days: int) -> None:
    as_of = day_0 + timedelta(days=days)
    for found in states(plan(PROTOCOL, "CSA", "01", day_0), [], as_of):
        window = found.item.window
        expected = "planned" if as_of < window.opens_on else "due" if as_of <= window.closes_on else "missed"
        assert found.state == expected


@pytest.mark.parametrize(
    ("as_of", "expected"), [(22, "planned"), (23, "due"), (37, "due"), (38, "missed"), (-5, "planned")]
)
def test_an_item_without_a_record_is_planned_then_due_then_missed(as_of: int, expected: str) -> None:
    assert state(states(MSC, [], day(as_of)), "C1") == expected


def test_a_record_in_the_window_does_the_item_and_says_where_it_stands() -> None:
    found = next(s for s in states(MSC, [blood_count(25, position=17)], day(30)) if s.item.code == "C1")
    assert (found.state, found.done_on, found.position) == ("done", day(25), 17)


def test_a_record_does_not_count_before_its_day() -> None:
    assert state(states(MSC, [blood_count(33)], day(30)), "C1") == "due"
    assert state(states(MSC, [blood_count(33)], day(33)), "C1") == "done"


def test_a_record_that_names_its_item_does_it_out_of_its_window() -> None:
    late = Done("symptoms", day(20), 5, code="W1")
    assert state(states(MSC, [late], day(30)), "W1") == "done-out-of-window"
    assert state(states(MSC, [late], day(30)), "W3") == "missed"


def test_a_record_outside_every_window_is_unscheduled() -> None:
    between = blood_count(45)
    matching = match(MSC, [between])
    assert matching.by_code == {}
    assert matching.unscheduled == (between,)


def test_one_record_does_one_item_and_the_nearest_of_several_does_it() -> None:
    early, near, late = blood_count(25, 1), blood_count(31, 2), blood_count(37, 3)
    matching = match(MSC, [late, early, near])
    assert matching.by_code == {"C1": near}
    assert matching.unscheduled == (early, late)


def test_on_a_tie_the_earlier_record_does_the_item() -> None:
    before, after = blood_count(29, 8), blood_count(31, 7)
    assert match(MSC, [after, before]).by_code == {"C1": before}


def test_on_a_tie_the_earlier_item_is_done() -> None:
    given_at = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)  # midnight in Shanghai: 6 h and 24 h later are 3 and 4 March
    items = plan(PROTOCOL, "MSC", "01", DAY_0, infusions=(InfusionGiven(1, given_at),))
    look = Done("infusion-safety", date(2026, 3, 3), 4)
    assert match(items, [look]).by_code == {"S6H-1": look}


def test_a_record_that_names_its_item_wins_over_a_nearer_one_that_does_not() -> None:
    named, nearer = Done("blood-count", day(40), 1, code="C1"), blood_count(30, 2)
    assert match(MSC, [nearer, named]).by_code == {"C1": named}


def test_a_record_that_names_no_item_of_the_plan_is_unscheduled() -> None:
    stray = Done("symptoms", day(10), 1, code="W99")
    assert match(MSC, [stray]).unscheduled == (stray,)


records = st.lists(
    st.builds(
        Done,
        st.sampled_from(["blood-count", "marrow", "treg"]),
        st.integers(0, 380).map(day),
        st.integers(1, 10_000),
    ),
    max_size=25,
    unique_by=lambda record: record.position,
)


@settings(max_examples=60)
@given(records, st.randoms(use_true_random=False), st.integers(-10, 400))
def test_the_order_of_arrival_changes_nothing(done: list[Done], random: Random, as_of: int) -> None:
    shuffled = random.sample(done, len(done))
    assert states(MSC, done, day(as_of)) == states(MSC, shuffled, day(as_of))


@settings(max_examples=60)
@given(records)
def test_every_record_does_one_item_or_is_unscheduled(done: list[Done]) -> None:
    matching = match(MSC, done)
    told = [*matching.by_code.values(), *matching.unscheduled]
    assert sorted(record.position for record in told) == sorted(record.position for record in done)


# Endings and conditions


def test_an_exit_cancels_what_is_open_or_ahead_and_deletes_nothing() -> None:
    course = Course(exit_on=day(100))
    after_exit = states(MSC, [blood_count(30)], day(200), course)
    assert len(after_exit) == len(MSC)
    expected = {"C1": "done", "C2": "missed", "E3": "cancelled", "W14": "cancelled", "C4": "cancelled", "W13": "missed"}
    assert {code: state(after_exit, code) for code in expected} == expected


def test_before_the_day_of_exit_nothing_is_cancelled() -> None:
    assert "cancelled" not in {s.state for s in states(CSA, [], day(99), Course(exit_on=day(100)))}


def test_what_was_done_after_an_exit_is_done() -> None:
    assert state(states(MSC, [blood_count(122)], day(130), Course(exit_on=day(100))), "C4") == "done"


def test_the_visit_for_early_termination_is_not_cancelled_by_the_exit() -> None:
    items = plan(PROTOCOL, "MSC", "01", DAY_0, early_termination_on=day(100))
    assert state(states(items, [], day(105), Course(exit_on=day(100))), "ET") == "due"


def test_the_end_of_treatment_ends_monitoring_and_not_follow_up() -> None:
    after_end = states(CSA, [], day(140), Course(treatment_ended_on=day(100)))
    assert state(after_end, "CR8") == "cancelled"
    assert state(after_end, "CR6") == "missed"
    assert state(after_end, "E6") == "planned"


@pytest.mark.parametrize(
    ("conditions", "as_of", "expected"),
    [
        ({}, 95, "planned"),
        ({}, 127, "cancelled"),
        ({"second-dose-eligible": False}, 95, "cancelled"),
        ({"second-dose-eligible": True}, 90, "planned"),
        ({"second-dose-eligible": True}, 95, "due"),
        ({"second-dose-eligible": True}, 127, "missed"),
    ],
)
def test_the_second_infusion_waits_for_its_condition(conditions: dict[str, bool], as_of: int, expected: str) -> None:
    assert state(states(MSC, [], day(as_of), Course(conditions=conditions)), "INF2") == expected
