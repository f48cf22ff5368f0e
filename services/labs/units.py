"""Decides which of the trial's analytes a code names, and what a value as sent is in the analyte's canonical unit.

The facts stand in analytes.toml. A unit is looked up by its exact spelling, case and all: first in the aliases of the
site, then in those of the analyte, then in the common ones; and it must be on the analyte's own list. There is no
general unit parser, because the units that laboratories write are often valid UCUM for something else.

Rewriting before the look-up never changes a meaning: spaces go; µ (either code point) is u; × and a leading x before
10 go; 10^9, 10E9, 10**9 and 10⁹ are 10*9; mm^3 is mm3; a litre after a slash is L.

Precision: a decimal factor is applied exactly, and a power of ten keeps the digits that were sent (12.5 g/dL is
125 g/L). A molar factor is a quotient, and its result is rounded half to even to five significant digits.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

LOINC_SYSTEMS = frozenset({"LN", "LOINC", "http://loinc.org", "2.16.840.1.113883.6.1", "urn:oid:2.16.840.1.113883.6.1"})
"""The names under which HL7 v2 and FHIR messages cite LOINC."""

MOLAR_DIGITS = 5
"""Significant digits of a value that was converted by a molar mass."""

DIGITS_MAX, MAGNITUDE_MAX = 18, 12
"""More digits, or a power of ten beyond this one, are no measurement."""

UNIT_LENGTH_MAX = 64
"""Longer texts are no unit."""

_EXACT = Context(prec=60)
_MOLAR = Context(prec=MOLAR_DIGITS, rounding=ROUND_HALF_EVEN)


class UnitError(ValueError):
    """A value that cannot be brought to the canonical unit. `problem` is a stable name for it."""

    problem = "unit-error"


class UnknownAnalyteError(UnitError):
    """The code is none of the trial's analytes."""

    problem = "unknown-analyte"


class MissingUnitError(UnitError):
    """No unit was sent; none is ever assumed."""

    problem = "missing-unit"


class UnknownUnitError(UnitError):
    """The unit is not on the analyte's list, in any known spelling."""

    problem = "unknown-unit"


class AmbiguousUnitError(UnitError):
    """The unit has more than one reading for this analyte, and what was sent does not decide it."""

    problem = "ambiguous-unit"


class ImplausibleValueError(UnitError):
    """The value cannot be true of a patient, or is no measurement at all."""

    problem = "implausible-value"


@dataclass(frozen=True, slots=True)
class Analyte:
    """One row of analytes.toml; its comments say what the columns mean."""

    code: str
    name: str
    unit: str
    loinc: Mapping[str, str]
    local: tuple[str, ...]
    low: Decimal
    high: Decimal
    accepts: Mapping[str, str]
    spells: Mapping[str, str] = field(default_factory=dict)
    reads: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ambiguous: Mapping[str, str] = field(default_factory=dict)


def _analyte(code: str, row: dict[str, Any]) -> Analyte:
    low, high = map(Decimal, row.pop("plausible"))
    spells = {normal_unit(spelling): unit for spelling, unit in row.pop("spells", {}).items()}
    return Analyte(code=code, low=low, high=high, spells=spells, local=tuple(row.pop("local")), **row)


@lru_cache(maxsize=1024)
def normal_unit(unit: str) -> str:
    """The unit rewritten as the module says, for comparison only."""
    text = re.sub(r"\s+", "", unit).replace("\u00b5", "u").replace("\u03bc", "u").replace("×", "x")
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
    text = re.sub(r"^[xX]?\*?10(?:\*\*|[*^eE]|exp)\+?0?([0-9]+)", r"10*\1", text)
    text = re.sub(r"m\^3$", "m3", text)
    return re.sub(r"(?<=/)([dcmun]?)l$", r"\1L", text)


_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")

_TABLE = tomllib.loads((Path(__file__).parent / "analytes.toml").read_text(encoding="utf-8"))

TABLE_VERSION: str = _TABLE["version"]
"""The version of analytes.toml, recorded with each report."""

ANALYTES: dict[str, Analyte] = {code: _analyte(code, row) for code, row in _TABLE["analytes"].items()}
"""The trial's analytes by code."""

_SPELLINGS = {normal_unit(spelling): unit for unit, spellings in _TABLE["spellings"].items() for spelling in spellings}
_KNOWN_UNITS = frozenset(_SPELLINGS).union(
    *((*each.accepts, *each.spells, *each.reads, *each.ambiguous) for each in ANALYTES.values())
)
_BY_LOINC = {code: analyte.code for analyte in ANALYTES.values() for code in analyte.loinc}
_BY_LOCAL = {name.casefold(): analyte.code for analyte in ANALYTES.values() for name in analyte.local}
_BY_SYSTEM = {(system, code): analyte for system, row in _TABLE["systems"].items() for code, analyte in row.items()}


def identify(codings: Iterable[tuple[str, str]], aliases: Mapping[tuple[str, str], str] | None = None) -> str | None:
    """The trial's code for the first of the (coding system, code) pairs that is known, None where none is.

    `aliases` are the site's own: (system, code) → analyte code. They come first; then LOINC, which counts only where
    the system says so; then a laboratory's coding system, and last the common local names.
    """
    pairs = tuple(codings)
    if aliases:
        for pair in pairs:
            if pair in aliases:
                return aliases[pair]
    for system, code in pairs:
        if system in LOINC_SYSTEMS and code in _BY_LOINC:
            return _BY_LOINC[code]
    for system, code in pairs:
        if system in LOINC_SYSTEMS:
            continue
        if known := _BY_SYSTEM.get((system, code)) or _BY_LOCAL.get(code.strip().casefold()):
            return known
    return None


def is_known_unit(unit: str) -> bool:
    """Whether any analyte is measured in the unit, or some laboratory writes it for one that is."""
    return len(unit) <= UNIT_LENGTH_MAX and normal_unit(unit) in _KNOWN_UNITS


def canonical(
    code: str,
    value: Decimal,
    unit: str,
    *,
    sent_as: str | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Decimal:
    """`value` in the canonical unit of the analyte `code`, within its bounds of plausibility.

    `sent_as` is the LOINC or local code that the value came with, which decides some units (BUN). `aliases` are the
    site's own spellings: unit as sent → a unit on the analyte's list. Raises one of the UnitErrors.
    """
    converted = convert(code, value, unit, sent_as=sent_as, aliases=aliases)
    analyte = ANALYTES[code]
    if not analyte.low <= converted <= analyte.high:
        raise ImplausibleValueError(
            f"{code} {converted} {analyte.unit} is not between {analyte.low} and {analyte.high}"
        )
    return converted


def is_molar(code: str, unit: str, *, sent_as: str | None = None) -> bool:
    """Whether a value in the unit is brought to the canonical one by a molar mass: then its LOINC no longer fits."""
    try:
        return "/" in ANALYTES[code].accepts[_listed_unit(ANALYTES[code], unit, sent_as, {})]
    except UnitError:
        return True


def convert(
    code: str,
    value: Decimal,
    unit: str,
    *,
    sent_as: str | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Decimal:
    """As `canonical`, without bounds of plausibility: for the bounds of a reference range."""
    analyte = ANALYTES.get(code)
    if analyte is None:
        raise UnknownAnalyteError(f"{code} is none of the trial's analytes")
    if not value.is_finite() or len(value.as_tuple().digits) > DIGITS_MAX or abs(value.adjusted()) > MAGNITUDE_MAX:
        raise ImplausibleValueError(f"the value of {code} is no measurement")
    listed = _listed_unit(analyte, unit, sent_as, aliases or {})
    return _times(value, analyte.accepts[listed])


def _listed_unit(analyte: Analyte, unit: str, sent_as: str | None, aliases: Mapping[str, str]) -> str:
    """The unit of the analyte's list that `unit` means."""
    if not unit.strip():
        raise MissingUnitError(f"{analyte.code} came without a unit")
    if len(unit) > UNIT_LENGTH_MAX:
        raise UnknownUnitError(f"the unit of {analyte.code} is longer than {UNIT_LENGTH_MAX} characters")
    spelled = normal_unit(unit)
    if unit in aliases:
        meant = aliases[unit]
    elif spelled in analyte.spells:
        meant = analyte.spells[spelled]
    else:
        meant = _SPELLINGS.get(spelled, spelled)
    if sent_as is not None:
        meant = analyte.reads.get(meant, {}).get(sent_as.strip().upper(), meant)
    if meant in analyte.ambiguous:
        raise AmbiguousUnitError(f"{analyte.code} in {unit}: {analyte.ambiguous[meant]}")
    if meant not in analyte.accepts:
        raise UnknownUnitError(f"{analyte.code} is not measured in {unit!r}")
    return meant


def _times(value: Decimal, factor: str) -> Decimal:
    if "/" in factor:
        numerator, denominator = map(Fraction, factor.split("/"))
        product = Fraction(value) * numerator / denominator
        quotient = _MOLAR.divide(Decimal(product.numerator), Decimal(product.denominator))
        return _plain(quotient)
    exact = Decimal(factor)
    if exact.normalize().as_tuple().digits == (1,):
        return _plain(value.scaleb(exact.adjusted(), context=_EXACT))
    return _EXACT.multiply(value, exact)


def _plain(value: Decimal) -> Decimal:
    """Without an exponent: 1.2E+2 is 120."""
    return value.quantize(Decimal(1), context=_EXACT) if value.as_tuple().exponent > 0 else value  # type: ignore[operator]  # finite
