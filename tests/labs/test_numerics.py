"""Numbers, comparators and reference ranges, in the shapes that laboratories send."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs.numerics import Number, read_number, read_range, read_structured_numeric

BOUNDS = st.decimals(min_value=-1000, max_value=1000, places=2)


@pytest.mark.parametrize(
    ("text", "value", "comparator"),
    [("12.50", "12.50", None), ("<9", "9", "<"), (" >= 100 ", "100", ">="), ("≤0.5", "0.5", "<="),
     ("-1.5", "-1.5", None), ("+3", "3", None), (".5", "0.5", None), ("=7", "7", None), ("=<7", "7", "<=")],
)  # fmt: skip
def test_a_number_keeps_its_digits_and_its_comparator(text: str, value: str, comparator: str | None) -> None:
    number = read_number(text)
    assert number is not None
    assert str(number.value) == value
    assert number.comparator == comparator


@pytest.mark.parametrize(
    "text", ["", "FOO", "12,5", "1e3", "NaN", "Infinity", "<>5", "1 2", "٣", "9" * 40, "1.2.3", "+-5", "++"]
)
def test_what_is_not_a_number_is_none(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        (["", "182"], Number(Decimal(182))),
        (["<", "9"], Number(Decimal(9), "<")),
        ([">=", "100"], Number(Decimal(100), ">=")),
        (["", "1", ":", "128"], None),
        (["", "2", "-", "4"], None),
        (["", "1", "+"], None),
        ([], None),
        (["<", "<9"], None),
    ],
)
def test_a_structured_numeric_is_one_number_or_none(components: list[str], expected: Number | None) -> None:
    assert read_structured_numeric(components) == expected


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("[ 4.0 - 11.0 ]", "4.0", "11.0"),
        ("[ 0.04 - 0.40 ]", "0.04", "0.40"),
        ("49 - 92", "49", "92"),
        ("70-80", "70", "80"),
        ("4.3 to 6.2", "4.3", "6.2"),
        ("9 a 12", "9", "12"),
        ("70_105", "70", "105"),
        ("-2-2", "-2", "2"),
        ("-3 - -1", "-3", "-1"),
        ("4,5 – 11,0", "4.5", "11.0"),
        ("[ < 0.21 ]", None, "0.21"),
        ("<5 = normal", None, "5"),
        ("<= 40", None, "40"),
        ("> 60", "60", None),
        ("≥60", "60", None),
        ("[ ]", None, None),
        ("", None, None),
        ("0.133", None, None),
        ("negative", None, None),
        ("12 - 4", None, None),
        ("1,000 - 2,000", None, None),
        ("<<5", None, None),
    ],
)
def test_the_bounds_of_a_range_are_read_where_it_states_them(text: str, low: str | None, high: str | None) -> None:
    bounds = read_range(text)
    assert (bounds.low, bounds.high) == (low and Decimal(low), high and Decimal(high))
    assert bounds.text == text


@given(BOUNDS, BOUNDS, st.sampled_from(["{} - {}", "[ {} - {} ]", "{}-{}", "{} to {}", "{}_{}"]))
def test_a_range_reads_back_as_written(first: Decimal, second: Decimal, shape: str) -> None:
    low, high = sorted((first, second))
    bounds = read_range(shape.format(low, high))
    assert (bounds.low, bounds.high) == (low, high)


@given(st.text(alphabet="0123456789<>=.,-[] to≤a_", max_size=30) | st.text())
def test_no_text_raises(text: str) -> None:
    assert read_range(text).text == text
    read_number(text)


def test_a_value_of_blanks_alone_states_no_number_however_long_it_is() -> None:
    assert read_number(" " * 1_000_000) is None
    assert read_number("<" + " " * 1_000_000 + "x") is None
