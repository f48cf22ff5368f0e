"""A durable server of its own for each test, which may be killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import pytest

from shared.embedded import SETTINGS, EmbeddedServer, embedded_postgresql
from shared.eventstore.migrations import LOG
from shared.migrations import upgrade

DEATH_S = 30  # a process that waits for the disk ends only afterwards


@dataclass(frozen=True)
class DurableServer:
    """A server that survives: fsync and synchronous commit are on."""

    url: str
    _server: EmbeddedServer

    def kill(self) -> None:
        """SIGKILL to every process of the server at once, as a power cut would."""
        postmaster = self._server.pid()
        assert postmaster is not None
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        pids = [postmaster, *map(int, children)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = monotonic() + DEATH_S
        while any(Path(f"/proc/{pid}/exe").exists() for pid in pids):
            assert monotonic() < deadline
            sleep(0.01)

    def start(self) -> None:
        self._server.start(SETTINGS)


async def until(true: Callable[[], bool], within_s: float = 20) -> None:
    """Wait until something has become true."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 (what is waited for happens in other processes)
            await asyncio.sleep(0.01)


@pytest.fixture
def durable_server() -> Iterator[DurableServer]:
    with TemporaryDirectory(prefix="marrow-") as folder:
        home = Path(folder).resolve()
        with embedded_postgresql(home) as url:
            upgrade(url, LOG)
            yield DurableServer(url, EmbeddedServer(home))
