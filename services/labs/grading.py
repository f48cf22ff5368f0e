"""Decides the CTCAE grade and the flag (low, normal, high) of a laboratory value in its canonical unit.

The criteria stand in ctcae.toml (CTCAE v5.0). Grades are tried from the highest down, each with the strict bound of the
table: haemoglobin of 100 g/L is grade 1 and 99.9 is grade 2; platelets of 75 are grade 1 and 74.9 are grade 2.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Literal

Flag = Literal["L", "N", "H"]

_TABLE = tomllib.loads((Path(__file__).parent / "ctcae.toml").read_text(encoding="utf-8"))

CTCAE_VERSION: str = _TABLE["version"]
"""The version of the criteria, recorded with each report."""

_LOW: dict[str, dict[int, Decimal | None]] = {
    code: {
        int(grade): None if bound == "LLN" else Decimal(bound)
        for grade, bound in sorted(row["grades"].items(), reverse=True)
    }
    for code, row in _TABLE["low"].items()
}
"""Analyte → grade, highest first → the bound that the value is below; None is the lower limit of normal."""

_HIGH: dict[str, dict[int, Decimal]] = {
    code: {int(grade): Decimal(times) for grade, times in sorted(row["grades"].items(), reverse=True)}
    for code, row in _TABLE["high"].items()
}
"""Analyte → grade, highest first → how many times the upper limit of normal the value is above."""


def grade(code: str, value: Decimal, low: Decimal | None = None, high: Decimal | None = None) -> int | None:
    """The CTCAE grade, 0 where no criterion is met; value and limits of normal in the canonical unit.

    None where the analyte has no criteria, or where the limit of normal that decides is not known.
    """
    if code in _LOW:
        return _grade_low(_LOW[code], value, low)
    if code in _HIGH and high is not None:
        return next((number for number, times in _HIGH[code].items() if value > times * high), 0)
    return None


def _grade_low(bounds: dict[int, Decimal | None], value: Decimal, low: Decimal | None) -> int | None:
    for number, bound in bounds.items():
        limit = low if bound is None else bound
        if limit is None:
            return None
        if value < limit:
            return number
    return 0


def flag(value: Decimal, low: Decimal | None, high: Decimal | None) -> Flag | None:
    """L below the reference range, H above it, N in it or against the only bound known, None without any bound."""
    if low is not None and value < low:
        return "L"
    if high is not None and value > high:
        return "H"
    return None if low is None and high is None else "N"
