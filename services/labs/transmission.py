"""Decides which messages an HL7 v2 body holds: one, several in a row, a batch or a file (HL7 v2 chapter 2.10.3).

    transmission = split(decode(body))
    for text in transmission.messages:
        message = parse(text)

Each message is parsed alone, so that a bad one in a batch does not cost its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.labs.er7 import Segment, header_segment, segment_lines, segment_name
from services.labs.hl7_errors import MESSAGES_MAX, ErrorCode, Hl7Error, Location, TooLargeError


@dataclass(frozen=True, slots=True)
class Transmission:
    """What one body held: the texts of its messages, and the headers of the batch or file around them, if any.

    `remarks` are oddities that cost no message, such as a trailer whose count differs from what arrived.
    """

    messages: tuple[str, ...]
    file_header: Segment | None = None
    batch_header: Segment | None = None
    remarks: tuple[str, ...] = ()

    @property
    def is_batch(self) -> bool:
        """Whether a batch is to be answered by a batch."""
        return len(self.messages) > 1 or self.file_header is not None or self.batch_header is not None


def split(text: str) -> Transmission:
    """The messages in a body: one alone, several in a row, a batch (BHS … BTS) or a file (FHS … FTS).

    Raises Hl7Error where a segment stands outside any message or headers are nested wrongly, TooLargeError above
    the limit on messages.
    """
    reading = _Transmitted()
    for line in segment_lines(text):
        reading.take(segment_name(line), line)
    return reading.finish()


class _Transmitted:
    """The state of `split` between two lines."""

    def __init__(self) -> None:
        self.messages: list[list[str]] = []
        self.headers: dict[str, Segment] = {}
        self.remarks: list[str] = []
        self.in_message = self.in_batch = False
        self.batches = self.batch_started_at = 0

    def take(self, name: str, line: str) -> None:
        match name:
            case "MSH":
                self.messages.append([line])
                self.in_message = True
            case "FHS" | "BHS":
                if self.in_message or self.in_batch or (name == "FHS" and self.headers):
                    raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, f"{name} inside a batch", Location(name))
                self.headers.setdefault(name, header_segment(line))
                if name == "BHS":
                    self.in_batch, self.batch_started_at = True, len(self.messages)
            case "BTS":
                self._count(line, len(self.messages) - self.batch_started_at)
                self.batches, self.batch_started_at = self.batches + 1, len(self.messages)
                self.in_message = self.in_batch = False
            case "FTS":
                self._count(line, max(self.batches, 1))
                self.in_message = self.in_batch = False
            case _ if not self.in_message:
                raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "a segment outside any message", Location(name))
            case _:
                self.messages[-1].append(line)

    def _count(self, trailer: str, arrived: int) -> None:
        """A trailer's count tells of messages that were lost on the way; what did arrive is still read."""
        sent = trailer[4:].split(trailer[3:4] or "|")[0].strip()
        if sent and sent != str(arrived):
            self.remarks.append(f"{trailer[:3]}-1 does not count the {arrived} that arrived")

    def finish(self) -> Transmission:
        if not self.messages:
            raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "no MSH segment", Location("MSH"))
        if len(self.messages) > MESSAGES_MAX:
            raise TooLargeError(f"more than {MESSAGES_MAX} messages in one transmission")
        return Transmission(
            messages=tuple("\r".join(lines) + "\r" for lines in self.messages),
            file_header=self.headers.get("FHS"),
            batch_header=self.headers.get("BHS"),
            remarks=tuple(self.remarks),
        )
