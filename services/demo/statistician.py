"""What the trial's statistician does: seals the scheme and caps the enrolment first, reveals the seed in the end."""

from __future__ import annotations

from collections.abc import Sequence

from services.demo.client import Speaker, TrialClient
from services.randomization.scheme import default_scheme
from shared.identity import Role
from shared.protocol import Protocol

STATISTICIAN = Speaker(Role.STATISTICIAN, "Trial statistician")


async def seal_scheme(client: TrialClient, protocol: Protocol, sites: Sequence[str], reason: str) -> int:
    """Seal the protocol's own scheme, the lists of these sites committed to; the version that it became."""
    scheme = default_scheme(protocol).model_dump(mode="json", exclude={"occurred_at"})
    sealed = await client.post(STATISTICIAN, "/randomization/scheme", scheme | {"sites": list(sites), "reason": reason})
    return int(sealed["version"])


async def reveal_scheme(client: TrialClient, version: int) -> None:
    """Reveal the seed, so that anybody can recompute each allocation."""
    await client.post(STATISTICIAN, f"/randomization/scheme/{version}/reveal", {"reason": "The database is locked."})


async def cap_enrolment(client: TrialClient, cap: int) -> None:
    """Let so many be enrolled at all sites together."""
    body = {"cap": cap, "reason": "The sample size, and a margin."}
    await client.post(STATISTICIAN, "/randomization/enrolment-cap", body)


async def lift_cap(client: TrialClient, reason: str) -> None:
    """Let as many be enrolled as come."""
    await client.post(STATISTICIAN, "/randomization/enrolment-cap/lifting", {"reason": reason})
