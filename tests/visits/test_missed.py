"""Missed items: recorded by the site's calendar, once, and visible whatever comes after."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.visits.calendar import Calendar
from services.visits.commands import RecordMissedItems
from services.visits.events import ItemMissed
from services.visits.followed import Followed, evolve
from services.visits.item_state import ItemState
from services.visits.missed import missed_items
from shared.decision import Decider, Provenance, handle
from shared.events import Event, decode
from shared.eventstore.memory import MemoryLog
from shared.eventstore.model import Query, QueryItem
from shared.identity import policy_actor
from shared.protocol import Protocols, load_protocol
from tests.randomization.examples import randomized, screened
from tests.scenario import DAY_0, At, Scenario, given
from tests.visits.examples import (
    CSA,
    ELIGIBLE,
    MSC,
    S,
    collected,
    counted,
    dosed,
    in_zone,
    infused,
    left,
    reported,
    scored,
)

PROTOCOLS = Protocols.beginning(load_protocol())
MISSED_ITEMS = missed_items(PROTOCOLS)
DAY_0_ON = date(2026, 1, 1)


def on(days: int) -> date:
    return DAY_0_ON + timedelta(days=days)


def looking(days: float, hours: float = 0) -> RecordMissedItems:
    """The clock job comes by so many days after day 0, at 17:00 in Shanghai."""
    return RecordMissedItems(subject=S, occurred_at=DAY_0 + timedelta(days=days, hours=hours))


def missed(code: str, nominal: int, before: int = 3, after: int = 3, activity: str = "symptoms") -> ItemMissed:
    return ItemMissed(
        subject=S,
        site="01",
        code=code,
        activity=activity,
        nominal_on=on(nominal),
        opens_on=on(nominal - before),
        closes_on=on(nominal + after),
        protocol_version="1.0",
    )


def missed_looks(dose_on: int = 0) -> tuple[ItemMissed, ...]:
    """Those of the first day after an infusion at 17:00 in Shanghai: the window of six hours ends at midnight."""
    six_hours = missed("S6H-1", dose_on, 0, 1, "infusion-safety")
    return six_hours, missed("S24H-1", dose_on + 1, 0, 0, "infusion-safety")


LOOKS = missed_looks()
DAY_7 = missed("D7-1", 7, 1, 1, "infusion-safety")
OF_WEEK_1 = (missed("W1", 7), DAY_7)
"""What a subject misses that is infused and never comes again, but for the looks of the first day."""

INFUSED = (*MSC, infused())


def item(scenario: Scenario, code: str, days: int) -> ItemState:
    """How an item stands on a day, by all that has been recorded."""
    followed = Followed()
    for recorded in scenario.history:
        followed = evolve(followed, recorded)
    known = followed.deeds, followed.specimens.values(), followed.misses
    calendar = Calendar.of(PROTOCOLS, followed.standing, *known)
    assert calendar is not None
    return next(state for state in calendar.states(on(days)) if state.item.code == code)


def test_an_item_is_missed_when_its_window_has_closed_without_a_record() -> None:
    given(*INFUSED, *LOOKS).when(MISSED_ITEMS, looking(11)).records(*OF_WEEK_1)


def test_what_was_recorded_in_time_is_not_missed() -> None:
    given(*INFUSED, *LOOKS, DAY_7, At(scored(1), 8)).when(MISSED_ITEMS, looking(11)).records()


def test_a_miss_is_recorded_once() -> None:
    given(*INFUSED, *LOOKS, At(missed("W1", 7), 11), At(DAY_7, 11)).when(MISSED_ITEMS, looking(12)).records()


def test_a_window_is_open_until_its_day_is_over_at_the_site() -> None:
    done = (*INFUSED, *LOOKS, DAY_7)
    given(*done).when(MISSED_ITEMS, looking(10, hours=6.9)).records()  # 23:54 in Shanghai
    given(*done).when(MISSED_ITEMS, looking(10, hours=7)).records(missed("W1", 7))  # midnight


def test_who_is_not_randomized_misses_nothing() -> None:
    given(screened(S)).when(MISSED_ITEMS, looking(400)).records()
    given().when(MISSED_ITEMS, looking(400)).records()


def test_before_treatment_the_days_are_counted_from_randomization() -> None:
    given(screened(S), randomized(S, 0, "CSA")).when(MISSED_ITEMS, looking(11)).records(missed("W1", 7))


def test_ciclosporin_that_is_not_given_begins_no_treatment() -> None:
    withheld = given(*CSA, dosed("0"))
    given(*CSA, dosed("0"), At(dosed(), 3)).when(MISSED_ITEMS, looking(11)).records()
    withheld.when(MISSED_ITEMS, looking(11)).records(missed("W1", 7))


def test_an_item_whose_window_moved_after_its_miss_can_be_missed_again() -> None:
    before = (*MSC, At(missed("W1", 7), 11), At(infused(), 12), At(scored(2), 26))
    expected = [*missed_looks(12), missed("W1", 19), missed("D7-1", 19, 1, 1, "infusion-safety")]
    given(*before).when(MISSED_ITEMS, looking(23)).records(*expected)


def test_a_second_infusion_that_may_not_be_given_is_not_missed_and_one_that_may_be_is() -> None:
    def codes(*more: Event | At) -> set[str]:
        found = given(*INFUSED, *more).when(MISSED_ITEMS, looking(127)).events
        return {each.code for each in found if isinstance(each, ItemMissed)}

    assert "INF2" not in codes()
    assert "INF2" in codes(At(ELIGIBLE, 94))


def test_after_an_exit_nothing_more_is_missed_but_what_was_missed_before() -> None:
    history = (*INFUSED, *LOOKS, DAY_7, At(scored(1), 7), At(left("study"), 15))
    given(*history).when(MISSED_ITEMS, looking(20)).records()
    last_visit = given(*history).when(MISSED_ITEMS, looking(40)).events
    assert [each.code for each in last_visit if isinstance(each, ItemMissed)] == ["ET"]


def test_who_leaves_and_dies_before_the_last_visit_does_not_miss_it() -> None:
    death = At(reported(grade=5, serious=True, seriousness_criteria=("death",), fatal=True), 20)
    history = (*INFUSED, *LOOKS, DAY_7, At(scored(1), 7), At(left("study"), 15), death)
    given(*history).when(MISSED_ITEMS, looking(40)).records()
    assert item(given(*history), "ET", 40).state == "cancelled"


# What comes after a miss


def test_a_result_of_the_window_that_is_recorded_after_the_miss_makes_the_item_done_late() -> None:
    count = missed("C1", 30, 7, 7, "blood-count")
    late = collected(33, counted(1, HGB="90"))
    history = given(*INFUSED, At(count, 38), At(late.event, 33))
    found = item(history, "C1", 50)
    assert (found.state, found.done_on, found.position) == ("done-late", on(33), 5)
    assert found.miss is not None
    assert (found.miss.position, found.miss.recorded_at) == (4, DAY_0 + timedelta(days=38))


def test_a_record_out_of_the_window_that_names_the_item_makes_it_done_late() -> None:
    found = item(given(*INFUSED, At(missed("W1", 7), 11), At(scored(1), 20)), "W1", 21)
    assert (found.state, found.done_on) == ("done-late", on(20))


def test_what_was_done_before_its_miss_was_recorded_is_not_late() -> None:
    found = item(given(*INFUSED, At(scored(1), 8), At(missed("W1", 7), 11)), "W1", 21)
    assert (found.state, found.miss is not None) == ("done", True)


def test_of_a_day_before_the_miss_the_item_was_done_and_no_miss_is_known() -> None:
    history = given(*INFUSED, At(missed("W1", 7), 11), At(scored(1), 8))
    of_day_9 = item(history, "W1", 9)
    assert (of_day_9.state, of_day_9.miss) == ("done", None)
    assert item(history, "W1", 11).state == "done-late"


def test_an_exit_that_is_entered_late_cancels_the_item_and_leaves_its_miss_visible() -> None:
    found = item(given(*INFUSED, At(missed("W3", 21), 25), At(left("study"), 12)), "W3", 30)
    assert (found.state, found.miss is not None) == ("cancelled", True)


def test_an_item_that_has_another_window_by_now_is_open_again_and_its_miss_stays_visible() -> None:
    found = item(given(*MSC, At(missed("W1", 7), 11), At(infused(), 12)), "W1", 19)
    assert (found.state, found.miss_is_recorded, found.miss is not None) == ("due", False, True)


# Wherever the site is


ZONES = ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati"]


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=40)
@examples(day_0=st.dates(date(2023, 1, 1), date(2032, 12, 31)), week=st.integers(1, 52))
def test_a_week_is_missed_from_the_midnight_after_its_window_in_any_zone(zone: str, day_0: date, week: int) -> None:
    protocol, there = in_zone(zone), ZoneInfo(zone)
    treated_at = datetime(day_0.year, day_0.month, day_0.day, 12, tzinfo=there)
    days = (treated_at - DAY_0) / timedelta(days=1)
    history = given(screened(S), At(randomized(S, 0, "CSA"), days))
    midnight = datetime.combine(day_0 + timedelta(days=7 * week + 4), datetime.min.time(), there)

    def missed_at(instant: datetime) -> set[str]:
        command = RecordMissedItems(subject=S, occurred_at=instant)
        return {each.code for each in history.when(missed_items(Protocols.beginning(protocol)), command).events}  # type: ignore[attr-defined]

    assert f"W{week}" not in missed_at(midnight - timedelta(seconds=1))
    assert f"W{week}" in missed_at(midnight)


async def test_of_two_who_look_at_the_same_time_one_records(memory_log: MemoryLog) -> None:
    provenance = Provenance(policy_actor("missed-items"), "0" * 32, "1.0")
    begun: Decider[RecordMissedItems, None] = Decider(
        boundary=lambda _: Query((QueryItem(tags=(f"subject:{S}",)),)),
        initial=lambda _: None,
        evolve=lambda state, _: state,
        decide=lambda _, __: [screened(S), randomized(S, 0, "CSA")],
    )

    async def look(decider: Decider[RecordMissedItems, Any] = MISSED_ITEMS, days: int = 11) -> int:
        outcome = await handle(memory_log, lambda: DAY_0 + timedelta(days=days), decider, looking(days), provenance)
        return len(outcome.events)

    await look(begun, days=0)
    assert sorted(await asyncio.gather(look(), look(), look())) == [0, 0, 1]
    assert await look() == 0
    (stored,) = (await memory_log.read(after=2)).events
    recorded = decode(stored)
    assert recorded.by == {"id": "policy:missed-items", "name": "missed-items", "role": "system", "org": "marrow"}
    assert recorded.document["cause"] is None
