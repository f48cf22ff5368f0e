"""Versions of the protocol: from when each is in effect where, and which one a subject follows."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.problems import Problem
from shared.protocol.versions import UNKNOWN_VERSION, VERSION_UNREADABLE, Entry, Protocols, Version, version_order
from tests.protocols import BEGINNING, amended_text, version

MARCH, MAY, JULY = date(2026, 3, 1), date(2026, 5, 1), date(2026, 7, 1)
SECOND = version(amended_text("1.1"), MARCH, "2.0", sites={"02": MAY}, position=100)
THIRD = version(amended_text("1.2"), MAY, "3.0", position=200)
PROTOCOLS = BEGINNING.amended(SECOND).amended(THIRD)


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)  # noon in Shanghai


def entered(day: date, *signed: tuple[str, date]) -> Entry:
    entry = Entry(at(day))
    for number, (form, on) in enumerate(signed, start=1):
        entry = entry.signing(form, at(on), number)
    return entry


def course(site: str, entry: Entry, protocols: Protocols = PROTOCOLS) -> list[tuple[str, date | None]]:
    return [(each.version.number, each.since) for each in protocols.followed(site, entry)]


def test_the_first_version_is_in_effect_everywhere_from_the_studys_start() -> None:
    assert BEGINNING.in_effect(date(2010, 5, 1)).number == "1.0"
    assert BEGINNING.in_effect(date(2009, 1, 1), "07").number == "1.0"


@pytest.mark.parametrize(
    ("site", "day", "expected"),
    [
        ("01", date(2026, 2, 28), "1.0"),
        ("01", MARCH, "1.1"),
        ("02", MARCH, "1.0"),
        ("02", date(2026, 4, 30), "1.0"),
        ("02", MAY, "1.2"),
        (None, MARCH, "1.1"),
    ],
)
def test_a_version_is_in_effect_at_a_site_from_its_day_on(site: str | None, day: date, expected: str) -> None:
    assert PROTOCOLS.in_effect(day, site).number == expected


def test_a_subject_enters_under_the_version_in_effect_at_its_site() -> None:
    assert course("01", entered(date(2026, 2, 1), ("1.0", date(2026, 2, 1)))) == [("1.0", None)]
    assert course("01", entered(date(2026, 4, 1))) == [("1.1", None)]
    assert course("02", entered(date(2026, 4, 1))) == [("1.0", None)]


def test_a_subject_moves_on_the_day_on_which_it_signs_the_form_of_a_version() -> None:
    moved = entered(date(2026, 2, 1), ("1.0", date(2026, 2, 1)), ("2.0", date(2026, 3, 9)))
    assert course("01", moved) == [("1.0", None), ("1.1", date(2026, 3, 9))]
    assert PROTOCOLS.of("01", moved, date(2026, 3, 8)).number == "1.0"
    assert PROTOCOLS.of("01", moved, date(2026, 3, 9)).number == "1.1"


def test_nobody_moves_by_the_passing_of_time() -> None:
    assert PROTOCOLS.of("01", entered(date(2026, 2, 1)), date(2036, 1, 1)).number == "1.0"


def test_a_form_that_is_signed_before_its_version_is_in_effect_at_the_site_moves_nobody() -> None:
    early = entered(date(2026, 2, 1), ("2.0", date(2026, 3, 9)))
    assert course("02", early) == [("1.0", None)]
    again = entered(date(2026, 2, 1), ("2.0", date(2026, 3, 9)), ("2.0", date(2026, 5, 2)))
    assert course("02", again) == [("1.0", None), ("1.1", date(2026, 5, 2))]


def test_a_form_of_an_older_version_takes_nobody_back() -> None:
    entry = entered(date(2026, 2, 1), ("3.0", date(2026, 5, 2)), ("2.0", date(2026, 6, 1)))
    assert course("01", entry) == [("1.0", None), ("1.2", date(2026, 5, 2))]


def test_of_two_forms_of_one_day_the_later_version_counts() -> None:
    entry = entered(date(2026, 2, 1), ("2.0", date(2026, 6, 1)), ("3.0", date(2026, 6, 1)))
    assert course("01", entry) == [("1.0", None), ("1.2", date(2026, 6, 1))]


def test_a_move_is_known_since_both_the_form_and_the_version_are_on_record() -> None:
    [_, move] = PROTOCOLS.followed("01", entered(date(2026, 2, 1), ("2.0", date(2026, 3, 9))))
    assert move.position == SECOND.position


def test_no_version_that_cannot_be_read_is_decided_under() -> None:
    unread = Version("1.3", "version = 1.3", None, JULY, consent_version="4.0", position=300)
    protocols = PROTOCOLS.amended(unread)
    assert protocols.in_effect(MAY, "01").readable.version == "1.2"
    with pytest.raises(Problem) as refused:
        _ = protocols.in_effect(JULY, "01").readable
    assert refused.value.refusal == VERSION_UNREADABLE
    assert protocols.latest.version == "1.2"


def test_a_version_that_nobody_published_is_named_so() -> None:
    with pytest.raises(Problem) as refused:
        PROTOCOLS.version("9.9")
    assert (refused.value.refusal, refused.value.members) == (UNKNOWN_VERSION, {"versions": ["1.0", "1.1", "1.2"]})


def test_versions_count_by_numbers_and_not_by_digits() -> None:
    assert version_order("1.10") > version_order("1.9")
    assert version_order("2.0") > version_order("1.10")


days = st.dates(date(2026, 1, 1), date(2026, 12, 31))
forms = st.lists(st.tuples(st.sampled_from(["1.0", "2.0", "3.0"]), days), max_size=5)


@given(st.sampled_from(["01", "02"]), days, forms, st.randoms())
def test_a_course_only_goes_forward_whatever_the_order_in_which_forms_are_recorded(
    site: str, entered_on: date, signed: list[tuple[str, date]], chance: object
) -> None:
    found = course(site, entered(entered_on, *signed))
    numbers = [number for number, _ in found]
    since = [day for _, day in found[1:]]
    assert numbers == sorted(set(numbers), key=version_order)
    assert since == sorted(since, key=lambda day: day or date.min)
    chance.shuffle(signed)  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert course(site, entered(entered_on, *signed)) == found
