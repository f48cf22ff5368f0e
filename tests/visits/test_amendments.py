"""Amendments: what may become a later version, which version a decision is made under, and what moving changes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.randomization.events import InformedConsentObtained
from services.visits import domain, replay
from services.visits.amendments import (
    ARM_IN_USE,
    DOCUMENT_INVALID,
    NOT_LATER,
    OTHER_STUDY,
    START_CHANGED,
    amending,
)
from services.visits.calendar import Calendar
from services.visits.commands_protocol import AmendProtocol
from services.visits.domain import WEEK_NOT_PLANNED
from services.visits.followed import Deed, Kind, Specimen, Standing
from services.visits.icalendar_feed import entries
from services.visits.item_state import ItemState
from services.visits.versions import following
from services.visits.visit_numbers import VisitNumbers
from shared.chronology import OUT_OF_ORDER
from shared.protocol import Protocols
from shared.protocol.amendment import ProtocolAmended, ProtocolDocumentPublished
from shared.protocol.versions import VERSION_UNREADABLE, Signed, digest_of
from tests.protocols import BEGINNING, HALF_A_YEAR_OF_SYMPTOMS, amended_text, version
from tests.randomization.examples import randomized, screened
from tests.scenario import DAY_0, At, given
from tests.visits.examples import S
from tests.visits.examples import score as scoring

DAY_0_ON = date(2026, 1, 1)
AMENDING = amending(BEGINNING)
LATER = amended_text("1.1", months_before=3)


def on(days: int) -> date:
    return DAY_0_ON + timedelta(days=days)


def amendment(document: str = LATER, **members: Any) -> AmendProtocol:
    given_members = {"effective_on": on(50), "consent_version": "2.0", "summary": "narrower windows", "reason": "IEC"}
    return AmendProtocol(document=document, **(given_members | members))


def signing(form: str, days: float) -> At:
    return At(InformedConsentObtained(subject=S, site="01", consent_version=form), days)


# What may become a version.


def test_an_amendment_is_its_document_and_its_dates() -> None:
    about = {"study": "NCT01129739", "protocol_version": "1.1", "sha256": digest_of(LATER)}
    given().when(AMENDING, amendment(sites={"02": on(80)})).records(
        ProtocolDocumentPublished(**about, document=LATER),
        ProtocolAmended(
            **about,
            effective_on=on(50),
            sites={"02": on(80)},
            consent_version="2.0",
            summary="narrower windows",
        ),
    )


def test_a_bad_document_is_refused_with_the_line_the_key_and_the_rule_of_each_fault() -> None:
    bad = amended_text("1.1", ("planned_subjects = 30", "planned_subjects = 0"), ("last = 52", "last = 0"))
    result = given().when(AMENDING, amendment(bad))
    result.rejects(DOCUMENT_INVALID)
    assert result.problem is not None
    faults = result.problem.members["faults"]
    assert [fault["key"] for fault in faults] == ["planned_subjects", "schedule.activities.0.first"]
    lines = bad.splitlines()
    assert [lines[fault["line"] - 1].split(" ")[0] for fault in faults] == ["planned_subjects", "first"]
    assert all(fault["rule"] for fault in faults)


@pytest.mark.parametrize("text", ["", "= 1", "a = " + "[" * 5000, "a = 1e99999999999999999999", "a = 2010-13-41"])
def test_what_is_no_toml_is_no_document(text: str) -> None:
    given().when(AMENDING, amendment(text or "#")).rejects(DOCUMENT_INVALID)


@pytest.mark.parametrize("number", ["1.0", "0.9"])
def test_a_version_that_is_not_later_is_refused(number: str) -> None:
    given().when(AMENDING, amendment(amended_text(number))).rejects(NOT_LATER, last="1.0")


def test_another_study_and_another_start_are_refused() -> None:
    other = amended_text("1.1", ('study_id = "NCT01129739"', 'study_id = "NCT00000001"'))
    given().when(AMENDING, amendment(other)).rejects(OTHER_STUDY)
    start = amended_text("1.1", ("starts_on = 2010-05-01", "starts_on = 2011-05-01"))
    given().when(AMENDING, amendment(start)).rejects(START_CHANGED)
    given().when(AMENDING, amendment(effective_on=date(2010, 4, 30))).rejects(OUT_OF_ORDER)


def test_an_arm_with_subjects_stays_as_it_is() -> None:
    otherwise = amended_text("1.1", ('anchor = "first-csa-dose"', 'anchor = "randomization"'))
    given(randomized(S, 0, "MSC")).when(AMENDING, amendment(otherwise)).records(
        *given().when(AMENDING, amendment(otherwise)).events
    )
    given(randomized(S, 0, "CSA")).when(AMENDING, amendment(otherwise)).rejects(ARM_IN_USE, arms=["CSA"])


# Which version a decision is made under.

SHORTER = version(amended_text("1.1", HALF_A_YEAR_OF_SYMPTOMS), on(50), position=3)
AMENDED = ProtocolAmended(
    study="NCT01129739",
    protocol_version="1.1",
    sha256=SHORTER.sha256,
    effective_on=on(50),
    sites={},
    consent_version="2.0",
    summary="half a year",
)
ENTERED = screened(S), randomized(S, 0, "MSC"), AMENDED
SYMPTOMS = following(BEGINNING.amended(SHORTER), domain.symptoms)


def score(week: int) -> Any:
    return scoring(week).model_copy(update={"occurred_at": DAY_0 + timedelta(days=7 * week)})


def test_a_subject_that_has_not_moved_goes_on_as_before() -> None:
    assert given(*ENTERED).when(SYMPTOMS, score(40)).events


def test_a_subject_that_has_moved_is_asked_for_what_its_version_asks() -> None:
    moved = given(*ENTERED, signing("2.0", 200))
    moved.when(SYMPTOMS, score(40)).rejects(WEEK_NOT_PLANNED)
    assert moved.when(SYMPTOMS, score(26)).events


def test_what_happened_before_the_move_is_judged_as_it_was_then_also_when_it_is_entered_late() -> None:
    assert given(*ENTERED, signing("2.0", 300)).when(SYMPTOMS, score(40)).events


def test_a_process_that_has_not_read_an_amendment_decides_nothing_about_anybody() -> None:
    behind = following(BEGINNING, domain.symptoms)
    assert given(*ENTERED[:2]).when(behind, score(1)).events
    given(*ENTERED).when(behind, score(1)).rejects(VERSION_UNREADABLE)
    given(AMENDED).when(AMENDING, amendment()).rejects(VERSION_UNREADABLE)


# What moving changes.


def calendar(
    protocols: Protocols, *deeds: Deed, signed: tuple[Signed, ...] = (), specimens: tuple[Specimen, ...] = ()
) -> Calendar:
    infused = Deed(Kind.INFUSION.value, "1", DAY_0, 11)
    standing = Standing(S, "01", DAY_0, arm="MSC", randomized_at=DAY_0)
    found = Calendar.of(protocols, standing, (infused, *deeds), specimens, (), signed)
    assert found is not None
    return found


def count_on(days: float, position: int = 20) -> Specimen:
    return Specimen("HGB", DAY_0 + timedelta(days=days), position, stands=True)


def signed_on(days: float, form: str = "2.0", position: int = 600) -> tuple[Signed, ...]:
    return (Signed(form, DAY_0 + timedelta(days=days), position),)


def by_code(found: Calendar, as_of: int) -> dict[str, ItemState]:
    return {state.item.code: state for state in found.states(on(as_of))}


NARROWER = BEGINNING.amended(version(LATER, on(50)))


def opens(state: ItemState) -> int:
    return (state.item.window.opens_on - DAY_0_ON).days


def test_past_items_keep_their_version_and_later_ones_are_planned_anew_under_their_codes() -> None:
    # C1 (day 30) was done, C2 (day 61) was missed, C3 (day 91) is to come
    items = by_code(calendar(NARROWER, signed=signed_on(80), specimens=(count_on(30),)), 80)
    assert [(items[code].item.version, opens(items[code])) for code in ("C1", "C2", "C3")] == [
        ("1.0", 23),
        ("1.0", 54),
        ("1.1", 88),
    ]
    assert (items["C1"].state, items["C2"].state, items["C3"].state) == ("done", "missed", "planned")


def test_an_item_that_was_done_before_the_move_stays_done_in_the_window_that_it_had() -> None:
    items = by_code(calendar(NARROWER, signed=signed_on(86), specimens=(count_on(85),)), 100)
    assert (items["C3"].state, items["C3"].item.version, opens(items["C3"])) == ("done", "1.0", 84)


def test_before_the_move_the_schedule_is_as_it_was_and_without_it_stays_so() -> None:
    moved, stayed = calendar(NARROWER, signed=signed_on(80)), calendar(NARROWER)
    assert moved.states(on(79)) == stayed.states(on(79))
    assert {state.item.version for state in stayed.states(on(300))} == {"1.0"}


def test_an_item_that_the_version_does_not_have_is_cancelled_as_amended() -> None:
    protocols = BEGINNING.amended(SHORTER)
    items = by_code(calendar(protocols, signed=signed_on(150)), 160)
    assert (items["W27"].state, items["W27"].cancelled, items["W27"].item.version) == ("cancelled", "amended", "1.0")
    assert (items["W26"].state, items["W26"].item.version) == ("planned", "1.1")
    late = by_code(calendar(protocols, signed=signed_on(230)), 240)
    assert [late[f"W{week}"].state for week in (32, 33, 52)] == ["missed", "cancelled", "cancelled"]


def test_nothing_is_missed_in_retrospect() -> None:
    # The window of C3 would have closed on day 93 by the new version, which comes on day 95.
    earlier = version(
        amended_text("1.1", months_before=7).replace(
            'window = { before = 7, after = 7 }           # (proposal)\nanalytes = ["WBC"',
            'window = { before = 7, after = 2 }           # (proposal)\nanalytes = ["WBC"',
        ),
        on(50),
    )
    items = by_code(calendar(BEGINNING.amended(earlier), signed=signed_on(95)), 95)
    assert (items["C3"].state, items["C3"].item.version) == ("due", "1.0")
    assert (items["C4"].item.version, items["C4"].item.window.closes_on) == ("1.1", on(124))


def test_in_a_calendar_the_events_keep_their_uid_and_their_sequence_grows() -> None:
    def told(found: Calendar) -> dict[str, Any]:
        return {entry.summary: entry for entry in entries(found, DAY_0, on(90))}

    before, after = told(calendar(NARROWER)), told(calendar(NARROWER, signed=signed_on(80)))
    assert {summary: entry.uid for summary, entry in before.items()} == {s: e.uid for s, e in after.items()}
    assert all(after[summary].sequence > entry.sequence for summary, entry in before.items())
    assert "to 2026-04-09" in after[f"{S} C3"].description
    dropped = told(calendar(BEGINNING.amended(SHORTER), signed=signed_on(80)))
    assert dropped[f"{S} W40"].cancelled


def test_a_visit_keeps_its_number_and_a_new_one_gets_the_next() -> None:
    first = BEGINNING.first
    fourth_evaluation = amended_text(
        "1.1", ('unit = "months"\nat = [3, 6, 12]', 'unit = "months"\nat = [3, 6, 10, 12]')
    )
    protocols = BEGINNING.amended(version(fourth_evaluation, on(50)))
    numbers = VisitNumbers.of(protocols.readable)
    alone = VisitNumbers.of([first]).by_version["1.0"].by_code
    assert numbers.by_version["1.0"].by_code == alone
    amended = numbers.by_version["1.1"].by_code
    assert {code: amended[code] for code in alone} == alone
    assert amended["E10"] == amended["C10"]


# Properties.

deeds_of_weeks = st.lists(st.tuples(st.integers(1, 52), st.integers(0, 380)), max_size=20)
counts = st.lists(st.integers(-10, 380), max_size=12)


@settings(max_examples=40)
@examples(weeks=deeds_of_weeks, counts=counts, moved=st.integers(50, 380), as_of=st.integers(0, 400))
def test_a_version_that_is_the_same_but_for_its_number_changes_no_date_and_no_state(
    weeks: list[tuple[int, int]], counts: list[int], moved: int, as_of: int
) -> None:
    same = BEGINNING.amended(version(amended_text("1.1"), on(50)))
    deeds = [
        Deed(Kind.SYMPTOMS.value, str(week), DAY_0 + timedelta(days=day), 100 + number)
        for number, (week, day) in enumerate(weeks)
    ]
    specimens = tuple(count_on(day, 200 + number) for number, day in enumerate(counts))

    def told(signed: tuple[Signed, ...]) -> list[tuple[object, ...]]:
        found = calendar(same, *deeds, signed=signed, specimens=specimens).states(on(as_of))
        return sorted((s.item.code, s.item.nominal_on, s.item.window.opens_on, s.state, str(s.done_on)) for s in found)

    assert told(signed_on(moved)) == told(())


@settings(max_examples=40)
@examples(counts=counts, moved=st.integers(50, 380), again=st.integers(0, 30))
def test_to_sign_the_same_form_again_changes_nothing(counts: list[int], moved: int, again: int) -> None:
    specimens = tuple(count_on(day, 200 + number) for number, day in enumerate(counts))
    once, twice = signed_on(moved), signed_on(moved) + signed_on(moved + again, position=601)
    one = calendar(NARROWER, signed=once, specimens=specimens).states(on(400))
    assert calendar(NARROWER, signed=twice, specimens=specimens).states(on(400)) == one


@settings(max_examples=40)
@examples(counts=counts, moved=st.integers(50, 380))
def test_a_dry_run_says_what_the_move_then_does(counts: list[int], moved: int) -> None:
    specimens = tuple(count_on(day, 200 + number) for number, day in enumerate(counts))
    later = version(LATER, on(50))
    stayed = calendar(BEGINNING, specimens=specimens)
    tried = replay.moved(stayed, later, on(moved))
    really = calendar(BEGINNING.amended(later), signed=signed_on(moved), specimens=specimens)
    assert tried.after.states(tried.on) == really.states(on(moved))
    changed = {each.after.item.code for each in replay.changed_items(tried) if each.after is not None}
    before = {state.item.code: state for state in stayed.states(on(moved))}
    assert changed == {
        state.item.code
        for state in really.states(on(moved))
        if (state.item.window, state.state) != (before[state.item.code].item.window, before[state.item.code].state)
    }


def test_a_subject_does_not_move_before_the_version_is_in_effect_at_its_site() -> None:
    assert replay.moved(calendar(BEGINNING), version(LATER, on(50)), on(10)).on == on(50)
