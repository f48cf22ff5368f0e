"""How the play is told while it runs: a bar on a terminal, a line a month where the output goes to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from services.demo.client import TrialClient
from services.demo.play import Calendar


@contextmanager
def narrated(console: Console, calendar: Calendar, client: TrialClient) -> Iterator[Callable[[date], None]]:
    """A function that is told of every day that is over."""
    if console.is_terminal:
        with _bar(console, calendar, client) as tell:
            yield tell
    else:
        yield _lines(console, calendar, client)


@contextmanager
def _bar(console: Console, calendar: Calendar, client: TrialClient) -> Iterator[Callable[[date], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[events]:,} events"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("", total=sum(1 for _ in calendar.days()), events=0)

        def tell(day: date) -> None:
            progress.update(task, advance=1, description=f"{day:%d %b %Y}", events=client.position)

        yield tell


def _lines(console: Console, calendar: Calendar, client: TrialClient) -> Callable[[date], None]:
    def tell(day: date) -> None:
        if day == calendar.over_by or (day + timedelta(days=1)).day == 1:
            console.print(f"{day:%d %b %Y}: {client.position:,} events, {client.requests:,} requests")

    return tell
