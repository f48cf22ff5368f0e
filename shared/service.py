"""The one way in which a service becomes an application: routes, problems, health, metrics, documents, lifespan.

A service serves its own prefix (`/labs/…`), alone under uvicorn or beside the others on one port.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import problems
from shared.call import LOG_POSITION, SECURITY_SCHEMES, AuthenticatedRoute
from shared.clock_job import ClockJob, run_clock_job
from shared.decision import Outcome
from shared.events import Event
from shared.eventstore.model import LogUnavailable
from shared.failures import answer_with_problems
from shared.migrations import Component
from shared.policy import Policy, run_policy
from shared.problems import MEDIA_TYPE, ProblemDocument
from shared.projection import Projection, Projector
from shared.protocol import Protocol
from shared.protocol.versions import VERSION_UNREADABLE
from shared.runtime import Runtime, open_runtime
from shared.settings import settings_from_environment
from shared.stopping import StopAnswer
from shared.telemetry import Telemetry, configure_logging

_log = structlog.get_logger("marrow.service")

BACKGROUND_STOP_S = 5

EVERY_ROUTE = problems.problem_responses(
    problems.UNAUTHENTICATED,
    problems.FORBIDDEN,
    problems.TOO_LARGE,
    problems.UNSUPPORTED_MEDIA,
    *problems.OF_ANY_REQUEST,
    problems.BUSY,
    problems.UNAVAILABLE,
    problems.STOPPING,
    problems.NOT_YET_PROJECTED,
    VERSION_UNREADABLE,
)
"""What any route that needs a token may answer with."""


@dataclass(frozen=True)
class Service:
    """What a service is made of.

    `require_protocol` raises ProtocolDocumentError for a protocol that the service cannot work under; it does not start
    then.
    """

    name: str
    summary: str
    description: str
    routers: tuple[APIRouter, ...]
    projection: Projection
    migrations: Path
    policies: tuple[Policy, ...] = ()
    clock_jobs: tuple[ClockJob, ...] = ()
    require_protocol: Callable[[Protocol], object] | None = None

    @property
    def component(self) -> Component:
        return Component(self.name, self.migrations, self.projection.metadata, schema=self.name)


def service_router(name: str) -> APIRouter:
    """The router that a service's `api` module hangs its routes on."""
    return APIRouter(prefix=f"/{name}", route_class=AuthenticatedRoute, responses=EVERY_ROUTE)


E = TypeVar("E", bound=Event)


def recorded_event(outcome: Outcome, event_type: type[E]) -> E:
    """The first event of a type that a command recorded; an answer is made from it, now and on every replay."""
    return next(recorded.event for recorded in outcome.events if isinstance(recorded.event, event_type))


class Health(BaseModel):
    """Whether a service can do its work."""

    status: Literal["ok", "unready"]
    head: Annotated[int, Field(description="Last position of the log.")] = 0


def create_service(service: Service) -> FastAPI:
    """The application of a service.

    Whoever sets `application.state.runtime` before the start shares the resources of its process with it; otherwise
    the service opens its own from the settings.
    """
    prefix = f"/{service.name}"
    settings = settings_from_environment()
    application = FastAPIOffline(
        title=f"Marrow: {service.name}",
        summary=service.summary,
        description=service.description,
        version="1",
        openapi_url=f"{prefix}/openapi.json",
        docs_url=f"{prefix}/docs",
        redoc_url=None,
        static_url=f"{prefix}/docs/assets",
        swagger_ui_oauth2_redirect_url=f"{prefix}/docs/oauth2-redirect",
        lifespan=_lifespan_of(service),
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    application.state.runtime = None
    for router in service.routers:
        application.include_router(router)
    application.include_router(_operations_of(service))
    application.add_middleware(BodyLimit, bytes_max=settings.body_bytes_max)
    application.add_middleware(StopAnswer)
    application.add_middleware(Telemetry, service=service.name)
    if settings.cors_origins:
        application.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", LOG_POSITION, "traceparent"],
            expose_headers=[LOG_POSITION, "Location", "Retry-After"],
        )
    answer_with_problems(application)
    _describe_problems(application)
    return application


class BodyLimit:
    """ASGI middleware: a body over the limit is refused with a problem document, unread where it says its length."""

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self._bytes_max:
            problem = problems.TOO_LARGE()
            answer = JSONResponse(problem.document(), problem.refusal.status, media_type=MEDIA_TYPE)
            await answer(scope, receive, send)
            return
        read = 0

        async def limited_receive() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._bytes_max:
                raise HTTPException(problems.TOO_LARGE.status)
            return message

        await self._app(scope, limited_receive, send)


def _operation_id(route: APIRoute) -> str:
    """Stable operation ids: the `name` that a route declares."""
    return route.name


def _lifespan_of(service: Service) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            runtime: Runtime | None = application.state.runtime
            if runtime is None:
                settings = settings_from_environment()
                configure_logging(settings.log_level)
                runtime = await stack.enter_async_context(open_runtime(settings, [service.component]))
                application.state.runtime = runtime
            if service.require_protocol is not None:
                for protocol in runtime.protocols.readable:
                    service.require_protocol(protocol)
            projector = Projector(service.projection, runtime.log, runtime.engine, runtime.clock)
            application.state.projector = projector
            background = [asyncio.create_task(projector.run(), name=f"projector {service.name}")]
            background += [
                asyncio.create_task(run_policy(policy, service.projection, runtime), name=f"policy {policy.name}")
                for policy in service.policies
            ]
            background += [
                asyncio.create_task(run_clock_job(job, runtime), name=f"clock job {job.name}")
                for job in service.clock_jobs
            ]
            for task in background:
                task.add_done_callback(_report_end)
            try:
                yield
            finally:
                for task in background:
                    task.cancel()
                await asyncio.wait(background, timeout=BACKGROUND_STOP_S)

    return lifespan


def _report_end(task: asyncio.Task[None]) -> None:
    """A background task never ends by itself; when one does, it is a defect that must be seen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("background task died", task=task.get_name(), exc_info=error)


def _operations_of(service: Service) -> APIRouter:
    """Health and metrics: open to all, like the documents."""
    router = APIRouter(prefix=f"/{service.name}", tags=["operations"])

    @router.get("/health/live", name="getLiveness")
    async def live() -> Health:
        """The process answers."""
        return Health(status="ok")

    @router.get(
        "/health/ready", name="getReadiness", responses={503: {"model": Health, "description": "Not ready yet."}}
    )
    async def ready(request: Request, response: Response) -> Health:
        """The service can write and its projection follows."""
        projector: Projector = request.app.state.projector
        try:
            head = await request.app.state.runtime.log.head()
        except LogUnavailable:
            head = -1
        if head < 0 or projector.failing:
            response.status_code = 503
            return Health(status="unready", head=max(head, 0))
        return Health(status="ok", head=head)

    @router.get("/metrics", name="getMetrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _describe_problems(application: FastAPI) -> None:
    """The OpenAPI document shows tokens and problem documents as they are, not the framework's own error shapes."""
    describe = application.openapi

    def openapi() -> dict[str, Any]:
        if application.openapi_schema is None:
            document = describe()
            components = document.setdefault("components", {})
            components["securitySchemes"] = SECURITY_SCHEMES
            schemas = components.setdefault("schemas", {})
            schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            application.openapi_schema = document
        return application.openapi_schema

    application.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
