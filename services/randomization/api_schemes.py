"""Randomization schemes over HTTP: sealed by a statistician, told as far as they may be known, revealed in the end."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from services.randomization.answers import RevealedScheme, SchemeList, SealedScheme
from services.randomization.commands import Reveal, Scheme
from services.randomization.events import RandomizationSchemeSealed
from services.randomization.scheme import SCHEME_REVEALED, UNKNOWN_SCHEME
from services.randomization.sealing import reveal_seed, schemes_of, seal_scheme
from shared.call import LOG_POSITION, Call, Reader, may_write
from shared.identity import Role
from shared.problems import WRITE_CONFLICT, problem_responses
from shared.service import recorded_event, service_router

router = service_router("randomization")

Statistician = Annotated[Call, may_write(Role.STATISTICIAN)]


@router.post("/scheme", status_code=201, name="sealScheme", responses=problem_responses(WRITE_CONFLICT))
async def seal(body: Scheme, call: Statistician) -> SealedScheme:
    """Seal a randomization scheme: it takes effect for later subjects, and is never edited.

    Seed and block sizes are committed to; nobody is told them before the reveal.
    """
    outcome = await seal_scheme(call, body)
    return SealedScheme.of(recorded_event(outcome, RandomizationSchemeSealed), outcome.position)


@router.get("/scheme", name="listSchemes")
async def list_schemes(call: Reader) -> SchemeList:
    """Every scheme that has been sealed, the one in effect last, and the secrets of those that have been revealed."""
    schemes, head = await schemes_of(call.runtime.log)
    call.response.headers[LOG_POSITION] = str(head)
    return SchemeList.of(schemes)


@router.post(
    "/scheme/{version}/reveal",
    status_code=201,
    name="revealSeed",
    responses=problem_responses(UNKNOWN_SCHEME, SCHEME_REVEALED, WRITE_CONFLICT),
)
async def reveal(version: Annotated[int, Path(ge=1, le=9999)], body: Reveal, call: Statistician) -> RevealedScheme:
    """Make seed and block sizes of a scheme public, after database lock; it allocates nobody any more."""
    outcome = await reveal_seed(call, version, body)
    return RevealedScheme(version=version, position=outcome.position)
