"""How a measurement is told: medians and ratios of one run in a plain table, and the machine that it was made on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg


@dataclass(frozen=True)
class Table:
    """A title, a line of column names, rows of texts, and what the reader has to know of them. Prints as Markdown."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[number]) for line in lines) for number in range(len(self.columns))]
        rule = [widths[0] * "-", *((width - 1) * "-" + ":" for width in widths[1:])]

        def row(cells: Sequence[str]) -> str:
            first, *others = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            aligned = [cell.rstrip().rjust(len(cell)) for cell in others]
            return f"| {' | '.join([first, *aligned])} |"

        table = "\n".join([row(self.columns), row(rule), *(row(each) for each in self.rows)])
        notes = "\n".join(f"- {note}" for note in self.notes)
        return "\n\n".join(filter(None, (f"## {self.title}", table, notes)))


def number(value: float) -> str:
    """A figure with as many digits as it is worth: 12 345, 97.1, 3.42."""
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def runs(values: Sequence[float]) -> str:
    """All repetitions, in the order in which they were made."""
    return ", ".join(map(number, values))


def versus(ours: float, theirs: float, target: float) -> tuple[str, str]:
    """Our figure as a multiple of theirs, and the multiple that is aimed at, with whether it was reached."""
    ratio = ours / theirs
    return f"{number(ratio)} ×", f"≥ {target:g} × {'met' if ratio >= target else 'MISSED'}"


def machine(database_url: str, data: Path) -> str:
    """When and on what the figures were made: one fact a line."""
    with psycopg.connect(database_url) as connection:
        ((server,), (fsync,), (synchronous,)) = (
            connection.execute(f"SHOW {name}").fetchone() or ("?",)
            for name in ("server_version", "fsync", "synchronous_commit")
        )
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {_cpu()}, {platform.system()} {platform.release()}",
        "data on": _filesystem(data),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "PostgreSQL": f"{server}, fsync {fsync}, synchronous_commit {synchronous}",
        "Python": platform.python_version(),
        "peers": ", ".join(f"{name} {version(name)}" for name in ("umadb", "eventsourcing", "fastapi", "sqlmodel")),
    }
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def _filesystem(path: Path) -> str:
    """The kind of file system that the databases lie on: on one in memory, durability costs nothing."""
    command = ["df", "-T", str(path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    fields = shown.stdout.splitlines()[-1].split() if shown.returncode == 0 else []
    return fields[1] if len(fields) > 1 else "unknown"
