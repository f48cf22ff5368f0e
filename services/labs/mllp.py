"""How messages come over MLLP: a connection at a time, a message at a time, each answered once it is recorded.

The answer of a message is that of POST /labs/hl7v2, byte for byte. What HTTP refuses by a status is told by an ACK:
AR where the sender may not, AE with condition 207 of HL7 table 0357 where it should send the message again later.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import structlog
from fastapi import Response

from services.labs.ack import Outcome, acknowledge
from services.labs.charset import decode
from services.labs.er7 import Segment, header
from services.labs.hl7_errors import ErrorCode, Hl7Error, Location, TooLargeError
from services.labs.mllp_framing import Blocks, EndlessBlockError, framed
from services.labs.mllp_identity import NoIdentityError, sender_of, tls_of
from services.labs.receive import new_control_id, receive
from services.labs.transmission import split
from shared.call import Call
from shared.eventstore.model import LogSaturated
from shared.failures import DATABASE_AWAY
from shared.problems import FORBIDDEN, TOO_LARGE, Problem
from shared.runtime import Runtime, open_runtime
from shared.settings import Settings

STOP_S = 10
"""How long a stop waits for the messages under way. One that takes longer is not acknowledged."""

PIECE_BYTES = 64 * 1024

_log = structlog.get_logger("marrow.labs.mllp")


async def serve(settings: Settings, host: str, port: int, started: Callable[[int], None]) -> None:
    """Receive until SIGINT or SIGTERM; `started` is told the port. Raises NoIdentityError before anything is opened."""
    tls = tls_of(settings, host)
    async with open_runtime(settings) as runtime:
        await sender_of(settings, runtime.verifier)
        listener = Listener(runtime)
        server = await asyncio.start_server(listener.connected, host, port, ssl=tls, limit=PIECE_BYTES)
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, listener.stop)
        started(server.sockets[0].getsockname()[1])
        await listener.stopping.wait()
        server.close()
        await listener.finish()


class Listener:
    """The connections of one lab system, and the messages that are under way on them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._connections: set[asyncio.Task[None]] = set()
        self.stopping = asyncio.Event()

    def stop(self) -> None:
        """Take no more messages. Those under way are finished and answered."""
        self.stopping.set()

    async def finish(self) -> None:
        """Wait for the messages under way, and cut off those that take longer than STOP_S."""
        if self._connections:
            await asyncio.wait(self._connections, timeout=STOP_S)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        if self.stopping.is_set() or len(self._connections) >= self._runtime.settings.mllp_connections_max:
            _log.warning("connection refused", connections=len(self._connections))
            writer.close()
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except OSError:
            pass  # the sender is gone; what it was not told is not lost: it sends again, or finds it recorded
        except TimeoutError:
            _log.warning("connection closed", reason="no whole message came, or no answer was taken, in time")
        except NoIdentityError as error:
            _log.error("connection closed", reason=str(error))
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        settings = self._runtime.settings
        blocks = Blocks(settings.body_bytes_max)
        deadline = asyncio.get_running_loop().time() + settings.mllp_idle_s
        while piece := await self._piece(reader, deadline):
            try:
                for body in blocks.take(piece):
                    if self.stopping.is_set():
                        return
                    await self._send(writer, await self._answer(body))
                    deadline = asyncio.get_running_loop().time() + settings.mllp_idle_s
            except EndlessBlockError as endless:
                # What follows belongs to the same message: there is nothing to go on with.
                error = TooLargeError(f"a message has at most {settings.body_bytes_max} bytes")
                await self._send(writer, self._refusal(endless.begun, error))
                return

    async def _piece(self, reader: asyncio.StreamReader, deadline: float) -> bytes:
        """What arrives next; nothing at the end of the connection or once it is to stop. Raises TimeoutError."""
        reading = asyncio.ensure_future(reader.read(PIECE_BYTES))
        stopping = asyncio.ensure_future(self.stopping.wait())
        left_s = max(0.0, deadline - asyncio.get_running_loop().time())
        try:
            await asyncio.wait((reading, stopping), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if self.stopping.is_set():
                return b""
            if not reading.done():
                raise TimeoutError
            return reading.result()
        finally:
            reading.cancel()
            stopping.cancel()

    async def _send(self, writer: asyncio.StreamWriter, answer: str) -> None:
        writer.write(framed(answer.encode()))
        async with asyncio.timeout(self._runtime.settings.mllp_idle_s):
            await writer.drain()

    async def _answer(self, body: bytes) -> str:
        """The answer of what one block holds. Raises NoIdentityError where the listener's token holds no longer."""
        actor = await sender_of(self._runtime.settings, self._runtime.verifier)
        call = Call(self._runtime, actor, uuid4().hex, Response())
        try:
            return await receive(call, body, None)
        except Problem as problem:
            return self._refusal(body, _error_of(problem), _outcome_of(problem))
        except (LogSaturated, *DATABASE_AWAY):
            error = Hl7Error(ErrorCode.APPLICATION_INTERNAL_ERROR, "nothing is recorded just now; send it again later")
            return self._refusal(body, error)
        except Exception as failure:
            _log.error("message failed", trace=call.trace, exc_info=failure)
            error = Hl7Error(ErrorCode.APPLICATION_INTERNAL_ERROR, "the service failed; send the message again")
            return self._refusal(body, error)

    def _refusal(self, body: bytes, error: Hl7Error, outcome: Outcome = Outcome.ERROR) -> str:
        """The answer of a message of which nothing is known to be recorded."""
        now = self._runtime.clock()
        return acknowledge(_header_of(body), at=now, control_id=new_control_id(), errors=[error], outcome=outcome)


def _error_of(problem: Problem) -> Hl7Error:
    if problem.refusal is FORBIDDEN:
        return Hl7Error(ErrorCode.UNKNOWN_KEY_IDENTIFIER, problem.detail, Location("MSH", 1, 3))
    if problem.refusal is TOO_LARGE:
        return TooLargeError(problem.detail)
    return Hl7Error(ErrorCode.APPLICATION_INTERNAL_ERROR, problem.detail or problem.refusal.title)


def _outcome_of(problem: Problem) -> Outcome:
    """A sender that is not the listener's own is rejected for its header."""
    return Outcome.REJECTED if problem.refusal is FORBIDDEN else Outcome.ERROR


def _header_of(body: bytes) -> Segment | None:
    """The MSH of the first message, None where there is none that can be read."""
    first_line = body.lstrip().replace(b"\n", b"\r").partition(b"\r")[0]
    for text in (body, first_line):
        with suppress(Hl7Error):
            return header(split(decode(text)).messages[0])
    return None
