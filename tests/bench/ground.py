"""What the benches stand on: one embedded PostgreSQL as durable as in service, databases on it, and other processes."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from shared.embedded import embedded_postgresql
from shared.eventstore.migrations import LOG
from shared.identity import Role
from shared.keys import Keys
from shared.keystore import KEYSTORE
from shared.migrations import Component, upgrade
from shared.settings import Settings
from shared.tokens import issue

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20


@dataclass(frozen=True)
class Ground:
    """A folder for everything that is written, and the server whose data lie in it."""

    folder: Path
    server_url: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def database(self, *components: Component) -> str:
        """The URL of a new database with the tables of the log and of these components, all empty."""
        name = f"bench_{next(self._numbers)}"
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = make_url(self.server_url).set(database=name).render_as_string(hide_password=False)
        for component in (LOG, KEYSTORE, *components):
            upgrade(url, component)
        return url


@contextmanager
def ground() -> Iterator[Ground]:
    """Start the server with the settings that `marrow up` gives it, and remove everything at the end."""
    with TemporaryDirectory(prefix="marrow-bench-") as folder, embedded_postgresql(Path(folder)) as url:
        yield Ground(Path(folder), url)


def token(settings: Settings, role: Role) -> str:
    """A token of the services' own for somebody of a role, at all sites."""
    now = datetime.now(UTC)
    return issue(Keys(settings).issuer(), settings, role=role, now=now, subject=f"{role.value}-1", name=role.value)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the bench's own, from the root of the checkout; what it says goes into `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def serving(application: str, ready: str, environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """One uvicorn worker process with uvloop and httptools; the URL at which it answers once `ready` is 200."""
    port = free_port()
    server = [sys.executable, "-m", "uvicorn", application, "--host", HOST, "--port", str(port)]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    with running([*server, *options], environment, log) as process:
        url = f"http://{HOST}:{port}"
        wait_until_ready(f"{url}{ready}", process, log)
        yield url


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Raises RuntimeError, with the end of the log, when the process ends or does not answer in time."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise RuntimeError(f"{url} did not become ready:\n{last}")
