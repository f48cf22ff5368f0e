"""The schedule as the protocol writes it: months as days, item codes."""

import pytest

from shared.protocol import load_protocol
from shared.protocol.schedule import ItemDays

SCHEDULE = load_protocol().schedule


def test_months_are_fixed_days() -> None:
    days = [SCHEDULE.nominal_day("months", month) for month in range(1, 13)]
    assert days == [30, 61, 91, 122, 152, 183, 213, 244, 274, 304, 335, 365]


@pytest.mark.parametrize(
    ("code", "days"),
    [
        ("W1", ItemDays(7, 4, 10)),
        ("W52", ItemDays(364, 361, 367)),
        ("C3", ItemDays(91, 84, 98)),
        ("E3", ItemDays(91, 77, 105)),
        ("B12", ItemDays(365, 351, 379)),
        ("INF2", ItemDays(98, 91, 126)),
        ("CR1", ItemDays(14, 11, 17)),
        ("CR7", ItemDays(91, 84, 98)),
        ("TR16", ItemDays(365, 358, 372)),
    ],
)
def test_an_item_has_a_nominal_day_and_a_window(code: str, days: ItemDays) -> None:
    assert SCHEDULE.days_of(code) == days


@pytest.mark.parametrize("code", ["W53", "X1", "S6H", "ET"])
def test_only_items_counted_from_day_0_have_days(code: str) -> None:
    with pytest.raises(LookupError):
        SCHEDULE.days_of(code)
