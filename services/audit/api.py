"""The audit service over HTTP: what was recorded, the proof of it, and signatures over it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BeforeValidator, Field

from services.audit import domain, export, table, tree
from services.audit.commands import POSITION_MAX, Signing, SignRecords
from services.audit.events import RecordsSigned
from services.audit.projections import PROJECTION
from services.audit.signatures import Signature, SignedRecords, signature, signatures_over, signed_records
from services.audit.trail import (
    EventDetail,
    EventPage,
    Filter,
    SubjectAsOf,
    about_subject,
    as_of,
    events_at,
    find,
    logged,
    page_of,
    reached,
)
from shared.call import Call, may_read, may_write
from shared.clock import Instant
from shared.eventstore.log import PostgresLog
from shared.identity import Role
from shared.problems import FORBIDDEN, NOT_ACCEPTABLE, UNKNOWN_SUBJECT, WRITE_CONFLICT, problem_responses
from shared.protocol.language import SiteId, SubjectId
from shared.service import Service, create_service, recorded_event, service_router

router = service_router("audit")

Reader = Annotated[Call, may_read(*(role for role in Role if role not in {Role.LAB, Role.SYSTEM}))]
Anybody = Annotated[Call, may_read()]
Inspector = Annotated[Call, may_read(Role.REGULATOR, Role.MONITOR, Role.ADMIN)]
Signatory = Annotated[Call, may_write(Role.REGULATOR, Role.MONITOR, Role.INVESTIGATOR, Role.ADMIN)]

NDJSON = "application/x-ndjson"
CHUNK_BYTES = 64 * 1024

_NUMBER = re.compile(r"[0-9]{1,19}")


def _number(value: Any) -> int:  # noqa: ANN401 (whatever the address holds)
    if isinstance(value, int):
        return value
    if not _NUMBER.fullmatch(value):
        raise ValueError("a position is a whole number, written in digits")
    return int(value)


_written_in_digits = BeforeValidator(_number)

# The bounds stand before the validator, or the schema would not show them.
Position = Annotated[int, Field(ge=1, le=POSITION_MAX), _written_in_digits]
Size = Annotated[int, Field(ge=0, le=POSITION_MAX), _written_in_digits]
After = Annotated[Size, Query(description="Cursor: the `next` of the page before.")]
Limit = Annotated[int, Field(ge=1, le=500), _written_in_digits]
EventType = Annotated[str | None, Query(max_length=100, pattern=r"^[a-z][a-z0-9-]*$")]
ActorId = Annotated[str | None, Query(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")]


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
    type: EventType = None,  # noqa: A002 (the contract's name)
    actor: ActorId = None,
    recorded_from: Instant | None = None,
    recorded_to: Instant | None = None,
    after: After = 0,
    limit: Limit = 100,
) -> EventPage | Response:
    """The events that match all filters and that the caller may see, in position order, as JSON or as CSV.

    Both ends of the span of recording are inclusive. The `next` page also stands in the header `Link`.
    """
    media = table.preferred(",".join(request.headers.getlist("accept")) or "*/*")
    if media is None:
        raise NOT_ACCEPTABLE(f"{table.JSON} and {table.CSV} can be made.")
    if subject is not None:
        call.require_subject(subject)
    if site is not None:
        call.actor.require_site(site)
    wanted = Filter(subject, site, type, actor, recorded_from, recorded_to)
    async with call.read(PROJECTION) as session:
        positions = await find(session, wanted, call.actor, after, limit + 1)
    page = page_of(await events_at(call.runtime.log, positions), limit)
    call.response.headers["Vary"] = "Accept"
    if page.next is not None:
        query = request.url.include_query_params(after=page.next).query
        call.response.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    if media == table.JSON:
        return page
    headers = dict(call.response.headers)
    return Response(table.csv_of(page.items), media_type=f"{table.CSV}; charset=utf-8; header=present", headers=headers)


@router.get("/events/{position}", name="getEvent", responses=problem_responses(domain.UNKNOWN_POSITION))
async def get_event(position: Position, call: Reader) -> EventDetail:
    """One event with the exact text of its record, and the signatures over it."""
    log = call.runtime.log
    async with call.read(PROJECTION):
        stored = next(iter(await events_at(log, [position])), None)
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
    return page_of(events, limit)


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
    return as_of(subject, events, recorded, occurred)


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
async def get_inclusion_proof(call: Anybody, position: Position, size: Position | None = None) -> tree.InclusionProof:
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
) -> tree.ConsistencyProof:
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
    return StreamingResponse(_lines(call.runtime.log, closing), media_type=NDJSON, headers=headers)


async def _lines(log: PostgresLog, closing: export.Closing) -> AsyncIterator[bytes]:
    """The lines of an export in chunks; memory is bounded by a page of the log."""
    chunk = bytearray()
    async for stored in log.stream(after=closing.first - 1, until=closing.last):
        chunk += export.event_line(stored.position, stored.record, stored.leaf_hash)
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk) + export.closing_line(closing)


@router.post(
    "/signatures",
    status_code=201,
    name="signRecords",
    responses=problem_responses(domain.AUTHENTICATION_NOT_FRESH, FORBIDDEN, domain.UNKNOWN_POSITION, WRITE_CONFLICT),
)
async def sign_records(body: Signing, call: Signatory, response: Response) -> SignedRecords:
    """Sign records in the caller's name, within five minutes of having authenticated (21 CFR 11.50, 11.200)."""
    command = SignRecords.about(body)
    stored = await events_at(call.runtime.log, sorted(set(command.positions)))
    rules = domain.signing(call.actor, {each.position: logged(each) for each in stored})
    outcome = await call.handle(rules, command)
    response.headers["Location"] = f"/audit/signatures/{outcome.position}"
    return signed_records(outcome.position, recorded_event(outcome, RecordsSigned))


@router.get("/signatures/{position}", name="getSignature", responses=problem_responses(domain.UNKNOWN_SIGNATURE))
async def get_signature(position: Position, call: Reader) -> Signature:
    """A signature: printed name, time, meaning, and whether what was signed still stands or was changed since."""
    log = call.runtime.log
    async with call.read(PROJECTION):
        stored = next(iter(await events_at(log, [position])), None)
    found = await signature(log, stored) if stored is not None else None
    if stored is None or found is None:
        raise domain.UNKNOWN_SIGNATURE()
    domain.require_visible(call.actor, frozenset(stored.tags))
    return found


SERVICE = Service(
    name="audit",
    summary="What was recorded, and the proof of it.",
    description="The trail of every event, its Merkle tree, signed checkpoints, proofs, the export, and signatures.",
    router=router,
    projection=PROJECTION,
    migrations=Path(__file__).parent / "migrations",
)

app = create_service(SERVICE)
