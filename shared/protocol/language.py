"""Which written forms the trial's scalars take: subjects, sites, arms, and exact measurements."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, Strict, StringConstraints, WithJsonSchema

SiteId = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}$")]
"""A site's number, such as `01`."""

SubjectId = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}-[0-9]{3}$")]
"""A coded subject: the site's number and the subject's number in it, such as `01-001`."""

ArmCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,15}$")]
"""An arm, as the protocol document names it."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,47}$")]
"""A stable code in kebab case: of a criterion, an activity, a grounds."""

AnalyteCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,15}$")]
"""An analyte, such as `HGB`."""

_UNWRITTEN = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Controls, line separators, and what turns the direction of writing, so that a line reads otherwise than it is."""

_BLANK = r"\s\u200b-\u200f\ufeff"

Text = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=500, pattern=rf"^[^{_UNWRITTEN}]*[^{_UNWRITTEN}{_BLANK}][^{_UNWRITTEN}]*$"
    ),
]
"""One line that a person wrote, and not a blank one: no control characters, at most 500 characters."""


Whole = Annotated[int, Strict()]
"""A whole number: a count, a week, a grade. Texts and booleans are none."""

DIGITS_MAX = 28
MAGNITUDE_MAX = 15  # below 1E+16: more than any count of cells
MAGNITUDE_MIN = -12  # and down to 1E-12

_MEASUREMENT = re.compile(r"[+-]?(\d{1,28}(\.\d{0,28})?|\.\d{1,28})([eE][+-]?\d{1,2})?", re.ASCII)


def _exact(value: object) -> Decimal:
    """The exact decimal of a JSON number or string. A float gives the digits it prints, not its binary tail."""
    match value:
        case bool():
            raise ValueError("a measurement is a number")
        case Decimal():
            number = value
        case int() | float():
            number = Decimal(repr(value))
        case str() if _MEASUREMENT.fullmatch(value):
            number = Decimal(value)
        case _:
            raise ValueError("a measurement is a decimal number, such as 8.6 or 1.0E+6")
    if not number.is_finite():
        raise ValueError("a measurement is finite")
    if len(number.as_tuple().digits) > DIGITS_MAX:
        raise ValueError(f"a measurement has at most {DIGITS_MAX} digits")
    if number and not MAGNITUDE_MIN <= number.adjusted() <= MAGNITUDE_MAX:
        raise ValueError(f"a measurement lies between 1E{MAGNITUDE_MIN} and 1E+{MAGNITUDE_MAX + 1}")
    if not number and not -DIGITS_MAX <= int(number.as_tuple().exponent) <= DIGITS_MAX:
        raise ValueError("a zero is written without an absurd exponent")
    return number


def _written(value: Decimal) -> str:
    """The digits as given, without an exponent: 1.0E+6 is written 1000000."""
    return format(value, "f")


_SMALLEST = 10.0**MAGNITUDE_MIN
_LARGEST = 10.0**MAGNITUDE_MAX


def _schema(pattern: str, *ranges: tuple[float, float]) -> WithJsonSchema:
    """How a measurement is read: a JSON number in one of some closed ranges, or the same as a string."""
    numbers = [{"type": "number", "minimum": low, "maximum": high} for low, high in ranges]
    return WithJsonSchema(
        {"anyOf": [*numbers, {"type": "string", "pattern": pattern}], "examples": ["8.6"]}, mode="validation"
    )


_READ = (BeforeValidator(_exact), PlainSerializer(_written, return_type=str, when_used="json"))
_WRITTEN = WithJsonSchema(
    {"type": "string", "pattern": r"^-?[0-9]{1,28}(\.[0-9]{1,40})?$", "examples": ["8.6"]}, mode="serialization"
)

Measurement = Annotated[
    Decimal,
    *_READ,
    _schema(r"^-?[0-9]{1,15}(\.[0-9]{1,12})?$", (-_LARGEST, -_SMALLEST), (0, 0), (_SMALLEST, _LARGEST)),
    _WRITTEN,
]
"""An exact decimal: read from a JSON number or string, written as a string; finite, bounded in digits and size."""

PositiveMeasurement = Annotated[
    Decimal,
    *_READ,
    Field(gt=0),
    _schema(r"^[1-9][0-9]{0,14}(\.[0-9]{1,12})?$|^0\.[0-9]{0,11}[1-9]$", (_SMALLEST, _LARGEST)),
    _WRITTEN,
]
"""A measurement above zero: a weight, a volume, a concentration."""

Percentage = Annotated[
    Decimal,
    *_READ,
    Field(ge=0, le=100),
    _schema(r"^100(\.0{1,12})?$|^[0-9]{1,2}(\.[0-9]{1,12})?$", (0, 0), (_SMALLEST, 100)),
    _WRITTEN,
]
"""A measurement from 0 to 100 %."""


def site_of(subject: str) -> str:
    """The site of a coded subject: `01` of `01-001`."""
    return subject.partition("-")[0]
