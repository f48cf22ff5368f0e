"""Decides which number, comparator and reference range a laboratory's text states, where it states one.

The text is always kept by the caller; nothing here ever fails on it. Only ASCII digits and a decimal point count as a
number (HL7 v2 chapter 2A, NM), save in ranges, which are free text and where a decimal comma is common.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Comparator = Literal["<", "<=", ">", ">="]

_COMPARATORS: dict[str, Comparator | None] = {
    "<": "<",
    "<=": "<=",
    "=<": "<=",
    "≤": "<=",
    ">": ">",
    ">=": ">=",
    "=>": ">=",
    "≥": ">=",
    "=": None,
    "": None,
}
_NUMBER = r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})"
_COMPARED = re.compile(rf"([<>=≤≥]{{0,2}})\s*+({_NUMBER})")

_BOUND = r"(-?[0-9]{1,18}(?:[.,][0-9]{1,18})?)"
_BETWEEN = re.compile(rf"{_BOUND}\s*(?:-|–|—|_|\.\.|to|a|bis)\s*{_BOUND}", re.IGNORECASE)
_ONE_SIDED = re.compile(rf"([<>≤≥]=?|=[<>])\s*{_BOUND}(?:\s*=.*)?")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written (no digit added or lost), and the comparator in front of it (`<9`), None for an equal."""

    value: Decimal
    comparator: Comparator | None = None


@dataclass(frozen=True, slots=True)
class ReferenceRange:
    """A reference range as sent, with the bounds that could be read out of it, in the unit of the result."""

    text: str
    low: Decimal | None = None
    high: Decimal | None = None


def read_number(text: str) -> Number | None:
    """`12.5`, `<9`, `>= 100`: the number that an NM or ST states, None where it states none."""
    match = _COMPARED.fullmatch(text.strip())
    if match is None or match[1] not in _COMPARATORS:
        return None
    return Number(Decimal(match[2]), _COMPARATORS[match[1]])


def read_structured_numeric(components: Sequence[str]) -> Number | None:
    """The number of an SN (comparator ^ num1 ^ separator ^ num2), None for a ratio, an interval or a category."""
    comparator, first, separator, second = [*components[:4], *[""] * (4 - len(components))]
    if separator or second:
        return None
    return read_number(f"{comparator}{first}")


def read_range(text: str) -> ReferenceRange:
    """The bounds of `[ 4.0 - 11.0 ]`, `4.3 to 6.2`, `9 a 12`, `70_105`, `-2-2`, `< 0.21`, `<5 = normal`.

    A range that says something else, or contradicts itself, keeps its text and has no bounds. A comma counts as a
    decimal comma only where it cannot separate thousands.
    """
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1].strip()
    if match := _BETWEEN.fullmatch(inner):
        low, high = _bound(match[1]), _bound(match[2])
        if low is not None and high is not None and low <= high:
            return ReferenceRange(text, low, high)
    elif match := _ONE_SIDED.fullmatch(inner):
        bound = _bound(match[2])
        is_high = "<" in match[1] or "≤" in match[1]
        return ReferenceRange(text, None if is_high else bound, bound if is_high else None)
    return ReferenceRange(text)


def _bound(text: str) -> Decimal | None:
    if "," in text and len(text.split(",")[1]) == 3:
        return None
    return Decimal(text.replace(",", "."))
