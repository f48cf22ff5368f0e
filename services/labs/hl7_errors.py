"""Decides how a refused HL7 v2 message says where and why: conditions of table 0357, locations, and the limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MESSAGE_BYTES_MAX = 8 * 1024 * 1024
"""The largest message that is read, in bytes of UTF-8."""

OBSERVATION_VALUE_BYTES_MAX = 1024 * 1024
"""The largest OBX-5 that is read, in bytes of UTF-8: analysers send histograms and PDF files there."""

SEGMENTS_MAX = 20_000
"""The most segments that one message may have."""

MESSAGES_MAX = 2_000
"""The most messages that one batch or file may have."""


class ErrorCode(StrEnum):
    """Message error condition codes: HL7 table 0357."""

    SEGMENT_SEQUENCE_ERROR = "100"
    REQUIRED_FIELD_MISSING = "101"
    DATA_TYPE_ERROR = "102"
    TABLE_VALUE_NOT_FOUND = "103"
    VALUE_TOO_LONG = "104"
    UNSUPPORTED_MESSAGE_TYPE = "200"
    UNSUPPORTED_EVENT_CODE = "201"
    UNSUPPORTED_PROCESSING_ID = "202"
    UNSUPPORTED_VERSION_ID = "203"
    UNKNOWN_KEY_IDENTIFIER = "204"
    DUPLICATE_KEY_IDENTIFIER = "205"
    APPLICATION_RECORD_LOCKED = "206"
    APPLICATION_INTERNAL_ERROR = "207"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a message, as an ERL: the nth segment of a name, and a field, repetition and component in it."""

    segment: str
    sequence: int = 1
    field: int | None = None
    repetition: int | None = None
    component: int | None = None

    def __str__(self) -> str:
        """Written like `OBX[3]-5`."""
        return f"{self.segment}[{self.sequence}]" + (f"-{self.field}" if self.field else "")


class Hl7Error(ValueError):
    """A message, or a part of one, that is refused: where, which condition of table 0357, and why in words."""

    def __init__(self, code: ErrorCode, text: str, location: Location | None = None) -> None:
        super().__init__(f"{location}: {text}" if location else text)
        self.code = code
        self.text = text
        self.location = location


class TooLargeError(Hl7Error):
    """A message, a value or a batch above the limits of this module."""

    def __init__(self, text: str, location: Location | None = None) -> None:
        super().__init__(ErrorCode.VALUE_TOO_LONG, text, location)
