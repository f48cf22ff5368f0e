"""What time it is in the play: a clock that its own process moves day by day, up to the present and never back."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.clock import system_clock


class SimulatedClock:
    """Runs at the pace of the host's clock from wherever it was moved to. Nothing that is served can move it.

    It never goes back and never shows the future, so that what it has stamped holds when the play is over.
    """

    def __init__(self, start: datetime) -> None:
        self._latest = start
        self._ahead = start - system_clock()

    def __call__(self) -> datetime:
        self._latest = max(self._latest, system_clock() + self._ahead)
        return self._latest

    def move_to(self, instant: datetime) -> None:
        """Let it be `instant` now. Raises ValueError for one that has passed here, or has not come outside."""
        present = system_clock()
        if not self() <= instant <= present:
            raise ValueError(f"the clock goes from {self()} on to {present}, not to {instant}")
        self._ahead = instant - present

    def catch_up(self) -> None:
        """From now on it shows the host's own time."""
        self._ahead = timedelta(0)
