"""Policies: rules that react to what others recorded and record what follows from it.

A policy reads the log from the position that it has reached and handles each event at least once. What it records
bears the event that caused it and a key made from it, so that doing it twice, also by two processes, is doing it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from prometheus_client import Counter

from shared.decision import C, Decider, Outcome, Provenance, RequestKey, S, handle
from shared.events import Event, Recorded, decode
from shared.eventstore.model import Query, QueryItem, StoredEvent
from shared.identity import policy_actor
from shared.problems import Problem
from shared.projection import Projection, read_progress, write_progress
from shared.runtime import Runtime

RETRY_AFTER_S = 0.5
REFUSED = Counter("marrow_policy_refusals_total", "Conclusions of a policy that a rule refused.", ["policy"])

_log = structlog.get_logger("marrow.policy")


@dataclass(frozen=True)
class Reaction:
    """The event that a policy reacts to, and how it records what follows."""

    runtime: Runtime
    policy: str
    recorded: Recorded

    async def handle(self, decider: Decider[C, S], command: C, *, part: int | None = None) -> Outcome:
        """Decide the command in the policy's own name, caused by the event; the same cause records once.

        `part` numbers the commands of a cause that several follow from.
        """
        key = RequestKey(f"policy:{self.policy}:{self.recorded.position}", "", part)
        provenance = Provenance(
            actor=policy_actor(self.policy),
            trace=self.recorded.document["trace"],
            protocol=self.runtime.protocol_version,
            key=key,
            cause=self.recorded.position,
        )
        return await handle(self.runtime.log, self.runtime.clock, decider, command, provenance)


@dataclass(frozen=True)
class Policy:
    """A named reaction to some kinds of events.

    `sift` chooses from a page of them those that it has to react to, where that can be seen for a page at once.
    """

    name: str
    reacts_to: tuple[type[Event], ...]
    react: Callable[[Reaction], Awaitable[None]]
    sift: Callable[[Runtime, Sequence[StoredEvent]], Awaitable[Sequence[StoredEvent]]] | None = None

    @property
    def query(self) -> Query:
        return Query((QueryItem(types=tuple(event.name for event in self.reacts_to)),))


async def run_policy(policy: Policy, projection: Projection, runtime: Runtime) -> None:
    """Run a policy until cancelled; its position is kept beside that of the service's read model."""
    while True:
        try:
            await _follow(policy, projection, runtime)
        except Exception as error:
            _log.error("policy retries", policy=policy.name, exc_info=error)
            await asyncio.sleep(RETRY_AFTER_S)


async def _follow(policy: Policy, projection: Projection, runtime: Runtime) -> None:
    async with runtime.engine.begin() as connection:
        after = await read_progress(connection, projection.progress, policy.name, for_update=True)
    async for result in runtime.log.follow(policy.query, after=after):
        events = result.events if policy.sift is None else await policy.sift(runtime, result.events)
        for stored in events:
            try:
                await policy.react(Reaction(runtime, policy.name, decode(stored)))
            except Problem as problem:
                if problem.refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise  # nothing was decided: it is tried again, and nothing is passed over
                REFUSED.labels(policy.name).inc()
                _log.info("policy refused", policy=policy.name, position=stored.position, code=problem.refusal.code)
        if result.events:
            # Without any, the way from the last position is read again after a restart, which costs less.
            async with runtime.engine.begin() as connection:
                await write_progress(connection, projection.progress, policy.name, result.head)
