"""Decides where the parts of an HL7 v2 message begin and end (ER7 encoding, HL7 v2 chapter 2.5 to 2.10).

    message = parse(text)
    for identifier in message.first("PID")[3].repetitions:
        identifier[1].value, identifier[4].subcomponent(1)

Nothing is thrown away: every part keeps its text as it was sent, and escapes are resolved once, after splitting.
What cannot be tokenized is refused with an `Hl7Error` that says where and why, in the terms of an ERR segment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from services.labs.hl7_errors import (
    MESSAGE_BYTES_MAX,
    OBSERVATION_VALUE_BYTES_MAX,
    SEGMENTS_MAX,
    ErrorCode,
    Hl7Error,
    Location,
    TooLargeError,
)


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters that MSH-1 and MSH-2 declare; an empty string is a delimiter that the sender does not use."""

    field: str
    component: str = ""
    repetition: str = ""
    escape: str = ""
    subcomponent: str = ""
    truncation: str = ""
    as_sent: str = ""

    @classmethod
    def of_header(cls, line: str) -> Delimiters:
        """Those of an MSH, BHS or FHS line. Raises Hl7Error where none can be made out."""
        name, separator = line[:3], line[3:4]
        if not separator or separator.isalnum() or separator.isspace():
            raise Hl7Error(ErrorCode.REQUIRED_FIELD_MISSING, "no field separator", Location(name, 1, 1))
        encoding = line[4:].split(separator, 1)[0]
        # Senders whose text went through a string literal double the backslash: a repeated delimiter counts once.
        characters = "".join(dict.fromkeys(encoding))
        if not 1 <= len(characters) <= 5 or any(c.isalnum() or c.isspace() for c in characters):
            raise Hl7Error(ErrorCode.DATA_TYPE_ERROR, "no encoding characters", Location(name, 1, 2))
        component, repetition, escape, subcomponent, truncation = (*characters, *[""] * (5 - len(characters)))
        return cls(separator, component, repetition, escape, subcomponent, truncation, encoding)

    def unescape(self, text: str) -> str:
        """Resolve the escape sequences of a leaf, once; a sequence that is not known stays as it was sent.

        Formatting keeps its line breaks (`.br`) and loses its highlighting (`H`, `N`). `X` sequences are read as
        UTF-8, and left as they are where they do not decode or would give a NUL.
        """
        if not self.escape or self.escape not in text:
            return text

        def resolved(match: re.Match[str]) -> str:
            meaning = self._meaning(match[1])
            return match[0] if meaning is None else meaning

        return _escape_sequence(self.escape).sub(resolved, text)

    def _meaning(self, sequence: str) -> str | None:
        """What one escape sequence stands for, None where it means nothing in this message."""
        match sequence:
            case "H" | "N":
                return ""
            case ".br":
                return "\n"
            case _ if sequence.startswith("X"):
                return _hexadecimal(sequence[1:])
        delimiters = {
            "F": self.field,
            "S": self.component,
            "T": self.subcomponent,
            "R": self.repetition,
            "E": self.escape,
            "P": self.truncation,
        }
        return delimiters[sequence] or None

    def escape_text(self, text: str) -> str:
        """`text` as a leaf of a message with these delimiters; control characters are written as `X` sequences."""
        names = {self.field: "F", self.component: "S", self.subcomponent: "T", self.repetition: "R"}
        names |= {self.escape: "E"} | {chr(code): f"X{code:02X}" for code in range(32)}
        quote = f"{self.escape}{{}}{self.escape}" if self.escape else " "
        return "".join(quote.format(names[c]) if c in names else c for c in text)


NULL = '""'
"""An explicit null: the sender asks that what was known be deleted."""

VERBATIM = Delimiters(field="")
"""No delimiters at all: MSH-1 and MSH-2 are values of their own, not something to split."""


@lru_cache(maxsize=64)
def _escape_sequence(escape: str) -> re.Pattern[str]:
    quoted = re.escape(escape)
    return re.compile(rf"{quoted}(F|S|T|R|E|P|H|N|\.br|X(?:[0-9A-Fa-f]{{2}})+){quoted}")


def _hexadecimal(digits: str) -> str | None:
    try:
        text = bytes.fromhex(digits).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _split(text: str, delimiter: str) -> list[str]:
    return text.split(delimiter) if delimiter else [text]


@dataclass(frozen=True, slots=True)
class Component:
    """A component: `text` as sent, `value` its first subcomponent without escapes ("" for a null or none sent)."""

    text: str
    delimiters: Delimiters

    @property
    def subcomponents(self) -> tuple[str, ...]:
        """The subcomponents without escapes, in order."""
        return tuple(map(self.delimiters.unescape, _split(self.text, self.delimiters.subcomponent)))

    def subcomponent(self, number: int) -> str:
        """The subcomponent of that number, counted from 1; "" where it was not sent."""
        parts = _split(self.text, self.delimiters.subcomponent)
        return self.delimiters.unescape(parts[number - 1]) if 1 <= number <= len(parts) else ""

    @property
    def value(self) -> str:
        return "" if self.text == NULL else self.subcomponent(1)


@dataclass(frozen=True, slots=True)
class Repetition:
    """One repetition of a field: `repetition[2]` is its second component."""

    text: str
    delimiters: Delimiters

    @property
    def components(self) -> tuple[Component, ...]:
        return tuple(Component(text, self.delimiters) for text in _split(self.text, self.delimiters.component))

    def __getitem__(self, number: int) -> Component:
        """The component of that number, counted from 1; an empty one where it was not sent."""
        parts = _split(self.text, self.delimiters.component)
        return Component(parts[number - 1] if 1 <= number <= len(parts) else "", self.delimiters)

    @property
    def plain(self) -> str:
        """The whole repetition without escapes, for data types that have no components (NM, ST, TX)."""
        return self.delimiters.unescape(self.text)


@dataclass(frozen=True, slots=True)
class Field:
    """A field: `field[2]` is the second component of its first repetition, `value` the first one's value.

    `is_null` tells an explicit null (`""`, delete what you have) from a field that was not sent.
    """

    text: str
    delimiters: Delimiters

    @property
    def is_null(self) -> bool:
        return self.text == NULL

    @property
    def repetitions(self) -> tuple[Repetition, ...]:
        """The repetitions in order, none where the field was not sent."""
        if not self.text:
            return ()
        return tuple(Repetition(text, self.delimiters) for text in _split(self.text, self.delimiters.repetition))

    @property
    def first(self) -> Repetition:
        """The first repetition, an empty one where the field was not sent."""
        return Repetition(_split(self.text, self.delimiters.repetition)[0], self.delimiters)

    @property
    def components(self) -> tuple[Component, ...]:
        """Those of the first repetition."""
        return self.first.components

    def __getitem__(self, component: int) -> Component:
        return self.first[component]

    @property
    def value(self) -> str:
        return self[1].value

    @property
    def plain(self) -> str:
        """The whole field without escapes, for free text; "" for an explicit null."""
        return "" if self.is_null else self.delimiters.unescape(self.text)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: `segment[5]` is its field 5, numbered as in the standard (MSH-1 is the field separator itself).

    `sequence` counts the segments of this name in the message from 1; `text` is the line as sent.
    """

    name: str
    sequence: int
    text: str
    fields: tuple[str, ...]
    delimiters: Delimiters

    def __getitem__(self, number: int) -> Field:
        """The field of that number, counted from 1; an empty one where it was not sent."""
        verbatim = self.name in _HEADERS and number <= 2
        text = self.fields[number - 1] if 1 <= number <= len(self.fields) else ""
        return Field(text, VERBATIM if verbatim else self.delimiters)

    def location(self, field: int | None = None) -> Location:
        """Where this segment, or a field of it, stands in its message."""
        return Location(self.name, self.sequence, field)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its segments in order, and its text as sent."""

    text: str
    delimiters: Delimiters
    segments: tuple[Segment, ...]

    def all(self, name: str) -> tuple[Segment, ...]:
        """Every segment of that name, in order."""
        return tuple(segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment:
        """The first segment of that name. Raises Hl7Error (100) where the message has none."""
        for segment in self.segments:
            if segment.name == name:
                return segment
        raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, f"no {name} segment", Location(name))


_HEADERS = ("MSH", "BHS", "FHS")
_FRAME = re.compile(r"\x1c\r?|(?:\A|(?<=[\r\n\x1c]))\x0b+")
_LINE_END = re.compile(r"(\r\n|\r|\n)")
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")


def segment_lines(text: str) -> list[str]:
    """The segments' texts: any line ends, a byte order mark, MLLP frames (0x0B … 0x1C 0x0D) and blank lines put off.

    Where CR ends the segments, an LF followed by something that is no segment is a line break inside free text.
    """
    if "\0" in text:
        raise Hl7Error(ErrorCode.DATA_TYPE_ERROR, "a NUL character")
    lf_is_data = "\r" in text
    if "\x0b" in text or "\x1c" in text:
        lf_is_data = "\r" in _FRAME.sub("", text)  # the CR of a frame ends no segment
        text = _FRAME.sub("\r", text)
    pieces = _LINE_END.split(text.lstrip("\ufeff\r\n\t "))
    lines: list[list[str]] = []
    end = "\r"
    for piece, next_end in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        if end == "\n" and lf_is_data and lines and not _is_segment(piece):
            lines[-1].append(piece)
        elif piece.strip():
            lines.append([piece])
        end = next_end
    return ["\n".join(line) for line in lines]


def _is_segment(line: str) -> bool:
    """A name of three characters, then a delimiter or nothing."""
    return bool(_SEGMENT_NAME.match(line)) and not line[3:4].isalnum() and line[3:4] != " "


def segment_name(line: str) -> str:
    """The name at the head of a segment's text. Raises Hl7Error (100) where there is none."""
    if not _is_segment(line):
        raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "a line that is no segment")
    return line[:3]


def _segment(line: str, sequence: int, delimiters: Delimiters) -> Segment:
    name = segment_name(line)
    parts = line.split(delimiters.field)
    if parts[0] != name:
        # Not located: what stands there may be a line of some text, and its first letters a name.
        raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "the name of a segment is not followed by the field separator")
    fields = (delimiters.field, *parts[1:]) if name in _HEADERS else tuple(parts[1:])
    return Segment(name, sequence, line, fields, delimiters)


def header_segment(line: str) -> Segment:
    """An MSH, BHS or FHS segment with the delimiters that it declares. Raises Hl7Error where it declares none."""
    return _segment(line, 1, Delimiters.of_header(line))


def header(text: str) -> Segment:
    """The MSH segment alone, to answer a message that cannot be read any further. Raises Hl7Error without one."""
    return _message_header(segment_lines(text))


def _message_header(lines: list[str]) -> Segment:
    if not lines or not lines[0].startswith("MSH"):
        raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "no MSH segment", Location("MSH"))
    return header_segment(lines[0])


def parse(text: str) -> Message:
    """One message, tokenized. Raises Hl7Error where it is malformed and TooLargeError above the limits."""
    if _bytes(text, MESSAGE_BYTES_MAX) > MESSAGE_BYTES_MAX:
        raise TooLargeError(f"a message of more than {MESSAGE_BYTES_MAX} bytes")
    lines = segment_lines(text)
    delimiters = _message_header(lines).delimiters
    if len(lines) > SEGMENTS_MAX:
        raise TooLargeError(f"a message of more than {SEGMENTS_MAX} segments")
    counts: dict[str, int] = {}
    segments = []
    for line in lines:
        name = segment_name(line)
        counts[name] = counts.get(name, 0) + 1
        segment = _segment(line, counts[name], delimiters)
        segments.append(segment)
        if name == "OBX" and _bytes(segment[5].text, OBSERVATION_VALUE_BYTES_MAX) > OBSERVATION_VALUE_BYTES_MAX:
            raise TooLargeError(f"a value of more than {OBSERVATION_VALUE_BYTES_MAX} bytes", segment.location(5))
    if not counts.keys().isdisjoint({"BHS", "BTS", "FHS", "FTS"}) or counts["MSH"] > 1:
        raise Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "more than one message", Location("MSH"))
    return Message(text, delimiters, tuple(segments))


def _bytes(text: str, limit: int) -> int:
    """The length in UTF-8, counted only where the number of characters leaves the question open."""
    return len(text) if len(text) * 4 <= limit else len(text.encode())
