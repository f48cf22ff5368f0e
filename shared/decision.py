"""How every command of every service becomes events: read, fold, decide, append under condition, try again.

A service's rules are a `Decider` of four pure functions. `handle` runs them against the log inside a dynamic
consistency boundary: the append holds only if nothing new matches what the decision had read. One mechanism gives
optimistic concurrency, uniqueness and idempotency.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Generic, Self, TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.clock import Clock, Instant
from shared.events import Event, Recorded, decode
from shared.eventstore.model import (
    AppendCondition,
    AppendConflict,
    EventLog,
    NewEvent,
    Query,
    QueryItem,
    StoredEvent,
)
from shared.eventstore.record import format_instant
from shared.identity import Actor
from shared.problems import IN_FUTURE, KEY_REUSED, WRITE_CONFLICT
from shared.protocol.language import Text

ATTEMPTS_MAX = 50
"""How often a decision is made anew when others keep changing the same facts."""

CLOCK_SKEW_MAX = timedelta(minutes=2)
"""How far a caller's clock may be ahead of ours before what it reports counts as the future."""


class Command(BaseModel):
    """The base of every command and of the request body that it is made from."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)  # errors end up in logs

    occurred_at: Instant | None = Field(None, description="When it happened; default: now.")
    reason: Text | None = Field(None, description="Why; required where an earlier fact is changed.")

    @model_validator(mode="before")
    @classmethod
    def _integers(cls, members: object) -> object:
        """JSON knows one kind of number: 3.0 is the integer 3 (JSON Schema 2020-12 §4.2.3)."""
        if not isinstance(members, dict):
            return members
        decimals = [name for name in _whole_fields(cls) if isinstance(members.get(name), Decimal)]
        return members | {name: _as_integer(members[name]) for name in decimals} if decimals else members

    @property
    def at(self) -> datetime:
        """When it happened. `handle` settles it before a rule sees the command."""
        if self.occurred_at is None:
            raise ValueError("the command has not been dated")
        return self.occurred_at

    @classmethod
    def about(cls, body: Command, **target: str | int) -> Self:
        """This command, made from a request body and the target that the address names."""
        return cls(**(dict(body) | target))


@cache
def _whole_fields(command: type[Command]) -> tuple[str, ...]:
    """The fields of a command that hold integers."""
    return tuple(name for name, field in command.model_fields.items() if field.annotation in (int, int | None))


def _as_integer(value: Decimal) -> int | Decimal:
    """The integer of a decimal without a fraction; any other as it is. Digits beyond 64 bits are not read."""
    return int(value) if value.adjusted() < 19 and value == value.to_integral_value() else value


C = TypeVar("C", bound=Command)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Decider(Generic[C, S]):
    """The rules about one kind of command.

    `boundary` names the events that a decision must have seen; `initial` is the state before any of them; `evolve`
    folds one into the state and never raises; `decide` answers with events, or raises a Problem. What `initial` made
    belongs to one fold: where copies would cost the square of the history, `evolve` may change it in place.
    `protocol_version` says under which version of the protocol it was decided, where that hangs on the state.
    """

    boundary: Callable[[C], Query]
    initial: Callable[[C], S]
    evolve: Callable[[S, Recorded], S]
    decide: Callable[[C, S], Sequence[Event]]
    protocol_version: Callable[[C, S], str] | None = None


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An Idempotency-Key of one caller, and the digest of the request that it was sent with.

    `number` is that of one of the several commands that a single request carries, None for the only one.
    """

    id: str
    digest: str
    number: int | None = None

    @classmethod
    def of(cls, actor: Actor, key: str, *request: bytes) -> RequestKey:
        digest = hashlib.sha256(b"\0".join(request)).hexdigest()
        return cls(hashlib.sha256(f"{actor.id}\0{key}".encode()).hexdigest()[:32], digest)

    @property
    def request_tag(self) -> str:
        """Borne by all that was recorded under the key: the first such event says whose request it is."""
        return f"key:{self.id}"

    @property
    def tag(self) -> str:
        """Borne by what this command of the request recorded."""
        return self.request_tag if self.number is None else f"{self.request_tag}.{self.number}"

    def part(self, number: int) -> RequestKey:
        """The key of one of the several commands that a single request carries."""
        return replace(self, number=number)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who asks, from which request, caused by which event; `protocol` is the version in effect, if a rule says none."""

    actor: Actor
    trace: str
    protocol: str
    key: RequestKey | None = None
    cause: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command came to: the events that it recorded, now or when the same request was made before.

    `position` is that of the last of them, or the head of the log where there was nothing new to record.
    """

    events: tuple[Recorded, ...]
    position: int
    replayed: bool = False


async def handle(log: EventLog, clock: Clock, decider: Decider[C, S], command: C, provenance: Provenance) -> Outcome:
    """Decide the command on what the log holds and append the result, all or nothing.

    Raises the decider's Problem, IN_FUTURE, KEY_REUSED, or WRITE_CONFLICT after ATTEMPTS_MAX lost races; in each
    case nothing was recorded.
    """
    now = clock()
    if command.occurred_at is None:
        command = command.model_copy(update={"occurred_at": now})
    elif command.occurred_at > now + CLOCK_SKEW_MAX:
        raise IN_FUTURE(f"{format_instant(command.occurred_at)} is after {format_instant(now)}.")

    boundary = decider.boundary(command)
    contended = [item for item in boundary.items if item in _TURNS]
    if not contended:
        try:
            return await _attempt(log, decider, command, provenance, boundary)
        except _LostRaceError as lost:
            contended = lost.contended
    # Others are deciding about the same facts. Those of this process now take turns, so that each attempt meets
    # at most one rival from every other process.
    async with AsyncExitStack() as turns:
        # In one order for all, so that two commands never wait for each other.
        for item in sorted(set(contended), key=lambda item: (item.tags, item.types)):
            await turns.enter_async_context(_TURNS.setdefault(item, asyncio.Lock()))
        for _ in range(ATTEMPTS_MAX):
            try:
                return await _attempt(log, decider, command, provenance, boundary)
            except _LostRaceError:
                continue
    raise WRITE_CONFLICT()


_TURNS: WeakValueDictionary[QueryItem, asyncio.Lock] = WeakValueDictionary()
"""The facts that somebody takes turns about; gone with the last who does."""


class _LostRaceError(Exception):
    """Something that the decision had to see was recorded meanwhile.

    `contended` are the facts about which others record the same, and who keep on doing so. What merely bears on the
    decision, as a scheme does on an allocation, changes seldom: nobody waits for it.
    """

    def __init__(self, contended: list[QueryItem]) -> None:
        super().__init__()
        self.contended = contended


async def _attempt(
    log: EventLog, decider: Decider[C, S], command: C, provenance: Provenance, boundary: Query
) -> Outcome:
    """Read, fold, decide and append once. Raises _LostRaceError when somebody else was faster."""
    key = provenance.key
    read = await log.read(boundary if key is None else boundary | _bearing(key.tag))
    condition = boundary
    if key is not None:
        if earlier := _recorded_under(key, read.events):
            return Outcome(earlier, earlier[-1].position, replayed=True)
        if key.number is not None:
            await require_own_key(log, key)  # read after the boundary: what comes later yet is a conflict
        condition = boundary | _bearing(key.request_tag)
    state = decider.initial(command)
    for stored in read.events:
        state = decider.evolve(state, decode(stored))
    events = decider.decide(command, state)
    if not events:
        return Outcome((), read.head)
    if decider.protocol_version is not None:
        provenance = replace(provenance, protocol=decider.protocol_version(command, state))
    new = [_new_event(event, command, provenance) for event in events]
    try:
        stored_events = await log.append(new, AppendCondition(condition, after=read.head))
    except AppendConflict:
        ours = [item for item in boundary.items if any(item.matches(event.type, event.tags) for event in new)]
        raise _LostRaceError(ours) from None
    return Outcome(tuple(decode(stored) for stored in stored_events), stored_events[-1].position)


async def require_own_key(log: EventLog, key: RequestKey) -> None:
    """Raise KEY_REUSED where another request has recorded something under the key.

    A request of several commands asks before the first of them, so that it is refused as a whole.
    """
    first = await log.read(_bearing(key.request_tag), limit=1)
    _require_same_request(key, first.events)


def _bearing(tag: str) -> Query:
    return Query((QueryItem(tags=(tag,)),))


def _recorded_under(key: RequestKey, known: Sequence[StoredEvent]) -> tuple[Recorded, ...]:
    """What the same request recorded before; empty when it is new. Raises KEY_REUSED."""
    earlier = [stored for stored in known if key.tag in stored.tags]
    _require_same_request(key, earlier)
    return tuple(decode(stored) for stored in earlier)


def _require_same_request(key: RequestKey, earlier: Sequence[StoredEvent]) -> None:
    """Raise KEY_REUSED where these events were recorded under the key by another request.

    The digest is compared before anything is decoded: under a reused key may stand an event of another service, whose
    class this process does not know.
    """
    if earlier and orjson.loads(earlier[0].record)["key"]["digest"] != key.digest:
        raise KEY_REUSED()


def _new_event(event: Event, command: Command, provenance: Provenance) -> NewEvent:
    key = provenance.key
    tags = event.tags() if key is None else tuple(dict.fromkeys((*event.tags(), key.request_tag, key.tag)))
    document: dict[str, Any] = {
        "id": uuid4().hex,
        "type": event.name,
        "version": event.version,
        "tags": tags,
        "occurred_at": format_instant(command.at),
        "by": provenance.actor.as_recorded(),
        "reason": command.reason,
        "trace": provenance.trace,
        "cause": provenance.cause,
        "key": {"id": key.id, "digest": key.digest} if key else None,
        "protocol": provenance.protocol,
        "data": event.model_dump(mode="json"),
    }
    return NewEvent(event.name, tags, document)
