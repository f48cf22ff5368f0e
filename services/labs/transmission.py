"""Decides which messages an HL7 v2 body holds: one, several in a row, a batch or a file (HL7 v2 chapter 2.10.3).

    transmission = split(decode(body))
    for text in transmission.messages:
        message = parse(text)

Each message is parsed alone, so that a bad one in a batch does not cost its neighbours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from services.labs.er7 import Segment, header_segment, segment_lines, segment_name
from services.labs.hl7_errors import MESSAGES_MAX, ErrorCode, Hl7Error, Location, TooLargeError

_COUNT = re.compile("[0-9]{1,10}")  # NM of 10 digits (BTS-1, FTS-1)


@dataclass(frozen=True, slots=True)
class Miscount:
    """A trailer whose count (BTS-1 of messages, FTS-1 of batches) differs from what arrived.

    `sent` is the number that it gives, None where it gives none.
    """

    trailer: Literal["BTS", "FTS"]
    sent: int | None
    arrived: int

    def __str__(self) -> str:
        what = "messages" if self.trailer == "BTS" else "batches"
        counted = "gives no number" if self.sent is None else f"counts {self.sent}"
        return f"{self.trailer}-1 {counted}, {what} that arrived: {self.arrived}"


@dataclass(frozen=True, slots=True)
class Transmission:
    """What one body held: the texts of its messages, and the headers of the batch or file around them, if any.

    `miscounts` tell of messages that were lost on the way, or of a sender that cannot count; what arrived is read.
    """

    messages: tuple[str, ...]
    file_header: Segment | None = None
    batch_header: Segment | None = None
    miscounts: tuple[Miscount, ...] = ()

    @property
    def is_batch(self) -> bool:
        """Whether a batch is the answer: to a batch, a file, several messages, or a trailer that has to be answered."""
        wrapped = self.file_header is not None or self.batch_header is not None
        return len(self.messages) > 1 or wrapped or bool(self.miscounts)


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
        self.miscounts: list[Miscount] = []
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
                self._count("BTS", line, len(self.messages) - self.batch_started_at)
                self.batches, self.batch_started_at = self.batches + 1, len(self.messages)
                self.in_message = self.in_batch = False
            case "FTS":
                self._count("FTS", line, max(self.batches, 1))
                self.in_message = self.in_batch = False
            case _ if not self.in_message:
                raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "a segment outside any message", Location(name))
            case _:
                self.messages[-1].append(line)

    def _count(self, trailer: Literal["BTS", "FTS"], line: str, arrived: int) -> None:
        """Compare the count of a trailer, which may be left out, with what arrived."""
        text = line[4:].split(line[3:4] or "|")[0].strip()
        sent = int(text) if _COUNT.fullmatch(text) else None
        if text and sent != arrived:
            self.miscounts.append(Miscount(trailer, sent, arrived))

    def finish(self) -> Transmission:
        if not self.messages:
            raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "no MSH segment", Location("MSH"))
        if len(self.messages) > MESSAGES_MAX:
            raise TooLargeError(f"more than {MESSAGES_MAX} messages in one transmission")
        return Transmission(
            messages=tuple("\r".join(lines) + "\r" for lines in self.messages),
            file_header=self.headers.get("FHS"),
            batch_header=self.headers.get("BHS"),
            miscounts=tuple(self.miscounts),
        )
