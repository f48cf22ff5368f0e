"""What may be asked of the trail: to sign records of it. The command extends the request body that it is made from."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from shared.decision import Command
from shared.signing import SignatureMeaning

POSITION_MAX = 2**53 - 1
"""The greatest integer that every reader of JSON keeps exact (RFC 7493 §2.2)."""

POSITIONS_MAX = 250
"""Records under one signature; each becomes a tag of the log."""


def _integer(value: object) -> object:
    """JSON knows one kind of number: 17.0 is the position 17 (JSON Schema 2020-12 §4.2.3)."""
    if isinstance(value, Decimal) and value.adjusted() < len(str(POSITION_MAX)) and value == value.to_integral_value():
        return int(value)
    return value


Position = Annotated[int, Field(ge=1, le=POSITION_MAX, strict=True), BeforeValidator(_integer)]


class Signing(Command):
    """Which records are signed, and what that means. A signature is dated when it is given, never before."""

    occurred_at: None = Field(None, description="Not for signatures: they happen when they are recorded.")
    positions: Annotated[tuple[Position, ...], Field(min_length=1, max_length=POSITIONS_MAX)]
    meaning: SignatureMeaning


class SignRecords(Signing):
    """Sign the records in the name of the caller."""
