"""Which folder a demo may use: one that is new or empty, or one that a demo made, which a file in it says."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.demo.errors import DemoError

MARK = "demo.json"
STORE = "postgres"  # the embedded server's data (shared/embedded.py)
MADE_BY = "marrow demo"


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that was asked and answered with no: what it was, and the code of the answer."""

    what: str
    code: str


@dataclass(frozen=True, slots=True)
class Played:
    """What a demo remembers beside the log: how many it planned, whether it came to the end, and what was refused.

    A refusal writes nothing to the log, so that only the caller can remember it.
    """

    subjects: int
    finished: bool = False
    refused: tuple[Refused, ...] = ()
    names_sent: tuple[str, ...] = ()


class DemoHome:
    """The home folder of a demo: the embedded store, the local keys, the export, and the mark that a demo made it."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()

    @property
    def export(self) -> Path:
        """Where the export of the log is kept."""
        return self.path / "export.ndjson"

    def played(self) -> Played | None:
        """What an earlier demo left here; None where there is no trial yet.

        Raises DemoError for a folder that holds something else: it is neither used nor removed.
        """
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return None
        try:
            mark: dict[str, Any] = json.loads((self.path / MARK).read_text(encoding="utf-8"))
            if mark.pop("made_by") != MADE_BY:
                raise ValueError(mark)
            refused = tuple(Refused(**each) for each in mark.pop("refused"))
            played = Played(refused=refused, names_sent=tuple(mark.pop("names_sent")), **mark)
        except (OSError, ValueError, KeyError, TypeError):
            raise DemoError(f"{self.path} was not made by a demo. Name another folder with --home.") from None
        return played if (self.path / STORE).exists() else None

    def remember(self, played: Played) -> None:
        """Write the mark; the folder is made if need be."""
        self.path.mkdir(parents=True, exist_ok=True)
        mark = {"made_by": MADE_BY, **asdict(played)}
        draft = self.path / f".{MARK}"
        draft.write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
        draft.replace(self.path / MARK)

    def clear(self) -> None:
        """Remove what an earlier demo made: its store, its keys, its export. Raises DemoError while it is in use."""
        if self.played() is None:
            return
        # Whoever uses the embedded server holds a shared lock on this file (shared/embedded.py).
        users = self.path / "postgres.users"
        if users.exists():
            with users.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise DemoError(f"{self.path} is in use by another process. Stop that one first.") from None
        shutil.rmtree(self.path)
