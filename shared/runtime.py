"""What a process holds while it runs: settings, clock, log, read-model engine, protocol, keys and token verifier.

This is the composition root: the only place that chooses a clock, opens the database and reads keys.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.clock import Clock, system_clock
from shared.embedded import embedded_postgresql
from shared.eventstore.connection import connection_info
from shared.eventstore.log import PostgresLog
from shared.eventstore.migrations import LOG
from shared.keys import Keys
from shared.keystore import KEYSTORE, PostgresKeyStore
from shared.migrations import APPLICATION_ROLE, Component, upgrade
from shared.protocol import Protocol, Protocols, load_protocol, protocol_text
from shared.protocol.versions import Version
from shared.protocol_follower import ProtocolFollower
from shared.sealing import KeyEncryptionKey
from shared.settings import Settings
from shared.tokens import TokenVerifier


@dataclass(frozen=True)
class Runtime:
    """The open resources of a process; shared by the services that run in it."""

    settings: Settings
    clock: Clock
    log: PostgresLog
    engine: AsyncEngine
    protocol_follower: ProtocolFollower
    keys: Keys
    key_store: PostgresKeyStore
    verifier: TokenVerifier

    @property
    def protocols(self) -> Protocols:
        """The versions of the protocol that this process has read by now."""
        return self.protocol_follower.protocols

    @property
    def protocol_in_effect(self) -> Protocol:
        """The version that is in effect today where nothing else is said of a site. Raises VERSION_UNREADABLE."""
        return self._in_effect.readable

    @property
    def protocol_version(self) -> str:
        """The number of that version."""
        return self._in_effect.number

    @property
    def _in_effect(self) -> Version:
        return self.protocols.in_effect(self.clock().date())


@asynccontextmanager
async def open_runtime(
    settings: Settings, components: Sequence[Component] = (), clock: Clock = system_clock
) -> AsyncIterator[Runtime]:
    """Open everything that a process needs, upgrade the tables of the log and of `components`, and close it after.

    A clock other than the system's is for simulations in a process of their own: it also stamps `recorded_at`.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url is not None:
            url = settings.database_url
        else:
            url = await asyncio.to_thread(stack.enter_context, embedded_postgresql(settings.home))
        for component in (LOG, KEYSTORE, *components):
            await asyncio.to_thread(upgrade, settings.migration_url or url, component)

        keys = Keys(settings)
        injected = None if clock is system_clock else clock
        log = await stack.enter_async_context(PostgresLog(url, clock=injected, queue_max=settings.append_queue_max))
        engine = create_async_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=settings.database_pool_max,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,  # errors end up in logs
            # Rows and their position are lost together, and read again from the log: no commit of them need wait.
            connect_args={"options": f"-c role={APPLICATION_ROLE} -c synchronous_commit=off"},
        )
        stack.push_async_callback(engine.dispose)
        pool = AsyncConnectionPool(connection_info(url), min_size=1, max_size=2, open=False)
        await stack.enter_async_context(pool)
        first = load_protocol(settings.protocol_file)
        beginning = Protocols.beginning(first, protocol_text(settings.protocol_file))
        follower = ProtocolFollower(log, beginning)
        await follower.catch_up()
        following = asyncio.create_task(follower.run(), name="protocol follower")
        stack.push_async_callback(_cancelled, following)
        # What stands by now lives as long as the process. To look through it for garbage would stop every request for
        # a tenth of a second, again and again.
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        yield Runtime(
            settings=settings,
            clock=clock,
            log=log,
            engine=engine,
            protocol_follower=follower,
            keys=keys,
            key_store=PostgresKeyStore(pool, KeyEncryptionKey(keys.sealing_key())),
            verifier=TokenVerifier(settings, clock, None if settings.jwks_url else keys.issuer()),
        )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
