"""A connection on which several prepared statements go out at once and are awaited once: the log's hot path.

psycopg's own pipeline waits for the socket at every statement, some 14 times a batch, which was a third of an
append's time. This drives the same libpq connection with two system calls a round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Self

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

from shared.eventstore.connection import LogConnection, connect

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that each session prepares when it opens; parameters and results are binary."""

    name: str
    sql: str


BEGIN = Statement("begin", "BEGIN")
COMMIT = Statement("commit", "COMMIT")

Call = tuple[Statement, Sequence[bytes]]


class Session:
    """A connection in pipeline mode for one task at a time."""

    def __init__(self, connection: LogConnection) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn

    @classmethod
    async def open(cls, url: str, statements: Sequence[Statement], settings: Mapping[str, str]) -> Self:
        """Connect and prepare. Raises psycopg.Error or OSError."""
        session = cls(await connect(url, settings))
        try:
            await session._prepare((BEGIN, COMMIT, *statements))
        except BaseException:
            await session.close()
            raise
        return session

    async def _prepare(self, statements: Sequence[Statement]) -> None:
        self._pgconn.enter_pipeline_mode()
        for statement in statements:
            self._pgconn.send_prepare(statement.name.encode(), statement.sql.encode())
        await self._settle(len(statements))

    async def close(self) -> None:
        await self._connection.close()

    async def run(self, *calls: Call) -> list[list[Row]]:
        """One round trip: send all statements, wait for all answers, and give the rows of each.

        After the first that fails the others are skipped. Raises that one's psycopg.Error, or OSError when the
        connection is lost. After an error the session is not to be used again.
        """
        for statement, parameters in calls:
            self._pgconn.send_query_prepared(
                statement.name.encode(), parameters, [Format.BINARY] * len(parameters), Format.BINARY
            )
        results = await self._settle(len(calls))
        return [self._rows(result) for result in results]

    async def _settle(self, statements: int) -> list[PGresult]:
        """Wait until everything that was sent has been answered."""
        self._pgconn.pipeline_sync()
        results: list[PGresult] = []
        error: psycopg.Error | None = None
        while True:
            waiting_to_send = self._pgconn.flush()
            if waiting_to_send or self._pgconn.is_busy():
                await self._socket_ready(writing=bool(waiting_to_send))
                self._pgconn.consume_input()
                continue
            result = self._pgconn.get_result()
            if result is None:
                self._require_connection(error)
                continue  # stands between the answers of two statements
            match result.status:
                case ExecStatus.PIPELINE_SYNC:
                    break
                case ExecStatus.TUPLES_OK | ExecStatus.COMMAND_OK:
                    results.append(result)
                case ExecStatus.PIPELINE_ABORTED:
                    pass  # skipped, because one before it failed
                case _:
                    error = error or psycopg.errors.error_from_result(result)
                    if self._connection.closed:
                        break
        if error is not None:
            raise error
        if len(results) != statements:
            raise psycopg.InterfaceError(f"{len(results)} answers to {statements} statements")
        return results

    def _require_connection(self, error: psycopg.Error | None) -> None:
        """Raise when there is nothing more to come."""
        if self._pgconn.status == ConnStatus.BAD:
            raise error or psycopg.OperationalError("the connection is lost")

    async def _socket_ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        socket = self._pgconn.socket

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_reader(socket, wake)
        if writing:
            loop.add_writer(socket, wake)
        try:
            await ready
        finally:
            loop.remove_reader(socket)
            if writing:
                loop.remove_writer(socket)

    def _rows(self, result: PGresult) -> list[Row]:
        if result.ntuples == 0:
            return []
        transformer = Transformer(self._connection)
        transformer.set_pgresult(result, format=Format.BINARY)
        return transformer.load_rows(0, result.ntuples, tuple)


_INT8 = Struct("!q")
_LENGTH = Struct("!i")
_ARRAY = Struct("!iiIii")

TEXT, BYTEA = 25, 17
"""Object ids of PostgreSQL's types."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def int8(number: int) -> bytes:
    """A bigint as PostgreSQL sends and receives it in binary."""
    return _INT8.pack(number)


def timestamptz(instant: datetime) -> bytes:
    """A timestamptz in binary: microseconds since 2000."""
    return _INT8.pack((instant - _EPOCH) // _MICROSECOND)


def array(element_type: int, elements: Sequence[bytes]) -> bytes:
    """An array of one dimension in binary, of elements that are already in binary."""
    parts = [_ARRAY.pack(1, 0, element_type, len(elements), 1)]
    for element in elements:
        parts.append(_LENGTH.pack(len(element)))
        parts.append(element)
    return b"".join(parts)
