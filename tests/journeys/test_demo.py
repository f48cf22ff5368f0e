"""The demo, run as its users run it: a small trial is played, what it reports adds up, and it is not played twice."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from services.app import SERVICES
from services.audit.export import EventLine, parse_line
from services.audit.verifier import read_lines
from services.demo.clock import SimulatedClock
from services.demo.errors import DemoError
from services.demo.home import DemoHome, Played
from shared.clock import system_clock
from shared.events import EVENT_TYPES

ROOT = Path(__file__).parents[2]
SUBJECTS = 6
SECONDS_MAX = 100

SERVICE_PACKAGES = {f"services.{name}" for name in SERVICES}
EVENT_TYPES_OF_THE_SERVICES = {
    name for name, event in EVENT_TYPES.items() if event.__module__.removesuffix(".events") in SERVICE_PACKAGES
}

NOT_PLAYED = {"subject-randomized-twice", "arm-drawn"}
"""In a trial of so many subjects each is somebody else, and arms come from lists."""


@dataclass(frozen=True)
class Run:
    """What a run of the command line came to."""

    code: int
    out: str
    err: str

    def row(self, label: str) -> list[int]:
        """The numbers of a printed table's row."""
        found = re.search(rf"^│ *{re.escape(label)} *│(.*)│$", self.out, re.MULTILINE)
        assert found, f"no row {label!r} in:\n{self.out}"
        return [int(cell) for cell in found[1].split("│") if cell.strip()]

    def rows(self, label: str) -> list[int]:
        """The first number of every row whose label begins so."""
        return [int(number) for number in re.findall(rf"^│ *{label}[^│]*│ *(\d+) *│", self.out, re.MULTILINE)]


def marrow(*arguments: str) -> Run:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARROW_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        cwd=ROOT,
        env=environment | {"COLUMNS": "160", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def demo(home: Path, *options: str) -> Run:
    return marrow("demo", "--home", str(home), "--subjects", str(SUBJECTS), "--port", "0", "--no-serve", *options)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def played(home: Path) -> Run:
    run = demo(home)
    assert run.code == 0, run.err + run.out
    return run


def test_the_flow_adds_up(played: Run) -> None:
    (assessed,), (randomized,) = played.row("assessed"), played.row("randomized")
    allocated, received = played.row("allocated"), played.row("received")
    discontinued, analysed = played.row("discontinued"), played.row("analysed")

    assert assessed == sum(played.rows("excluded")) + randomized
    assert randomized == SUBJECTS == allocated[0] == sum(allocated[1:])
    assert received == allocated
    assert discontinued[0] == 1
    assert analysed == received


def test_every_subject_that_stayed_is_evaluated_at_each_timepoint(played: Run) -> None:
    by_timepoint = {
        timepoint: sum(
            int(cell)
            for row in re.findall(rf"^│ (?:MSC|CSA) *│ {timepoint} *│(.*)│$", played.out, re.MULTILINE)
            for cell in row.split("│")
        )
        for timepoint in ("M3", "M6", "M12")
    }

    assert by_timepoint == {"M3": SUBJECTS, "M6": SUBJECTS - 1, "M12": SUBJECTS - 1}


def test_every_type_of_event_occurs(played: Run, home: Path) -> None:
    assert played.code == 0
    with (home / "export.ndjson").open("rb") as file:
        lines = [parse_line(line) for line in read_lines(file)]
    types = {json.loads(line.record)["type"] for line in lines if isinstance(line, EventLine)}

    assert types == EVENT_TYPES_OF_THE_SERVICES - NOT_PLAYED


def test_the_export_verifies_with_the_key_that_was_printed(played: Run, home: Path) -> None:
    printed = re.search(r"--key '([^']+)'", played.out)
    root = re.search(r"root ([0-9a-f]{64})", played.out)
    assert printed
    assert root

    run = marrow("verify", str(home / "export.ndjson"), "--key", printed[1])

    assert (run.code, run.out.splitlines()[-1]) == (0, "OK")
    assert root[1] in run.out


def test_a_second_run_says_that_there_is_a_trial_and_goes_on_with_it(played: Run, home: Path) -> None:
    number = re.search(r"Verified offline: (\d+) events", played.out)
    assert number

    run = demo(home)

    assert run.code == 0, run.err
    assert f"already holds a trial ({int(number[1]):,} events)" in run.out
    assert run.row("allocated") == played.row("allocated")


def test_a_folder_that_no_demo_made_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    for use in (DemoHome(tmp_path).played, DemoHome(tmp_path).clear):
        with pytest.raises(DemoError, match="was not made by a demo"):
            use()

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_a_demo_made_is_removed_unless_it_is_in_use(tmp_path: Path) -> None:
    home = DemoHome(tmp_path / "home")
    home.remember(Played(subjects=SUBJECTS))
    (home.path / "postgres").mkdir()
    with (home.path / "postgres.users").open("ab") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with pytest.raises(DemoError, match="is in use"):
            home.clear()
        assert home.played() == Played(subjects=SUBJECTS)

    home.clear()

    assert not home.path.exists()
    assert home.played() is None


def test_the_clock_of_the_play_neither_goes_back_nor_shows_the_future() -> None:
    now = system_clock()
    clock = SimulatedClock(now - timedelta(days=400))
    clock.move_to(now - timedelta(days=300))

    for elsewhere in (now - timedelta(days=301), now + timedelta(days=1)):
        with pytest.raises(ValueError, match="the clock goes from"):
            clock.move_to(elsewhere)

    assert now - timedelta(days=300) <= clock() < now
    clock.catch_up()
    assert clock() >= now
