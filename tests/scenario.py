"""Rules read as specifications: `given(…events).when(decider, command).records(…)` or `.rejects(…)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.decision import Command, Decider
from shared.events import Event, Recorded
from shared.problems import Problem, Refusal

DAY_0 = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)

BY = {"id": "c1", "name": "Coordinator", "role": "coordinator", "org": "site"}


@dataclass(frozen=True)
class At:
    """An event that happened some days after day 0 (default: on it)."""

    event: Event
    days: float = 0


@dataclass(frozen=True)
class Result:
    """What a decision came to."""

    events: Sequence[Event] = ()
    problem: Problem | None = None

    def records(self, *events: Event) -> None:
        """Exactly these events, in this order."""
        if self.problem is not None:
            raise AssertionError(f"refused: {self.problem.document()}")
        assert list(self.events) == list(events)

    def rejects(self, refusal: Refusal, **members: object) -> None:
        """Nothing was recorded; the refusal is this one and names these members."""
        assert self.problem is not None, f"recorded {self.events}"
        assert self.problem.refusal == refusal, self.problem.document()
        assert members.items() <= self.problem.members.items()


@dataclass(frozen=True)
class Scenario:
    """What has happened so far, at positions 1, 2, 3 …"""

    history: Sequence[Recorded] = field(default_factory=tuple)

    def when(self, decider: Decider[Any, Any], command: Command) -> Result:
        """Decide the command on those events of the history that its boundary names."""
        if command.occurred_at is None:
            command = command.model_copy(update={"occurred_at": DAY_0})
        boundary = decider.boundary(command)
        state = decider.initial(command)
        for recorded in self.history:
            tags = set(recorded.event.tags())
            if any(
                (not item.types or recorded.event.name in item.types) and tags >= set(item.tags)
                for item in boundary.items
            ):
                state = decider.evolve(state, recorded)
        try:
            return Result(events=decider.decide(command, state))
        except Problem as problem:
            return Result(problem=problem)


def given(*events: Event | At) -> Scenario:
    """A history of events; each happened on day 0 unless it says otherwise."""
    dated = [event if isinstance(event, At) else At(event) for event in events]
    return Scenario(
        tuple(
            Recorded(
                position=number,
                event=each.event,
                occurred_at=DAY_0 + timedelta(days=each.days),
                recorded_at=DAY_0 + timedelta(days=each.days),
                by=BY,
                document={},
            )
            for number, each in enumerate(dated, start=1)
        )
    )
