"""The embedded server: durable, shared by processes, stopped by the last, and started again after any death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from shared.embedded import EmbeddedServer, embedded_postgresql

ROOT = Path(__file__).resolve().parents[2]

USER = """
import sys
from pathlib import Path
from shared.embedded import embedded_postgresql
with embedded_postgresql(Path(sys.argv[1])) as url:
    sys.stdout.write(url + "\\n")
    sys.stdout.flush()
    sys.stdin.readline()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with TemporaryDirectory(prefix="marrow-") as folder:
        yield Path(folder).resolve()


def another_user(home: Path) -> subprocess.Popen[str]:
    """A process that uses the server until it reads a line."""
    command = [sys.executable, "-W", "error", "-c", USER, str(home)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def test_it_is_postgresql_18_and_durable(home: Path) -> None:
    with embedded_postgresql(home) as url:
        assert setting(url, "server_version").startswith("18.")
        assert [setting(url, name) for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3
        assert setting(url, "max_connections") == "200"
        assert setting(url, "listen_addresses") == ""
        assert setting(url, "server_encoding") == "UTF8"
    assert EmbeddedServer(home).pid() is None


def test_what_was_written_is_there_the_next_time(home: Path) -> None:
    with embedded_postgresql(home) as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (a int)")
    with embedded_postgresql(home) as url, psycopg.connect(url) as connection:
        connection.execute("SELECT * FROM kept")


def test_several_processes_use_one_server_and_the_last_one_stops_it(home: Path) -> None:
    with ThreadPoolExecutor() as pool:  # they begin at the same moment, on an empty home
        users = list(pool.map(another_user, [home] * 3))
    urls = {user.stdout.readline() for user in users if user.stdout}
    assert len(urls) == 1
    pid = EmbeddedServer(home).pid()
    assert pid is not None
    for user in users[:2]:
        user.communicate("\n", timeout=20)
    assert EmbeddedServer(home).pid() == pid
    users[2].communicate("\n", timeout=20)
    assert EmbeddedServer(home).pid() is None


def test_a_user_that_was_killed_does_not_count(home: Path) -> None:
    user = another_user(home)
    assert user.stdout is not None
    user.stdout.readline()
    with embedded_postgresql(home):
        os.kill(user.pid, signal.SIGKILL)
        user.communicate(timeout=20)
    assert EmbeddedServer(home).pid() is None


def test_the_number_of_a_dead_server_may_be_another_process_s_by_now(home: Path) -> None:
    with embedded_postgresql(home):
        left = (home / "postgres" / "postmaster.pid").read_text()
    pid, _, rest = left.partition("\n")
    assert pid.isdigit()
    (home / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{rest}")
    assert EmbeddedServer(home).pid() is None
    with embedded_postgresql(home) as url:
        assert setting(url, "fsync") == "on"


@pytest.mark.parametrize("name", ["with space", "quote'd", "x" * 120, "100%", "ünïcode"])
def test_a_home_may_have_any_name(home: Path, name: str) -> None:
    with embedded_postgresql(home / name) as url:
        assert setting(url, "fsync") == "on"


def test_a_server_that_does_not_start_says_why(home: Path) -> None:
    with pytest.raises(RuntimeError, match="no_such_setting"), embedded_postgresql(home, {"no_such_setting": "1"}):
        pass
