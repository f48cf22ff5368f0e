"""The laboratory service in FHIR R4 over HTTP: reports in, Observations out, and what it says that it can do."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as InPath

from services.labs.fhir_capability import capability_statement
from services.labs.fhir_json import MEDIA_TYPE
from services.labs.fhir_receive import receive_fhir
from services.labs.fhir_report import RESOURCES
from services.labs.fhir_resources import diagnostic_report, observation, searchset
from services.labs.fhir_route import READ, FhirRoute, answered, require_fhir_json, respond
from services.labs.fhir_search import read_codes, read_dates, read_patient
from services.labs.fhir_version import version_of_row
from services.labs.projections import PROJECTION
from services.labs.questions import CURSOR, report_at, result_version, results_of
from shared import problems
from shared.call import LOG_POSITION, Call, Reader, may_read, may_write
from shared.identity import Role
from shared.protocol.language import site_of
from shared.service import EVERY_ROUTE

_RESOURCE: dict[str, Any] = {"schema": {"type": "object"}}
_FHIR_CONTENT: dict[str, Any] = {MEDIA_TYPE: _RESOURCE}
_OUTCOME = {"description": "Why not, in an OperationOutcome.", "content": _FHIR_CONTENT}

_REFUSALS: dict[int | str, dict[str, Any]] = {
    **dict.fromkeys((400, 409, 412), _OUTCOME),
    # Who is turned away before a route is reached (a body too large, a service that stops) is told in a problem.
    **{status: refused | {"content": refused["content"] | _FHIR_CONTENT} for status, refused in EVERY_ROUTE.items()},
}
_REFUSALS = {
    status: refused | {"content": refused["content"] | problems.problem_responses(problems.INVALID)[422]["content"]}
    for status, refused in _REFUSALS.items()
}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: _REFUSALS[400]}

router = APIRouter(prefix="/labs", route_class=FhirRoute, responses=_REFUSALS)

LabSystem = Annotated[Call, may_write(Role.LAB, Role.ADMIN)]
ResourceId = Annotated[str, InPath(pattern=r"^[0-9a-f]{32}$")]
IfNoneExist = Annotated[str | None, Header(alias="If-None-Exist", max_length=500)]

_BODY = {"requestBody": {"required": True, "content": dict.fromkeys(READ, _RESOURCE)}}
_RECEIVED: dict[int | str, dict[str, Any]] = {
    200: {"description": "What became of each entry; or that the results stand already.", "content": _FHIR_CONTENT},
    201: {"description": "The resource as it is recorded.", "content": _FHIR_CONTENT},
    202: {"description": "Quarantined: an OperationOutcome says why.", "content": _FHIR_CONTENT},
}
_FOUND: dict[int | str, dict[str, Any]] = {200: {"description": "The resource.", "content": _FHIR_CONTENT}}


async def _receive(request: Request, call: Call, kind: str | None, if_none_exist: str | None = None) -> Response:
    require_fhir_json(request.headers)
    return answered(call, await receive_fhir(call, await request.body(), kind, if_none_exist))


@router.post("/fhir", name="receiveResource", response_class=Response, openapi_extra=_BODY, responses=_RECEIVED)
async def receive_resource(request: Request, call: LabSystem) -> Response:
    """Record a Bundle of type transaction, batch, message or collection, an Observation or a DiagnosticReport.

    A transaction, a message and a collection are one report of one subject; each entry of a batch is one of its own.
    """
    return await _receive(request, call, None)


@router.post(
    "/fhir/$process-message",
    name="processMessage",
    response_class=Response,
    openapi_extra=_BODY,
    responses=_RECEIVED,
)
async def process_message(request: Request, call: LabSystem) -> Response:
    """Record a Bundle of type message; the sender is the source of its MessageHeader."""
    return await _receive(request, call, "Bundle")


@router.post(
    "/fhir/Observation",
    name="createObservation",
    response_class=Response,
    openapi_extra=_BODY,
    responses=_RECEIVED,
)
async def create_observation(request: Request, call: LabSystem, if_none_exist: IfNoneExist = None) -> Response:
    """Record an Observation: its own value, or those of its components.

    With If-None-Exist (an identifier of the resource itself), results that stand already are left as they are: 200.
    """
    return await _receive(request, call, "Observation", if_none_exist)


@router.post(
    "/fhir/DiagnosticReport",
    name="createDiagnosticReport",
    response_class=Response,
    openapi_extra=_BODY,
    responses=_RECEIVED,
)
async def create_diagnostic_report(request: Request, call: LabSystem, if_none_exist: IfNoneExist = None) -> Response:
    """Record a DiagnosticReport with the Observations that it contains."""
    return await _receive(request, call, "DiagnosticReport", if_none_exist)


@router.get(
    "/fhir/metadata",
    name="getCapabilityStatement",
    response_class=Response,
    responses=_FOUND,
    dependencies=[may_read()],
)
async def get_capability_statement(request: Request) -> Response:
    """What is supported of FHIR R4."""
    return respond(200, capability_statement(_address(request)))


@router.get("/fhir/Observation", name="searchObservations", response_class=Response, responses=_FOUND | _NOT_FOUND)
async def search_observations(
    request: Request,
    call: Reader,
    patient: Annotated[str | None, Query(max_length=200, description="The coded subject: Patient/01-001.")] = None,
    subject: Annotated[str | None, Query(max_length=200, description="The same as `patient`.")] = None,
    code: Annotated[str | None, Query(max_length=1000, description="The trial's codes or LOINC, by commas.")] = None,
    date: Annotated[list[str], Query(max_length=10, description="With eq, ge, le, gt or lt before it.")] = [],  # noqa: B006 (the framework copies it)
    count: Annotated[int, Query(alias="_count", ge=1, le=500)] = 100,
    after: Annotated[str | None, Query(alias="_after", pattern=CURSOR, description="Of the link `next`.")] = None,
) -> Response:
    """A subject's results as they count now, by the time of collection, in a Bundle of type searchset."""
    settings, protocols = call.runtime.settings, call.runtime.protocols
    whose = read_patient(patient or subject, settings.subject_system)
    call.require_subject(whose)
    bounds = read_dates(date, protocols.zone(site_of(whose)))
    async with call.read(PROJECTION) as session:
        rows, cursor = await results_of(
            session,
            whose,
            codes=None if code is None else read_codes(code),
            collected_from=bounds.first,
            collected_to=bounds.last,
            current_only=True,
            after=after,
            limit=count,
        )
    links = {"self": str(request.url)}
    if cursor is not None:
        links["next"] = str(request.url.include_query_params(_after=cursor))
    found = [observation(version_of_row(row), settings.subject_system) for row in rows]
    return respond(200, searchset(found, _address(request), links), _position(call))


@router.get("/fhir/Observation/{id}", name="readObservation", response_class=Response, responses=_FOUND | _NOT_FOUND)
async def read_observation(result: Annotated[ResourceId, InPath(alias="id")], call: Reader) -> Response:
    """A result as it counts now."""
    return await _read(call, result, None)


@router.get(
    "/fhir/Observation/{id}/_history/{version}",
    name="readObservationVersion",
    response_class=Response,
    responses=_FOUND | _NOT_FOUND,
)
async def read_observation_version(
    result: Annotated[ResourceId, InPath(alias="id")],
    version: Annotated[int, InPath(ge=1, le=10**9)],
    call: Reader,
) -> Response:
    """One version of a result, as it was reported."""
    return await _read(call, result, version)


async def _read(call: Call, key: str, version: int | None) -> Response:
    async with call.read(PROJECTION) as session:
        row = await result_version(session, key, version)
    # Whose a result is, staff of other sites do not learn, nor whether there is one.
    if row is None or (call.actor.sites is not None and site_of(row.subject) not in call.actor.sites):
        raise problems.NOT_FOUND("There is no such Observation.")
    told = version_of_row(row)
    resource = observation(told, call.runtime.settings.subject_system)
    return respond(200, resource, _position(call) | {"ETag": told.etag})


@router.get(
    "/fhir/DiagnosticReport/{id}", name="readDiagnosticReport", response_class=Response, responses=_FOUND | _NOT_FOUND
)
async def read_diagnostic_report(
    position: Annotated[int, InPath(alias="id", ge=1, le=2**63 - 1)], call: Reader
) -> Response:
    """A report as it was recorded, with its results by reference."""
    report = await report_at(call.runtime.log, position)
    if report is None or (call.actor.sites is not None and report.site not in call.actor.sites):
        raise problems.NOT_FOUND("There is no such DiagnosticReport.")
    resource = diagnostic_report(report, position, call.runtime.settings.subject_system)
    return respond(200, resource, {"ETag": 'W/"1"'})


# The last of all: it also matches the addresses above, whose methods a 405 has to name.
@router.post(
    "/fhir/{resource_type}",
    name="createResource",
    response_class=Response,
    openapi_extra=_BODY,
    responses=_RECEIVED | _NOT_FOUND,
)
async def create_resource(
    resource_type: Annotated[str, InPath(pattern=r"^[A-Za-z0-9]{1,64}$")],
    request: Request,
    call: LabSystem,
) -> Response:
    """Record a Bundle; resources of other types are not created."""
    if resource_type not in RESOURCES:
        raise problems.NOT_FOUND(f"Only {', '.join(RESOURCES)} are created here.")
    return await _receive(request, call, resource_type)


def _position(call: Call) -> dict[str, str]:
    return {LOG_POSITION: call.response.headers[LOG_POSITION]}


def _address(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}/labs/fhir"
