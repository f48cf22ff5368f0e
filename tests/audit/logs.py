"""Logs of well-formed records, their keys, and exports of them as the service makes them."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit import export, merkle
from services.audit.checkpoint import Checkpoint, SigningKey, sign_checkpoint
from services.audit.export import Closing

KEY = SigningKey("marrow.example/nct01129739", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
FORGER = SigningKey("marrow.example/nct01129739", Ed25519PrivateKey.from_private_bytes(bytes(32)))
VKEY = str(KEY.verifier_key)
STARTED_AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def document(position: int, **changes: Any) -> dict[str, Any]:
    """The record of one event as the log writes it, as a JSON object."""
    recorded_at = (STARTED_AT + timedelta(minutes=position)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    members = {
        "by": {"id": "u-1", "name": "Ana Souza", "org": "Hospital São João", "role": "coordinator"},
        "cause": position - 1 or None,
        "data": {"platelets": "41", "subject": "01-001"},
        "id": f"{position:032x}",
        "key": None,
        "occurred_at": "2026-03-02T07:30:00.000000Z",
        "protocol": "1.0",
        "reason": None,
        "recorded_at": recorded_at,
        "tags": ["subject:01-001"],
        "trace": None,
        "type": "result-received",
        "version": 1,
    }
    return members | changes


def record(position: int, **changes: Any) -> bytes:
    return json.dumps(document(position, **changes), sort_keys=True, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Log:
    """A log of records, of which exports are made as the service makes them."""

    records: tuple[bytes, ...]
    key: SigningKey = KEY

    @property
    def leaves(self) -> list[bytes]:
        return [merkle.leaf_hash(content) for content in self.records]

    def node(self, level: int, index: int) -> bytes:
        part = merkle.CompactRange()
        for leaf in self.leaves[index << level : (index + 1) << level]:
            part.append(leaf)
        return part.root()

    def checkpoint(self, size: int | None = None) -> str:
        size = len(self.records) if size is None else size
        head = Checkpoint(self.key.name, size, merkle.root(size, self.node))
        return sign_checkpoint(head, self.key)

    def export(self, first: int = 1, last: int | None = None, size: int | None = None) -> list[bytes]:
        size = len(self.records) if size is None else size
        last = size if last is None else last
        closing = Closing(
            checkpoint=self.checkpoint(size),
            vkey=str(self.key.verifier_key),
            first=first,
            last=last,
            left=tuple(self.node(*place) for place in merkle.cover(0, first - 1)),
            right=tuple(self.node(*place) for place in merkle.cover(last, size)),
        )
        rows = zip(range(1, size + 1), self.records, self.leaves, strict=False)
        lines = [export.event_line(*row) for row in list(rows)[first - 1 : last]]
        return [*lines, export.closing_line(closing)]

    def with_record(self, position: int, content: bytes) -> "Log":
        return replace(self, records=(*self.records[: position - 1], content, *self.records[position:]))


def log(size: int = 20) -> Log:
    return Log(tuple(record(position) for position in range(1, size + 1)))
