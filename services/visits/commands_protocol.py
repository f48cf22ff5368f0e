"""What may be asked about the protocol: another version of it, and from when it is in effect where."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.visits.commands import CivilDate
from shared.decision import Command
from shared.protocol.language import SiteId, Text

DOCUMENT_MAX = 200_000
"""Characters; the trial's own document has less than a tenth of it."""


class Amendment(Command):
    """A later version of the protocol. Codes and dates: nothing that names a person."""

    document: Annotated[
        str,
        Field(min_length=1, max_length=DOCUMENT_MAX, pattern=r"^[^\x00]+$", description="The whole document, as TOML."),
    ]
    effective_on: Annotated[CivilDate, Field(description="The first day of its effect, by each site's calendar.")]
    sites: Annotated[
        dict[SiteId, CivilDate],
        Field(
            default_factory=dict,
            max_length=99,
            description="Sites at which it is in effect from another day on.",
            json_schema_extra={"additionalProperties": False},  # the pattern of a name alone allows others beside it
        ),
    ]
    consent_version: Annotated[
        str,
        Field(
            max_length=40,
            pattern=r"^[A-Za-z0-9_.\-][A-Za-z0-9_.\- ]*$",
            description="The version of the consent form that a subject signs to go on under it.",
        ),
    ]
    summary: Annotated[Text, Field(description="What changes.")]
    reason: Text


class AmendProtocol(Amendment):
    """Publish a later version of the protocol."""
