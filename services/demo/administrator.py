"""What the trial's administrator does: opens the sites at the beginning, and closes them when nobody comes any more."""

from __future__ import annotations

from collections.abc import Sequence

from services.demo.client import Speaker, TrialClient
from shared.identity import Role

ADMINISTRATOR = Speaker(Role.ADMIN, "Trial administrator")


async def open_sites(client: TrialClient, sites: Sequence[str], reason: str) -> None:
    """Open each site for screening and enrolment."""
    for site in sites:
        await client.post(ADMINISTRATOR, f"/randomization/sites/{site}/opening", {"reason": reason})


async def close_sites(client: TrialClient, sites: Sequence[str]) -> None:
    """Close each site; its subjects have had their year."""
    for site in sites:
        await client.post(ADMINISTRATOR, f"/randomization/sites/{site}/closure", {"reason": "The accrual is complete."})
