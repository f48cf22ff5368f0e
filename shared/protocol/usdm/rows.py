"""Which rows of a schedule say what single items say: items that differ by their time alone share a row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

_NUMBERED = re.compile(r"(?P<prefix>.+?)(?P<number>0|[1-9]\d*)", re.ASCII)


class ReadItem(NamedTuple):
    """One item as it was read: its code, and what its row says of it. The window is before and after."""

    code: str
    activity: str
    arms: tuple[str, ...]
    origin: str
    unit: str
    offset: int
    window: tuple[int, int]
    on_treatment: bool
    analytes: tuple[str, ...]
    condition: str | None = None

    def split(self) -> tuple[str, int | None]:
        """The prefix and the number of the code; an item after each infusion or at the exit bears no number."""
        numbered = _NUMBERED.fullmatch(self.code) if self.origin == "day-0" else None
        return (numbered["prefix"], int(numbered["number"])) if numbered else (self.code, None)


def rows_of(items: Iterable[ReadItem]) -> list[dict[str, Any]]:
    """The rows, as [[schedule.activities]] has them, in the order of the items.

    An item joins the row before it when it is later and its number goes on as that row's numbers do: as the offsets
    themselves, or one by one.
    """
    rows: list[list[ReadItem]] = []
    for item in items:
        if rows and _goes_on(rows[-1], item):
            rows[-1].append(item)
        else:
            rows.append([item])
    return [_row(row) for row in rows]


def _goes_on(row: list[ReadItem], item: ReadItem) -> bool:
    last = row[-1]
    alike = last._replace(code="", offset=0) == item._replace(code="", offset=0) and last.split()[0] == item.split()[0]
    return alike and last.offset < item.offset and _numbering([*row, item]) is not False


def _numbering(row: list[ReadItem]) -> int | bool | None:
    """The number that a row is numbered from; None where numbers are the offsets; False where they are neither."""
    numbers = [item.split()[1] for item in row]
    first = numbers[0]
    if first is None or numbers == [item.offset for item in row]:
        return None if len(row) == 1 or first is not None else False
    return first if numbers == list(range(first, first + len(row))) else False


def _row(row: list[ReadItem]) -> dict[str, Any]:
    item, offsets = row[0], [each.offset for each in row]
    written: dict[str, Any] = {
        "prefix": item.split()[0],
        "activity": item.activity,
        "arms": item.arms,
        "origin": item.origin,
        "unit": item.unit,
        "window": {"before": item.window[0], "after": item.window[1]},
        "condition": item.condition,
        "on_treatment": item.on_treatment,
        "analytes": item.analytes,
        "numbered_from": _numbering(row) if item.origin == "day-0" else None,
    }
    if len(offsets) > 1 and offsets == list(range(offsets[0], offsets[-1] + 1)):
        return written | {"first": offsets[0], "last": offsets[-1]}
    return written | {"at": offsets}
