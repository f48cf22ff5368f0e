"""The group commit: all waiting appends of a process become one transaction, each under its own condition.

An append ends in one of three ways: stored and durable, refused with nothing written, or (only when the process is
closed while its database is away) cancelled. One whose commit was not acknowledged is looked up before anybody is
told of its fate.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import takewhile
from time import monotonic, perf_counter

import psycopg
import structlog

from shared.clock import Clock
from shared.eventstore import metrics, transaction
from shared.eventstore.batch import Decided, WaitingAppend, conditions_of, decide
from shared.eventstore.model import (
    AppendCondition,
    AppendConflict,
    LogSaturated,
    LogUnavailable,
    NewEvent,
    StoredEvent,
)
from shared.eventstore.record import draft
from shared.eventstore.session import Session

BATCH_EVENTS_MAX = 512
PATIENCE_S = 5.0
"""How long an append waits for a database that is away."""
DRAIN_S = 10.0
"""How long closing waits for what is on its way."""
PAUSE_MIN_S, PAUSE_MAX_S = 0.05, 1.0
"""Between attempts to connect; doubled after each failure."""

AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
    OSError,
)
"""The database is away, starting, stopping, full or a standby now, or we were asleep: to be tried again."""

_log = structlog.get_logger("marrow.eventstore")


class Writer:
    """Takes appends from any number of tasks of one event loop and commits them in groups."""

    def __init__(self, url: str, clock: Clock | None, queue_max: int) -> None:
        self._url = url
        self._clock = clock
        self._queue_max = queue_max
        self._queue: deque[WaitingAppend] = deque()
        self._alone = 0
        """How many of the next appends are to be committed one by one."""
        self._wake = asyncio.Event()
        self._closing = False
        self._session: Session | None = None
        self._pause_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and begin to write. Raises LogUnavailable."""
        try:
            self._session = await transaction.open_session(self._url)
        except AWAY as error:
            raise LogUnavailable("the database cannot be reached") from error
        self._task = asyncio.create_task(self._run(), name="log writer")

    async def close(self) -> None:
        """Write what waits, then end."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=DRAIN_S)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._disconnect()

    async def append(self, events: Sequence[NewEvent], condition: AppendCondition | None) -> list[StoredEvent]:
        """Join the next group commit and wait for the fate of these events."""
        if not events:
            raise ValueError("an append has at least one event")
        drafts = [draft(event) for event in events]
        if self._closing:
            raise LogUnavailable("the log is closing")
        if len(self._queue) >= self._queue_max:
            metrics.SATURATED.inc()
            raise LogSaturated
        fate: asyncio.Future[list[StoredEvent]] = asyncio.get_running_loop().create_future()
        self._queue.append(WaitingAppend(events, drafts, condition, monotonic() + PATIENCE_S, fate))
        self._wake.set()
        return await fate

    async def _run(self) -> None:
        try:
            while self._queue or not self._closing:
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                elif session := self._session or await self._reconnect():
                    batch = self._take()
                    metrics.QUEUED.set(len(self._queue))
                    if batch:
                        await self._write(session, batch)
        finally:
            self._closing = True
            self._refuse(self._queue, "the log is closed")

    def _take(self) -> list[WaitingAppend]:
        """The next batch. An append whose caller went away before it began is dropped."""
        batch: list[WaitingAppend] = []
        size = 0
        appends_max = 1 if self._alone else BATCH_EVENTS_MAX
        self._alone = max(0, self._alone - 1)
        while self._queue and len(batch) < appends_max:
            if batch and size + len(self._queue[0].events) > BATCH_EVENTS_MAX:
                break
            append = self._queue.popleft()
            if not append.fate.done():
                batch.append(append)
                size += len(append.events)
        return batch

    async def _write(self, session: Session, batch: list[WaitingAppend]) -> None:
        """Bring a batch to its end, or put it back when certainly nothing of it was written."""
        started = perf_counter()
        try:
            decided = await self._attempt(session, batch)
        except asyncio.CancelledError:
            for append in batch:
                append.fate.cancel()
            raise
        except Exception as defect:
            # No caller may wait for ever, nor be told a fate that is not known.
            for append in batch:
                if not append.fate.done():
                    append.fate.set_exception(defect)
            raise
        if decided is not None:
            self._pause_s = 0.0
            metrics.observe_batch(decided, perf_counter() - started)
            self._tell(decided)

    async def _attempt(self, session: Session, batch: list[WaitingAppend]) -> Decided | None:
        decided: Decided | None = None
        try:
            standing = await transaction.begin(session, conditions_of(batch))
            now = self._clock() if self._clock else standing.now
            recorded_at = max(now, standing.head_recorded_at or now)
            decided = decide(batch, standing.conflicting, standing.head, recorded_at)
            if decided.events:
                await transaction.commit(session, decided.events)
            else:
                await transaction.end(session)
        except (psycopg.Error, OSError) as error:
            _log.warning("a batch was interrupted", appends=len(batch), error=type(error).__name__)
            await self._disconnect()
            # Before the commit was sent nothing can have been written; after it, the log must be asked.
            if decided is None or not (decided.events and await self._was_committed(decided)):
                self._put_back(batch, error)
                return None
        return decided

    async def _was_committed(self, decided: Decided) -> bool:
        """Ask the log, however long it takes: nobody is told a fate that is not known."""
        while True:
            session = self._session or await self._reconnect()
            if session is None:
                continue
            try:
                committed = await transaction.is_committed(session, decided.events)
            except (psycopg.Error, OSError):
                await self._disconnect()
                continue
            _log.warning("a commit in doubt was looked up", committed=committed, events=len(decided.events))
            metrics.IN_DOUBT.labels("committed" if committed else "lost").inc()
            return committed

    def _put_back(self, batch: list[WaitingAppend], error: Exception) -> None:
        """Let a batch wait for its next attempt, at the head of the queue."""
        if not isinstance(error, AWAY):
            if len(batch) == 1:
                _log.error("the database refused an append", exc_info=error)
                self._refuse(batch, "the database refused the append", error)
                return
            # One of them is at fault: it must not take the others along.
            self._alone = len(batch)
        self._queue.extendleft(reversed(batch))
        self._give_up_overdue()

    def _give_up_overdue(self) -> None:
        """Refuse what has waited for too long; called after each failure, so that a success comes first."""
        now = monotonic()
        overdue = list(takewhile(lambda append: append.deadline < now, self._queue))
        for _ in overdue:
            self._queue.popleft()
        self._refuse(overdue, "the database cannot be reached")

    async def _reconnect(self) -> Session | None:
        """Try to connect, after a pause that grows with each failure."""
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(max(2 * self._pause_s, PAUSE_MIN_S), PAUSE_MAX_S)
        try:
            self._session = await transaction.open_session(self._url)
            metrics.RECONNECTS.labels("writer").inc()
        except (psycopg.Error, OSError) as error:
            _log.warning("the log's database is away", error=type(error).__name__)
            self._give_up_overdue()
        return self._session

    async def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg.Error, OSError):
                await session.close()

    def _tell(self, decided: Decided) -> None:
        for append, events in decided.accepted:
            if not append.fate.done():
                append.fate.set_result(events)
        for append in decided.conflicting:
            if not append.fate.done():
                append.fate.set_exception(AppendConflict())

    def _refuse(self, appends: Iterable[WaitingAppend], why: str, cause: Exception | None = None) -> None:
        for append in appends:
            if not append.fate.done():
                refusal = LogUnavailable(why)
                refusal.__cause__ = cause
                append.fate.set_exception(refusal)
