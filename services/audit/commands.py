"""What may be asked of the trail: to sign records of it. The command extends the request body that it is made from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.audit.events import Meaning
from shared.decision import Command
from shared.protocol.language import Whole

POSITION_MAX = 2**63 - 1
POSITIONS_MAX = 250
"""Records under one signature; each becomes a tag of the log."""

Position = Annotated[Whole, Field(ge=1, le=POSITION_MAX)]


class Signing(Command):
    """Which records are signed, and what that means. A signature is dated when it is given, never before."""

    occurred_at: None = Field(None, description="Not for signatures: they happen when they are recorded.")
    positions: Annotated[tuple[Position, ...], Field(min_length=1, max_length=POSITIONS_MAX)]
    meaning: Meaning


class SignRecords(Signing):
    """Sign the records in the name of the caller."""
