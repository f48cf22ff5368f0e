"""The four services in one process on one port: each keeps its prefix, all share one runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from services.audit.api import SERVICE as AUDIT
from services.labs.api import SERVICE as LABS
from services.randomization.api import SERVICE as RANDOMIZATION
from services.visits.api import SERVICE as VISITS
from shared.clock import Clock, system_clock
from shared.problems import MEDIA_TYPE, METHOD_NOT_ALLOWED, NOT_FOUND, REFUSALS
from shared.runtime import open_runtime
from shared.service import Service, create_service
from shared.settings import Settings

SERVICES: dict[str, Service] = {service.name: service for service in (RANDOMIZATION, VISITS, LABS, AUDIT)}


class ServiceRoute(BaseRoute):
    """Hands every path under a service's prefix to its application, unchanged."""

    def __init__(self, name: str, application: FastAPI) -> None:
        self.prefix = f"/{name}/"
        self.application = application

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        ours = scope["type"] == "http" and scope["path"].startswith(self.prefix)
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.application(scope, receive, send)


def create_application(settings: Settings, clock: Clock = system_clock) -> Starlette:
    """The four services over one runtime, opened when the application starts.

    A clock other than the system's is for a simulation that runs in a process of its own.
    """
    applications = {name: create_service(service) for name, service in SERVICES.items()}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            components = [service.component for service in SERVICES.values()]
            runtime = await stack.enter_async_context(open_runtime(settings, components, clock))
            for application in applications.values():
                application.state.runtime = runtime
                await stack.enter_async_context(application.router.lifespan_context(application))
            yield

    routes: list[BaseRoute] = [ServiceRoute(name, application) for name, application in applications.items()]
    routes += [Route("/", _index), Route("/problems", _problems), Route("/problems/{code}", _problem)]
    application = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={404: _not_found, 405: _method_not_allowed}
    )
    application.router.redirect_slashes = False
    return application


async def _index(_: Request) -> Response:
    return JSONResponse(
        {
            name: {"summary": service.summary, "docs": f"/{name}/docs", "openapi": f"/{name}/openapi.json"}
            for name, service in SERVICES.items()
        }
    )


async def _problems(_: Request) -> Response:
    """Every problem type that any service answers with."""
    return JSONResponse([{"type": each.type, "status": each.status, "title": each.title} for each in REFUSALS.values()])


async def _problem(request: Request) -> Response:
    known = REFUSALS.get(request.path_params["code"])
    if known is None:
        return await _not_found(request, LookupError())
    return JSONResponse({"type": known.type, "status": known.status, "title": known.title})


async def _method_not_allowed(_: Request, __: Exception) -> Response:
    refusal = METHOD_NOT_ALLOWED
    return JSONResponse(refusal().document(), refusal.status, headers={"Allow": "GET"}, media_type=MEDIA_TYPE)


async def _not_found(_: Request, __: Exception) -> Response:
    return JSONResponse(NOT_FOUND().document(), 404, media_type=MEDIA_TYPE)
