"""The feed of a schedule, written by one library and read back here by another (RFC 5545)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import vobject
from hypothesis import given, settings
from hypothesis import strategies as st

from services.visits.calendar import Calendar
from services.visits.events import SecondDoseIneligible, StatusReason
from services.visits.followed import Followed, evolve
from services.visits.icalendar_feed import Entry, entries, feed
from shared.events import Event
from shared.protocol import Protocols, load_protocol
from tests.scenario import DAY_0, At, Scenario
from tests.scenario import given as history
from tests.visits.examples import (
    CSA,
    ELIGIBLE,
    MSC,
    S,
    collected,
    counted,
    dosed,
    infused,
    left,
    reported,
    scored,
)
from tests.visits.test_missed import INFUSED, missed

PROTOCOLS = Protocols.beginning(load_protocol())
INELIGIBLE = SecondDoseIneligible(subject=S, site="01", because=(StatusReason(code="progression", position=3),))


def on(days: int) -> date:
    return date(2026, 1, 1) + timedelta(days=days)


def entries_of(scenario: Scenario, days: int) -> list[Entry]:
    followed = Followed()
    for recorded in scenario.history:
        followed = evolve(followed, recorded)
    known = followed.deeds, followed.specimens.values(), followed.misses
    calendar = Calendar.of(PROTOCOLS, followed.standing, *known)
    assert calendar is not None
    return list(entries(calendar, scenario.history[-1].recorded_at, on(days)))


def read(*events: Event | At, days: int = 40) -> dict[str, Any]:
    """The events of the feed by their summaries, as the other library reads them."""
    content = feed(S, entries_of(history(*events), days)).decode()
    return {event.summary.value: event for event in vobject.readOne(content).vevent_list}


def looks_of(event: Any) -> tuple[date, str, str]:
    return event.dtstart.value, event.status.value, event.description.value


def test_every_item_is_an_all_day_event() -> None:
    events = read(*INFUSED)
    assert len(events) == 75 + 3  # and the looks after the infusion
    week_1 = events["01-001 W1"]
    assert looks_of(week_1) == (on(7), "CONFIRMED", "Window 2026-01-05 to 2026-01-11")
    assert week_1.dtend.value == on(8)
    assert not isinstance(week_1.dtstart.value, datetime)
    assert (week_1.dtstamp.value, int(week_1.sequence.value)) == (DAY_0, 3)


def test_the_year_of_either_arm_is_read_back_whole() -> None:
    assert {"01-001 CR1", "01-001 TR16", "01-001 E12"} < set(read(*CSA, dosed()))


def test_an_event_says_that_its_item_was_done_or_missed() -> None:
    events = read(*INFUSED, At(scored(1), 8), At(missed("W2", 14), 18))
    assert events["01-001 W1"].description.value.endswith("; done 2026-01-09")
    assert events["01-001 W2"].description.value.endswith("; missed")
    assert int(events["01-001 W2"].sequence.value) == 5


def test_what_an_exit_cancels_is_cancelled_and_stays() -> None:
    before, after = read(*INFUSED, At(scored(1), 8)), read(*INFUSED, At(scored(1), 8), At(left("study"), 20))
    assert set(before) < set(after)
    assert set(after) - set(before) == {"01-001 ET"}
    assert {code for code in before if before[code].uid.value != after[code].uid.value} == set()
    assert looks_of(after["01-001 E12"])[1] == "CANCELLED"
    assert int(after["01-001 E12"].sequence.value) > int(before["01-001 E12"].sequence.value)
    assert after["01-001 W1"].status.value == "CONFIRMED"


def test_an_item_keeps_its_uid_when_its_day_moves() -> None:
    before, after = read(*MSC), read(*MSC, At(infused(), 5))
    assert before["01-001 C1"].uid.value == after["01-001 C1"].uid.value
    assert after["01-001 C1"].dtstart.value - before["01-001 C1"].dtstart.value == timedelta(days=5)
    assert int(after["01-001 C1"].sequence.value) > int(before["01-001 C1"].sequence.value)


def test_a_second_infusion_stands_in_the_calendar_once_it_has_been_decided() -> None:
    assert "01-001 INF2" not in read(*INFUSED, days=50)
    assert "01-001 INF2" not in read(*INFUSED, days=200)
    assert read(*INFUSED, At(ELIGIBLE, 94), days=95)["01-001 INF2"].status.value == "CONFIRMED"
    taken_back = read(*INFUSED, At(ELIGIBLE, 94), At(INELIGIBLE, 96), days=97)
    assert taken_back["01-001 INF2"].status.value == "CANCELLED"


def test_uids_tell_nothing_and_are_of_one_item_each() -> None:
    uids = [event.uid.value for event in read(*INFUSED).values()]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uid) for uid in uids)


def test_a_feed_names_codes_alone() -> None:
    events = read(*INFUSED, At(scored(1), 8), At(ELIGIBLE, 94), At(left("study"), 100), days=120)
    for event in events.values():
        assert re.fullmatch(r"01-001 [A-Z0-9]+(-[12])?", event.summary.value)
        assert re.fullmatch(r"Window [-0-9]+ to [-0-9]+(; done [-0-9]+|; missed)?", event.description.value)
    told = feed(S, entries_of(history(*INFUSED), 40)).decode().lower()
    for word in ("mds", "myelo", "msc", "csa", "ciclosporin", "stem", "infusion", "shandong", "nct0"):
        assert word not in told


def test_the_same_facts_make_the_same_bytes() -> None:
    told = [feed(S, entries_of(history(*INFUSED, At(scored(1), 8)), 40)) for _ in range(2)]
    assert told[0] == told[1]
    assert all(len(line) <= 75 for line in told[0].split(b"\r\n"))


steps = st.lists(
    st.one_of(
        st.integers(1, 6).flatmap(lambda week: st.integers(1, 45).map(lambda day: At(scored(week), day))),
        st.integers(20, 45).map(lambda day: collected(day, counted(day, HGB="90"))),
        st.integers(20, 45).map(lambda day: collected(day, counted(day, "D", supersedes=1, HGB=None))),
        st.integers(1, 45).map(lambda day: At(left("study"), day)),
        st.integers(1, 45).map(lambda day: At(left("treatment"), day)),
        st.integers(1, 45).map(lambda day: At(reported(fatal=True), day)),
        st.integers(0, 12).map(lambda day: At(dosed(), day)),
        st.just(At(infused(), 3)),
        st.sampled_from([At(ELIGIBLE, 40), At(INELIGIBLE, 40)]),
        st.integers(1, 4).map(lambda week: At(missed(f"W{week}", 7 * week), 7 * week + 4)),
    ),
    max_size=9,
)


@settings(max_examples=60)
@given(st.sampled_from([MSC, CSA]), steps)
def test_whenever_an_event_looks_otherwise_its_sequence_has_grown(arm: Sequence[Any], happened: list[Any]) -> None:
    before: dict[str, Entry] = {}
    for count in range(len(happened) + 1):
        now = {entry.uid: entry for entry in entries_of(history(*arm, *happened[:count]), 46)}
        for uid in before.keys() & now.keys():
            assert now[uid].sequence >= before[uid].sequence
            if now[uid][:5] != before[uid][:5]:
                assert now[uid].sequence > before[uid].sequence
        before |= now
