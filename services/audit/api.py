"""The audit service over HTTP: what was recorded, the proof of it, and signatures over it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from services.audit import domain, table, tree
from services.audit.answers import (
    ConsistencyProof,
    EventDetail,
    EventPage,
    InclusionProof,
    Signature,
    SignedRecords,
    SubjectAsOf,
)
from services.audit.commands import Signing, SignRecords
from services.audit.events import RecordsSigned
from services.audit.projections import PROJECTION
from services.audit.questions import (
    ActorId,
    EventType,
    Filter,
    Limit,
    Position,
    Size,
    about_subject,
    export_lines,
    find,
    reached,
    signature,
    signatures_over,
)
from shared.call import Call, Reader, may_read, may_write
from shared.clock import Instant
from shared.identity import Role
from shared.negotiation import require_preferred
from shared.problems import FORBIDDEN, NOT_ACCEPTABLE, UNKNOWN_SUBJECT, WRITE_CONFLICT, problem_responses
from shared.protocol.language import SiteId, SubjectId
from shared.service import Service, create_service, recorded_event, service_router
from shared.signing import AUTHENTICATION_NOT_FRESH

router = service_router("audit")

Anybody = Annotated[Call, may_read()]
Inspector = Annotated[Call, may_read(Role.REGULATOR, Role.MONITOR, Role.ADMIN)]
Signatory = Annotated[Call, may_write(Role.REGULATOR, Role.MONITOR, Role.INVESTIGATOR, Role.ADMIN)]

JSON = "application/json"
NDJSON = "application/x-ndjson"

After = Annotated[Size, Query(description="Cursor: the `next` of the page before.")]


@router.get(
    "/events",
    name="listEvents",
    response_model=EventPage,
    responses={200: {"content": {table.CSV: {"schema": {"type": "string"}}}}, **problem_responses(NOT_ACCEPTABLE)},
)
async def list_events(
    request: Request,
    call: Reader,
    subject: SubjectId | None = None,
    site: SiteId | None = None,
    type: EventType | None = None,  # noqa: A002 (the contract's name)
    actor: ActorId | None = None,
    recorded_from: Instant | None = None,
    recorded_to: Instant | None = None,
    after: After = 0,
    limit: Limit = 100,
) -> EventPage | Response:
    """The events that match all filters and that the caller may see, in position order, as JSON or as CSV.

    Both ends of the span of recording are inclusive. The `next` page also stands in the header `Link`.
    """
    media = require_preferred(request, JSON, table.CSV)
    if subject is not None:
        call.require_subject(subject)
    if site is not None:
        call.actor.require_site(site)
    wanted = Filter(subject, site, type, actor, recorded_from, recorded_to)
    async with call.read(PROJECTION) as session:
        positions = await find(session, wanted, call.actor, after, limit + 1)
    page = EventPage.of(await call.runtime.log.at(positions), limit)
    call.response.headers["Vary"] = "Accept"
    if page.next is not None:
        query = request.url.include_query_params(after=page.next).query
        call.response.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    if media == JSON:
        return page
    headers = dict(call.response.headers)
    return Response(table.csv_of(page.items), media_type=f"{table.CSV}; charset=utf-8; header=present", headers=headers)


@router.get("/events/{position}", name="getEvent", responses=problem_responses(domain.UNKNOWN_POSITION))
async def get_event(position: Position, call: Reader) -> EventDetail:
    """One event with the exact text of its record, and the signatures over it."""
    log = call.runtime.log
    async with call.read(PROJECTION):
        stored = next(iter(await log.at([position])), None)
    if stored is None:
        raise domain.UNKNOWN_POSITION()
    domain.require_visible(call.actor, frozenset(stored.tags))
    return EventDetail.of(stored, record=stored.record.decode(), signatures=await signatures_over(log, position))


@router.get("/subjects/{subject}", name="getSubjectTrail", responses=problem_responses(UNKNOWN_SUBJECT))
async def get_subject_trail(subject: SubjectId, call: Reader, after: After = 0, limit: Limit = 100) -> EventPage:
    """Everything that any service recorded about a subject, in position order."""
    call.require_subject(subject)
    async with call.read(PROJECTION) as session:
        known = await reached(session)
    read = await call.runtime.log.read(about_subject(subject), after=after, limit=limit + 1)
    events = [stored for stored in read.events if stored.position <= known]
    if not events and not after:
        raise UNKNOWN_SUBJECT()
    return EventPage.of(events, limit)


@router.get("/subjects/{subject}/as-of", name="getSubjectAsOf", responses=problem_responses(UNKNOWN_SUBJECT))
async def get_subject_as_of(
    subject: SubjectId,
    call: Reader,
    recorded: Annotated[Instant | None, Query(description="What the log knew by then; default: all.")] = None,
    occurred: Annotated[Instant | None, Query(description="What had happened by then; default: all.")] = None,
) -> SubjectAsOf:
    """A subject as it was known at one instant to have been at another, both inclusive.

    The state is generic: the latest event of each type. What they mean together, each service tells of its own.
    """
    call.require_subject(subject)
    async with call.read(PROJECTION) as session:
        known = await reached(session)
    events = [stored async for stored in call.runtime.log.stream(about_subject(subject), until=known)]
    if not events:
        raise UNKNOWN_SUBJECT()
    return SubjectAsOf.of(subject, events, recorded, occurred)


@router.get("/checkpoint", name="getCheckpoint", response_class=PlainTextResponse)
async def get_checkpoint(call: Anybody) -> str:
    """The signed head of the log: origin, size and root, as a C2SP tlog-checkpoint."""
    async with call.read(PROJECTION) as session:
        return await tree.signed_checkpoint(session, await reached(session), tree.log_key(call.runtime))


@router.get("/key", name="getKey", response_class=PlainTextResponse)
async def get_key(call: Anybody) -> str:
    """The key that verifies checkpoints, as a C2SP vkey."""
    return f"{tree.log_key(call.runtime).verifier_key}\n"


@router.get(
    "/proofs/inclusion",
    name="getInclusionProof",
    responses=problem_responses(domain.UNKNOWN_POSITION, domain.UNKNOWN_TREE_SIZE),
)
async def get_inclusion_proof(call: Anybody, position: Position, size: Position | None = None) -> InclusionProof:
    """That the event at a position is in the log of `size` events (RFC 9162 §2.1.3)."""
    async with call.read(PROJECTION) as session:
        grown = await reached(session)
        if size is not None and size > grown:
            raise domain.UNKNOWN_TREE_SIZE(size=grown)
        if position > (size or grown):
            raise domain.UNKNOWN_POSITION(f"The tree has {size or grown} leaves.")
        return await tree.inclusion_proof(session, position, size or grown)


@router.get("/proofs/consistency", name="getConsistencyProof", responses=problem_responses(domain.UNKNOWN_TREE_SIZE))
async def get_consistency_proof(
    call: Anybody,
    first: Annotated[Position, Query(alias="from")],
    last: Annotated[Position | None, Query(alias="to", description="Default: all of the log.")] = None,
) -> ConsistencyProof:
    """That the log of `from` events is the beginning of that of `to` (RFC 9162 §2.1.4)."""
    async with call.read(PROJECTION) as session:
        grown = await reached(session)
        if last is not None and last > grown:
            raise domain.UNKNOWN_TREE_SIZE(size=grown)
        if first > (last or grown):
            raise domain.UNKNOWN_TREE_SIZE(f"The newer tree has {last or grown} leaves.")
        return await tree.consistency_proof(session, first, last or grown)


@router.get(
    "/export",
    name="exportLog",
    response_class=StreamingResponse,
    responses={
        200: {"content": {NDJSON: {"schema": {"type": "string"}}}},
        **problem_responses(domain.UNKNOWN_POSITION, domain.UNKNOWN_TREE_SIZE),
    },
)
async def export_log(
    call: Inspector,
    first: Annotated[Position, Query(alias="from")] = 1,
    last: Annotated[Size | None, Query(alias="to", description="Default: all of the log.")] = None,
) -> StreamingResponse:
    """The records of a range of positions with what proves them, for `marrow verify`; streamed, one JSON a line."""
    if call.actor.sites is not None:
        raise FORBIDDEN("The export is of all sites.")
    async with call.read(PROJECTION) as session:
        grown = await reached(session)
        end = grown if last is None else last
        if end > grown:
            raise domain.UNKNOWN_TREE_SIZE(size=grown)
        if first > end + 1:
            raise domain.UNKNOWN_POSITION(f"The range ends at {end}, before it begins.")
        closing = await tree.closing(session, first, end, grown, tree.log_key(call.runtime))
    name = f"log-{first}-{end}-of-{grown}.ndjson"
    headers = {**call.response.headers, "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(export_lines(call.runtime.log, closing), media_type=NDJSON, headers=headers)


@router.post(
    "/signatures",
    status_code=201,
    name="signRecords",
    responses=problem_responses(AUTHENTICATION_NOT_FRESH, FORBIDDEN, domain.UNKNOWN_POSITION, WRITE_CONFLICT),
)
async def sign_records(body: Signing, call: Signatory, response: Response) -> SignedRecords:
    """Sign records in the caller's name, within five minutes of having authenticated (21 CFR 11.50, 11.200)."""
    command = SignRecords.about(body)
    stored = await call.runtime.log.at(command.positions)
    rules = domain.signing(call.actor, {each.position: domain.logged(each) for each in stored})
    outcome = await call.handle(rules, command)
    response.headers["Location"] = f"/audit/signatures/{outcome.position}"
    return SignedRecords.of(recorded_event(outcome, RecordsSigned), outcome.position)


@router.get("/signatures/{position}", name="getSignature", responses=problem_responses(domain.UNKNOWN_SIGNATURE))
async def get_signature(position: Position, call: Reader) -> Signature:
    """A signature: printed name, time, meaning, and whether what was signed still stands or was changed since."""
    log = call.runtime.log
    async with call.read(PROJECTION):
        stored = next(iter(await log.at([position])), None)
    found = await signature(log, stored) if stored is not None else None
    if stored is None or found is None:
        raise domain.UNKNOWN_SIGNATURE()
    domain.require_visible(call.actor, frozenset(stored.tags))
    return found


SERVICE = Service(
    name="audit",
    summary="What was recorded, and the proof of it.",
    description="The trail of every event, its Merkle tree, signed checkpoints, proofs, the export, and signatures.",
    routers=(router,),
    projection=PROJECTION,
    migrations=Path(__file__).parent / "migrations",
)

app = create_service(SERVICE)
