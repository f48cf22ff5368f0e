"""Decides whether an export of the log is whole, unaltered and signed, from the file and a public key alone.

    python -m services.audit.verifier EXPORT [--key VKEY] [--checkpoint FILE]

It ends with 0 when everything holds, 1 when something is wrong, which it names, and 2 when it could not be run. It
needs the standard library and `cryptography`, and of this project `merkle`, `checkpoint`, `export` and `findings`:
an auditor can read the whole of it.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from services.audit import merkle
from services.audit.checkpoint import (
    BadSignatureError,
    Checkpoint,
    Note,
    NoteError,
    UnverifiedNoteError,
    VerifierKey,
    verify_checkpoint,
)
from services.audit.export import LINE_BYTES_MAX, Closing, EventLine, MalformedLineError, parse_line, parse_object
from services.audit.findings import Finding, Report

RECORD_MEMBERS = frozenset(
    [
        "by",
        "cause",
        "data",
        "id",
        "key",
        "occurred_at",
        "protocol",
        "reason",
        "recorded_at",
        "tags",
        "trace",
        "type",
        "version",
    ]
)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


class _Wrong(Exception):  # noqa: N818 (it carries a finding, and is no fault of the program)
    def __init__(self, code: str, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.position = code, message, position


def verify(export_lines: Iterable[bytes], vkey: str | None = None, checkpoint: str | None = None) -> Report:
    """Check an export, in one pass and bounded memory, up to the first thing that is wrong.

    `vkey` is the log's key as the auditor knows it; without it the file's own is taken, and the report says so.
    `checkpoint` is a signed note that the auditor kept: the export must be of the same log, and must extend it.
    Raises NoteError when one of these two arguments cannot be read; whatever the lines hold is a finding.
    """
    reading = _Reading(VerifierKey.parse(vkey) if vkey is not None else None, checkpoint)
    try:
        for line in export_lines:
            reading.read(line)
        reading.end()
    except _Wrong as found:
        return reading.report(Finding(found.code, found.message, found.position, reading.line or None))
    return reading.report(None)


class _Reading:
    """The state of one pass: the leaves so far as a compact range, and what the next line must fit."""

    def __init__(self, key: VerifierKey | None, held: str | None) -> None:
        self.given_key = self.key = key
        self.held_note = held
        self.held = Checkpoint.parse(Note.parse(held).text) if held is not None else None
        self.line = 0
        self.leaves: merkle.CompactRange | None = None
        self.leaves_at_held: list[bytes] | None = None
        self.recorded_at = ""
        self.closing: Closing | None = None
        self.checkpoint: Checkpoint | None = None

    def read(self, line: bytes) -> None:
        """Check the next line against those before it."""
        self.line += 1
        if self.closing:
            raise _Wrong("line-after-closing", "there are lines after the closing one")
        if len(line) > LINE_BYTES_MAX:
            raise _Wrong("line-too-long", f"a line has more than {LINE_BYTES_MAX} bytes", self._next_position())
        try:
            parsed = parse_line(line)
        except MalformedLineError as error:
            raise _Wrong("malformed-line", str(error), self._next_position()) from None
        if isinstance(parsed, Closing):
            self.closing = parsed
        else:
            self._read_event(parsed)

    def end(self) -> None:
        """Judge the whole, once the last line has been read."""
        if not self.closing:
            raise _Wrong("closing-missing", "the closing line is missing: the file was cut off", self._next_position())
        leaves = self._begin(self.closing.first - 1) if self.leaves is None else self.leaves
        if (self.closing.first, self.closing.last) != (leaves.begin + 1, leaves.end):
            raise _Wrong(
                "closing-mismatch",
                f"the closing line is for the positions {self.closing.first} to {self.closing.last}, "
                f"the file holds {leaves.begin + 1} to {leaves.end}",
            )
        self.key, self.checkpoint = self._signed_checkpoint(self.closing)
        self._check_root(leaves, self.closing, self.checkpoint)
        if self.held:
            self._check_held(leaves, self.closing, self.checkpoint, self.held, self.key)

    def report(self, wrong: Finding | None) -> Report:
        """What has been read so far, and what was wrong with it."""
        begin, end = (self.leaves.begin, self.leaves.end) if self.leaves else (0, 0)
        return Report(
            first=begin + 1,
            last=end,
            checkpoint=self.checkpoint,
            key=self.key,
            key_is_from_the_file=self.given_key is None,
            held=self.held,
            wrong=wrong,
        )

    def _next_position(self) -> int | None:
        return self.leaves.end + 1 if self.leaves else None

    def _begin(self, before: int) -> merkle.CompactRange:
        if before < 0:
            raise _Wrong("position-wrong", f"there is no position {before + 1}: the first is 1")
        self.leaves = merkle.CompactRange(before)
        self._mark_held()
        return self.leaves

    def _mark_held(self) -> None:
        if self.held and self.leaves and self.leaves.end == self.held.size:
            self.leaves_at_held = list(self.leaves.hashes)

    def _read_event(self, event: EventLine) -> None:
        leaves = self._begin(event.position - 1) if self.leaves is None else self.leaves
        expected = leaves.end + 1
        if event.position != expected:
            raise _Wrong("position-wrong", f"position {expected} is due, here stands {event.position}", expected)
        leaf = merkle.leaf_hash(event.record)
        if leaf != event.leaf_hash:
            raise _Wrong("leaf-hash-mismatch", "the record is not the one that its leaf hash was made of", expected)
        recorded_at = _check_record(event.record, expected)
        if recorded_at < self.recorded_at:
            raise _Wrong("time-goes-back", f"recorded at {recorded_at}, after an event of {self.recorded_at}", expected)
        self.recorded_at = recorded_at
        leaves.append(leaf)
        self._mark_held()

    def _signed_checkpoint(self, closing: Closing) -> tuple[VerifierKey, Checkpoint]:
        try:
            key = self.given_key or VerifierKey.parse(closing.vkey)
            return key, verify_checkpoint(closing.checkpoint, key)
        except UnverifiedNoteError as error:
            made_by = f"; the file says that it is by {closing.vkey}" if self.given_key else ""
            raise _Wrong("checkpoint-by-another-key", f"{error}{made_by}") from None
        except BadSignatureError as error:
            raise _Wrong("checkpoint-signature-wrong", str(error)) from None
        except NoteError as error:
            raise _Wrong("malformed-checkpoint", str(error)) from None

    def _check_root(self, leaves: merkle.CompactRange, closing: Closing, checkpoint: Checkpoint) -> None:
        if checkpoint.size < leaves.end:
            raise _Wrong(
                "checkpoint-too-small",
                f"the checkpoint is of {checkpoint.size} events, the file goes on to {leaves.end}",
                checkpoint.size + 1,
            )
        try:
            tree = _tree(leaves.begin, closing.left, leaves.end, leaves.hashes)
            tree.append_range(checkpoint.size, closing.right)
        except ValueError:
            raise _Wrong("cover-mismatch", "the hashes left and right of the events are too few or too many") from None
        if tree.root() != checkpoint.root:
            raise _Wrong("root-mismatch", "the events are not those that the checkpoint was signed over")

    def _check_held(
        self, leaves: merkle.CompactRange, closing: Closing, checkpoint: Checkpoint, held: Checkpoint, key: VerifierKey
    ) -> None:
        try:
            verify_checkpoint(self.held_note or "", key)
        except NoteError as error:
            raise _Wrong("held-checkpoint-foreign", f"the checkpoint that you hold: {error}") from None
        if held.size > checkpoint.size:
            raise _Wrong(
                "log-cut",
                f"you hold a checkpoint of {held.size} events, here are {checkpoint.size}: "
                "the log was cut, or this export is older",
                checkpoint.size + 1,
            )
        if held.size == checkpoint.size:
            same = held.root == checkpoint.root
        elif self.leaves_at_held is not None:
            same = _tree(leaves.begin, closing.left, held.size, self.leaves_at_held).root() == held.root
        else:
            raise _Wrong(
                "held-checkpoint-outside",
                f"this part of the log, {leaves.begin + 1} to {leaves.end}, cannot show whether it extends the "
                f"checkpoint of {held.size} events that you hold",
            )
        if not same:
            raise _Wrong(
                "history-rewritten", f"the first {held.size} events are not those of the checkpoint that you hold"
            )


def _tree(begin: int, left: Iterable[bytes], end: int, hashes: Iterable[bytes]) -> merkle.CompactRange:
    """The tree of `end` leaves, of the hashes left of a range and those of the range; ValueError if they do not fit."""
    tree = merkle.CompactRange()
    tree.append_range(begin, left)
    tree.append_range(end, hashes)
    return tree


def _check_record(content: bytes, position: int) -> str:
    """Check the form of a record and return its `recorded_at`, whose text sorts as its time does."""
    try:
        record = parse_object(content)
    except MalformedLineError as error:
        raise _Wrong("malformed-record", f"the record is wrong: {error}", position) from None
    if not record.keys() >= RECORD_MEMBERS:
        missing = ", ".join(sorted(RECORD_MEMBERS - record.keys()))
        raise _Wrong("malformed-record", f"the record lacks {missing}", position)
    for member in ("occurred_at", "recorded_at"):
        if not _is_time(record[member]):
            raise _Wrong("malformed-record", f"{member} is no UTC time with microseconds", position)
    return str(record["recorded_at"])


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of an export; of one that is too long only as much as shows that it is."""
    while line := file.readline(LINE_BYTES_MAX + 1):
        yield line


def main(argv: Sequence[str] | None = None) -> int:
    """Verify the export that the arguments name; the exit code is 0, 1 or 2, as the module's text says."""
    parser = argparse.ArgumentParser(prog="verify", description="Check an export of the log, offline.")
    parser.add_argument("export", type=Path, metavar="EXPORT", help="the file that GET /audit/export gave")
    parser.add_argument("--key", metavar="VKEY", help="the log's verifier key, from a source that you trust")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="an older checkpoint of the log that you kept")
    arguments = parser.parse_args(argv)
    try:
        held = arguments.checkpoint.read_text(encoding="utf-8") if arguments.checkpoint else None
        with arguments.export.open("rb") as file:
            report = verify(read_lines(file), arguments.key, held)
    except (OSError, ValueError) as error:  # NoteError and UnicodeDecodeError are ValueErrors
        sys.stderr.write(f"cannot verify: {error}\n")
        return 2
    sys.stdout.write(report.summary())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
