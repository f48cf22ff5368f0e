"""Decides how the outcome of checking an export is told: the first thing that is wrong, or what holds and what is open.

code                       what is wrong
closing-mismatch           the closing line is for other positions than the file holds
closing-missing            the file was cut off
cover-mismatch             the hashes beside the events do not fit their number
checkpoint-by-another-key  the checkpoint is not signed by the log's key, or is of another log
checkpoint-signature-wrong the signature names the log's key, but is not by it over this checkpoint
checkpoint-too-small       the file holds more events than the checkpoint
held-checkpoint-foreign    the auditor's own checkpoint is not of this log
held-checkpoint-outside    this part of the log cannot be compared with the auditor's own checkpoint
history-rewritten          the log does not extend the auditor's own checkpoint
leaf-hash-mismatch         a record is not the one that its leaf hash was made of
line-after-closing         something was put after the end
line-too-long              a line is longer than any that the log can write
log-cut                    the auditor's own checkpoint is of more events than this export's
malformed-checkpoint       the checkpoint, or the key beside it, cannot be read
malformed-line             a line is not of the export's format
malformed-record           a record is not of the log's format
position-wrong             an event is missing, stands twice, or stands elsewhere
root-mismatch              the events are not those that the checkpoint was signed over
time-goes-back             an event was recorded before the one in front of it
"""

from dataclasses import dataclass

from services.audit.checkpoint import Checkpoint, VerifierKey


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that is wrong: its stable code, what it is in words, and where, as far as that is known."""

    code: str
    message: str
    position: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        position = f", position {self.position}" if self.position is not None else ""
        line = f", line {self.line}" if self.line is not None else ""
        return f"[{self.code}{position}{line}] {self.message}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was read and what it proves. Nothing is proved when something is wrong.

    `first` and `last` are the positions read, both inclusive; `last` is `first` − 1 when there were none. `held` is the
    checkpoint that the auditor brought.
    """

    first: int
    last: int
    checkpoint: Checkpoint | None
    key: VerifierKey | None
    key_is_from_the_file: bool
    held: Checkpoint | None
    wrong: Finding | None

    @property
    def ok(self) -> bool:
        """Whether everything that was asked holds."""
        return self.wrong is None

    @property
    def events(self) -> int:
        """How many events were read."""
        return self.last - self.first + 1

    @property
    def proved(self) -> list[str]:
        """What holds, as sentences."""
        if self.wrong or not self.checkpoint:
            return []
        log = f"the log {self.checkpoint.origin} of {self.checkpoint.size} events"
        sentences = []
        if self.events:
            sentences.append(f"The events {self.first} to {self.last} stand, unaltered and in this order, in {log}.")
        if not self.checkpoint.size:
            sentences.append(f"The log {self.checkpoint.origin} is empty.")
        if self.held:
            sentences.append(f"The first {self.held.size} events are those of the checkpoint that you hold.")
        return sentences

    @property
    def open(self) -> list[str]:
        """What this check cannot say, as sentences."""
        if self.wrong or not self.checkpoint:
            return []
        sentences = []
        if self.key_is_from_the_file:
            sentences.append(
                "WARNING: the key came with the file and is unauthenticated; "
                "whoever forged the file forged it too. Give the key that you trust."
            )
        if self.first > 1 or self.last < self.checkpoint.size:
            sentences.append("Nothing is said of the content of the events that the file does not hold.")
        if not self.held:
            sentences.append("Without a checkpoint that you kept, a log that was cut at its end is not found.")
        return sentences

    def summary(self) -> str:
        """The report for a terminal, its last line OK or WRONG."""
        lines = [f"{self.events} events read" + (f", {self.first} to {self.last}" if self.events else "")]
        if self.checkpoint and self.key:
            lines.append(f"checkpoint  {self.checkpoint.origin}, {self.checkpoint.size} events")
            lines.append(f"root        {self.checkpoint.root.hex()}")
            lines.append(f"key         {self.key}")
        lines += [*self.proved, *self.open, f"WRONG {self.wrong}" if self.wrong else "OK"]
        return "".join(f"{line}\n" for line in lines)
