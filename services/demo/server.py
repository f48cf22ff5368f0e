"""How the play is served: the four services on one port, in this process and on its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn

from services.app import create_application
from services.demo.errors import DemoError
from shared.clock import Clock
from shared.settings import Settings

STOP_S = 10
POLL_S = 0.01
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where it answers, and the task that ends when it is told to stop (Ctrl-C)."""

    url: str
    task: asyncio.Task[None]
    _server: uvicorn.Server

    @property
    def is_stopping(self) -> bool:
        return self._server.should_exit


@asynccontextmanager
async def served(settings: Settings, clock: Clock, port: int) -> AsyncIterator[Served]:
    """The four services on a port of this machine (0: any that is free), stopped at the end.

    Raises DemoError when the port is taken or the services do not start.
    """
    with _listening(port) as listener:
        application = create_application(settings, clock)
        server = uvicorn.Server(
            uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=STOP_S)
        )
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            if task.done():
                raise DemoError("The services did not start; the reason stands above.")
            await asyncio.sleep(POLL_S)
        try:
            yield Served(f"http://{HOST}:{listener.getsockname()[1]}", task, server)
        finally:
            server.should_exit = True
            await task


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise DemoError(f"Port {port} cannot be used ({error.strerror}). Name another with --port.") from None
        yield listener
