"""One authorised request: who asks, under which trace and key; how it writes to the log and reads a read model.

A route takes a `Call` from `may_write(roles…)` or `may_read(roles…)`. There is no other way to the log but for health,
which reads its head, and so no route without a token, a role and a trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from pydantic import WithJsonSchema
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.decision import C, Decider, Outcome, Provenance, RequestKey, S, handle, require_own_key
from shared.identity import Actor, Role
from shared.json_body import ExactJsonRoute
from shared.problems import FORBIDDEN, NOT_YET_PROJECTED, UNAUTHENTICATED
from shared.projection import Projection, read_progress
from shared.protocol.language import site_of
from shared.runtime import Runtime
from shared.tokens import CHALLENGE

LOG_POSITION = "Log-Position"
POSITION_MAX = 2**63 - 1
POLL_S = 0.01
CATCH_UP_S = 0.5
"""How long a reader who asks for no position waits for the read model to catch up with the log."""

EVERY_ROLE = tuple(role for role in Role if role is not Role.SYSTEM)

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the trial's issuer (see `marrow token`)."}
}
"""How a caller proves who it is (OpenAPI 3.1 §4.8.27)."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request replays the first answer; with another request it is 422.",
    ),
]
AtLeastPosition = Annotated[
    int | None,
    Header(
        alias=LOG_POSITION,
        ge=0,
        le=POSITION_MAX,
        description=(
            "Answer from a read model that reflects at least this log position (waits a moment, then 503). "
            "Default: all that is recorded by now, if that takes but a moment; 0: as it stands."
        ),
    ),
    # A header cannot hold null, which the type would say.
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": POSITION_MAX}),
]


@dataclass(slots=True)
class Call:
    """An authorised request."""

    runtime: Runtime
    actor: Actor
    trace: str
    response: Response
    key: RequestKey | None = None
    at_least: int | None = None

    def require_subject(self, subject: str) -> None:
        """Raise FORBIDDEN unless the actor may act for the subject's site."""
        self.actor.require_site(site_of(subject))

    async def require_own_key(self) -> None:
        """Raise KEY_REUSED where the key was another request's. A request of several commands asks before the first."""
        if self.key is not None:
            await require_own_key(self.runtime.log, self.key)

    async def handle(self, decider: Decider[C, S], command: C, *, part: int | None = None) -> Outcome:
        """Decide and record the command in the name of the caller; the answer bears its `Log-Position`.

        `part` numbers the commands of a request that carries several.
        """
        key = self.key if part is None or self.key is None else self.key.part(part)
        provenance = Provenance(self.actor, self.trace, self.runtime.protocol_version, key)
        outcome = await handle(self.runtime.log, self.runtime.clock, decider, command, provenance)
        self.response.headers[LOG_POSITION] = str(outcome.position)
        return outcome

    @asynccontextmanager
    async def read(self, projection: Projection) -> AsyncIterator[AsyncSession]:
        """A read-only snapshot of a read model, at least as new as the caller asked for.

        Who asks for nothing sees what was recorded when they asked, unless the read model is further behind than
        CATCH_UP_S. The answer bears the position it reflects. Raises NOT_YET_PROJECTED after `read_wait_s`.
        """
        wanted, patience_s = self.at_least, self.runtime.settings.read_wait_s
        if wanted is None:
            wanted, patience_s = await self.runtime.log.head(), CATCH_UP_S
        deadline = asyncio.get_running_loop().time() + patience_s
        engine = self.runtime.engine.execution_options(isolation_level="REPEATABLE READ")
        while True:
            is_over = asyncio.get_running_loop().time() > deadline
            async with engine.connect() as connection:
                position = await read_progress(connection, projection.progress, projection.name)
                if position >= wanted or (is_over and self.at_least is None):
                    self.response.headers[LOG_POSITION] = str(position)
                    async with AsyncSession(bind=connection) as session:
                        yield session
                    return
            # Whoever waits leaves the connection to others.
            if is_over:
                raise NOT_YET_PROJECTED(headers={"Retry-After": "1"}, position=position)
            await asyncio.sleep(POLL_S)


class AuthenticatedRoute(ExactJsonRoute):
    """A route that looks at the token before it reads the body: who has none learns nothing and costs nothing."""

    def __init__(self, *arguments: Any, openapi_extra: dict[str, Any] | None = None, **options: Any) -> None:  # noqa: ANN401 (the framework's own)
        documented = {"security": [{"bearer": []}], **(openapi_extra or {})}
        super().__init__(*arguments, openapi_extra=documented, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle_authenticated(request: Request) -> Response:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                raise UNAUTHENTICATED(headers=CHALLENGE)
            runtime: Runtime = request.app.state.runtime
            request.state.actor = await runtime.verifier.verify(token.strip())
            return await handler(request)

        return handle_authenticated


def _actor(request: Request, roles: frozenset[Role]) -> Actor:
    """The caller, whom the route has authenticated; raises FORBIDDEN unless in one of the roles."""
    actor: Actor = request.state.actor
    if actor.role not in roles:
        raise FORBIDDEN(f"The role {actor.role.value} may not do this.")
    return actor


def may_write(*roles: Role) -> Any:  # noqa: ANN401 (FastAPI's parameter marker)
    """The dependency of a route that records: the caller must bear one of the roles."""
    allowed = frozenset(roles)

    async def write_call(request: Request, response: Response, idempotency_key: IdempotencyKey = None) -> Call:
        actor = _actor(request, allowed)
        key = None
        if idempotency_key is not None:
            target = f"{request.method} {request.url.path}?{request.url.query}".encode()
            key = RequestKey.of(actor, idempotency_key, target, await request.body())
        return Call(request.app.state.runtime, actor, request.state.trace, response, key=key)

    return Depends(write_call)


def may_read(*roles: Role) -> Any:  # noqa: ANN401 (FastAPI's parameter marker)
    """The dependency of a route that answers a question: the caller must bear one of the roles (default: any)."""
    allowed = frozenset(roles or EVERY_ROLE)

    async def read_call(request: Request, response: Response, log_position: AtLeastPosition = None) -> Call:
        actor = _actor(request, allowed)
        return Call(request.app.state.runtime, actor, request.state.trace, response, at_least=log_position)

    return Depends(read_call)


SiteStaff = Annotated[Call, may_write(Role.COORDINATOR, Role.INVESTIGATOR, Role.ADMIN)]
"""Those who record what is done for subjects."""

Reader = Annotated[Call, may_read(*(role for role in EVERY_ROLE if role is not Role.LAB))]
"""Everybody but the systems of laboratories, which only report."""
