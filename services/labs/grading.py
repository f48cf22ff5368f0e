"""Decides the CTCAE grade and the flag (low, normal, high) of a laboratory value in its canonical unit.

The criteria stand in ctcae.toml, a table for each version of the CTCAE. Grades are tried from the highest down, each
with the strict bound of the table: by v5.0, haemoglobin of 100 g/L is grade 1 and 99.9 is grade 2.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from shared.protocol import Protocol, ProtocolDocumentError

Flag = Literal["L", "N", "H"]


@dataclass(frozen=True, slots=True)
class Criteria:
    """The laboratory criteria of one version of the CTCAE: of each analyte, the bound of each grade, highest first.

    A value is `low` when it is below a bound, of which None is the lower limit of normal; it is `high` when it is above
    so many times the upper limit of normal.
    """

    version: str
    low: Mapping[str, Mapping[int, Decimal | None]]
    high: Mapping[str, Mapping[int, Decimal]]

    def grade(self, code: str, value: Decimal, low: Decimal | None = None, high: Decimal | None = None) -> int | None:
        """The grade, 0 where no criterion is met; value and limits of normal in the canonical unit.

        None where the analyte has no criteria, or where the limit of normal that decides is not known.
        """
        if code in self.low:
            return _grade_low(self.low[code], value, low)
        if code in self.high and high is not None:
            return next((number for number, times in self.high[code].items() if value > times * high), 0)
        return None


def _grade_low(bounds: Mapping[int, Decimal | None], value: Decimal, low: Decimal | None) -> int | None:
    for number, bound in bounds.items():
        limit = low if bound is None else bound
        if limit is None:
            return None
        if value < limit:
            return number
    return 0


def _criteria(version: str, table: Mapping[str, Any]) -> Criteria:
    return Criteria(
        version,
        low={
            code: {grade: None if bound == "LLN" else Decimal(bound) for grade, bound in _highest_first(row)}
            for code, row in table["low"].items()
        },
        high={
            code: {grade: Decimal(times) for grade, times in _highest_first(row)} for code, row in table["high"].items()
        },
    )


def _highest_first(row: Mapping[str, Any]) -> list[tuple[int, str]]:
    return sorted(((int(grade), bound) for grade, bound in row["grades"].items()), reverse=True)


_TABLES = tomllib.loads((Path(__file__).parent / "ctcae.toml").read_text(encoding="utf-8"))

CRITERIA: Mapping[str, Criteria] = {version: _criteria(version, table) for version, table in _TABLES.items()}
"""The versions of the CTCAE that results can be graded by."""


def criteria_of(protocol: Protocol) -> Criteria:
    """The criteria that the protocol chooses. Raises ProtocolDocumentError where there is no table of that version."""
    version = protocol.safety.ctcae_version
    if version not in CRITERIA:
        known = " and ".join(CRITERIA)
        raise ProtocolDocumentError(f"safety.ctcae_version: there is no table of CTCAE {version}, only of {known}")
    return CRITERIA[version]


def flag(value: Decimal, low: Decimal | None, high: Decimal | None) -> Flag | None:
    """L below the reference range, H above it, N in it or against the only bound known, None without any bound."""
    if low is not None and value < low:
        return "L"
    if high is not None and value > high:
        return "H"
    return None if low is None and high is None else "N"
