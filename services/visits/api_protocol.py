"""The protocol over HTTP: its versions and their documents, amendments, and what an amendment would change."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from services.visits import amendments
from services.visits.answers_protocol import DryRun, PublishedAmendment, VersionList
from services.visits.commands import CivilDate
from services.visits.commands_protocol import Amendment, AmendProtocol
from services.visits.projections import PROJECTION
from services.visits.questions_protocol import candidate, dry_run, versions_in_log
from shared.call import Call, Reader, may_write
from shared.chronology import OUT_OF_ORDER
from shared.identity import Role
from shared.negotiation import require_preferred
from shared.problems import FORBIDDEN, NOT_ACCEPTABLE, WRITE_CONFLICT, problem_responses
from shared.protocol.amendment import ProtocolAmended
from shared.protocol.language import SubjectId
from shared.protocol.versions import UNKNOWN_VERSION
from shared.service import recorded_event, service_router

router = service_router("visits")

Administrator = Annotated[Call, may_write(Role.ADMIN)]

TOML = "text/plain"

WHOLE_FOR = frozenset({Role.ADMIN, Role.STATISTICIAN, Role.REGULATOR})
"""Who may read the sizes of blocks: nobody at a site (ICH E9 2.3.2)."""

DOCUMENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The document: parsed, or as it was published.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            TOML: {"schema": {"type": "string"}},
        },
    },
    **problem_responses(UNKNOWN_VERSION, NOT_ACCEPTABLE),
}


@router.get("/protocol", name="listProtocolVersions")
async def list_versions(call: Reader) -> VersionList:
    """Every version of the protocol, and from when each is in effect where."""
    return VersionList.of(await versions_in_log(call))


@router.post(
    "/protocol/amendments",
    status_code=201,
    name="amendProtocol",
    responses=problem_responses(*amendments.REFUSALS, OUT_OF_ORDER, WRITE_CONFLICT),
)
async def amend_protocol(body: Amendment, call: Administrator) -> PublishedAmendment:
    """Publish a later version of the protocol. Subjects move to it by signing the consent form that goes with it."""
    await call.runtime.protocol_follower.catch_up()
    command = AmendProtocol.about(body)
    outcome = await call.handle(amendments.amending(call.runtime.protocols), command)
    await call.runtime.protocol_follower.catch_up()
    return PublishedAmendment.of(recorded_event(outcome, ProtocolAmended), outcome.position)


@router.post(
    "/protocol/amendments/dry-run",
    name="tryAmendment",
    responses=problem_responses(*amendments.REFUSALS, OUT_OF_ORDER),
)
async def try_amendment(
    body: Amendment,
    call: Administrator,
    moved_on: Annotated[
        CivilDate | None, Query(description="As if each subject moved on this day; default: today at its site.")
    ] = None,
    after: Annotated[SubjectId | None, Query(description="Cursor: the `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Subjects a page.")] = 20,
) -> DryRun:
    """What the version would change for each randomized subject, if it moved: nothing is recorded.

    A subject does not move before the version is in effect at its site.
    """
    await call.runtime.protocol_follower.catch_up()
    version = await candidate(call, AmendProtocol.about(body))
    async with call.read(PROJECTION) as session:
        return await dry_run(call, session, version, moved_on, after, limit)


# Behind the routes of amendments, whose address has its form.
@router.get(
    "/protocol/{version}",
    name="getProtocolVersion",
    response_class=Response,
    responses=DOCUMENT,
)
async def get_version(
    request: Request, version: Annotated[str, Path(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$")], call: Reader
) -> Response:
    """One version: parsed as JSON, without the sizes of blocks for whom they could help to guess the next arm.

    The TOML text, which holds them, is for those alone who may know them.
    """
    media = require_preferred(request, "application/json", TOML)
    published = (await versions_in_log(call)).version(version)
    is_whole, headers = call.actor.role in WHOLE_FOR, {**call.response.headers, "Vary": "Accept"}
    if media == TOML:
        if not is_whole:
            raise FORBIDDEN("The whole text tells the sizes of blocks; parsed, it is told without.")
        return PlainTextResponse(published.document, headers=headers)
    hidden = None if is_whole else {"allocation": {"block_sizes"}}
    return JSONResponse(published.readable.model_dump(mode="json", exclude=hidden), headers=headers)
