"""Decides how the log is written for others to check: newline-delimited JSON, events first, then what proves them.

Every line is one JSON object in UTF-8, its keys sorted. A line an event, in position order, without gaps:

    {"leaf_hash": base64, "position": 17, "record": "the exact text of the record, whose UTF-8 bytes are the leaf"}

and one last line, the closing:

    {"checkpoint": "signed note", "first": 11, "format": "marrow-export-1", "last": 20,
     "left": [base64 …], "right": [base64 …], "vkey": "key of the log"}

`first` and `last` are the positions that the file holds, both inclusive (`last` = `first` − 1 when it holds none).
`left` are the hashes of the nodes of `merkle.cover(0, first − 1)`, `right` those of `merkle.cover(last, size)`, where
size is that of the checkpoint: the fewest complete subtrees that stand for the events before and after. With the leaves
between them they give the root (RFC 9162 §2.1), so that a part of the log is proved to stand where it stands. In a
whole export both are empty. What stands under `left` and `right` is neither shown nor checked.

The vkey is a convenience. A file that was forged as a whole bears the forger's key: take the key from elsewhere.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from services.audit.merkle import HASH_BYTES

FORMAT = "marrow-export-1"
LINE_BYTES_MAX = 32 * 1024 * 1024
"""A longer line is refused, so that reading is bounded; more than three times the largest request body accepted."""


class MalformedLineError(ValueError):
    """A line is not what the format says."""


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event: where it stands, the exact bytes of its record, and its leaf hash as the log stored it."""

    position: int
    record: bytes
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Closing:
    """What proves the events before it; see the module's text for each member."""

    checkpoint: str
    vkey: str
    first: int
    last: int
    left: tuple[bytes, ...] = ()
    right: tuple[bytes, ...] = ()


def event_line(position: int, record: bytes, leaf_hash: bytes) -> bytes:
    """One event's line, with its newline. UnicodeDecodeError when the record is not UTF-8, which no log writes."""
    return _line({"leaf_hash": _base64(leaf_hash), "position": position, "record": record.decode()})


def closing_line(closing: Closing) -> bytes:
    """The last line, with its newline."""
    return _line(
        {
            "checkpoint": closing.checkpoint,
            "first": closing.first,
            "format": FORMAT,
            "last": closing.last,
            "left": [_base64(digest) for digest in closing.left],
            "right": [_base64(digest) for digest in closing.right],
            "vkey": closing.vkey,
        }
    )


def parse_line(line: bytes) -> EventLine | Closing:
    """Read one line strictly; MalformedLineError says what is wrong with it."""
    if (event := _parse_event_line(line)) is not None:
        return event
    members = parse_object(line)
    match members:
        case {"leaf_hash": str(leaf_hash), "position": int(position), "record": str(record)} if len(members) == 3:
            return EventLine(_number(position), _utf8(record), _hash(leaf_hash))
        case {"format": str(name)} if name != FORMAT:
            raise MalformedLineError(f"this export is of the format {name!r}, not {FORMAT!r}")
        case {
            "checkpoint": str(checkpoint),
            "first": int(first),
            "format": str(),
            "last": int(last),
            "left": list(left),
            "right": list(right),
            "vkey": str(vkey),
        } if len(members) == 7:
            return Closing(checkpoint, vkey, _number(first), _number(last), _hashes(left), _hashes(right))
        case _:
            raise MalformedLineError(f"neither an event nor the closing line; its members are {', '.join(members)}")


# An event exactly as `event_line` writes it; 32 bytes in base64 end in one of 16 letters and a padding.
_EVENT_LINE = re.compile(
    rb'\{"leaf_hash":"([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)","position":([1-9][0-9]{0,17}),"record":(".*")\}\n'
)


def _parse_event_line(line: bytes) -> EventLine | None:
    """The event of a line in the form that this module writes, which is the quick way; None for every other line."""
    written = _EVENT_LINE.fullmatch(line)
    if written is None:
        return None
    try:
        text = written[3].decode()
        record, end = _STRICT_JSON.raw_decode(text)
        if end != len(text):
            return None
        return EventLine(int(written[2]), record.encode(), base64.b64decode(written[1]))
    except ValueError:  # no UTF-8, no JSON text, or one that is no UTF-8: the slow way says what
        return None


def parse_object(text: bytes) -> dict[str, Any]:
    """Read one JSON object whose keys are sorted and unique at every depth; MalformedLineError when it is none."""
    try:
        json_text = text.decode().strip(" \t\r\n")
        value, end = _STRICT_JSON.raw_decode(json_text)
        if end != len(json_text):
            raise json.JSONDecodeError("Extra data", json_text, end)
    except UnicodeDecodeError:
        raise MalformedLineError("not UTF-8") from None
    except RecursionError:
        raise MalformedLineError("JSON nested too deep") from None
    except json.JSONDecodeError as error:
        raise MalformedLineError(f"not JSON: {error.msg} at character {error.pos}") from None
    except ValueError as error:
        raise MalformedLineError(str(error)) from None
    if not isinstance(value, dict):
        raise MalformedLineError("not a JSON object")
    return value


def _line(members: dict[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _sorted_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers may see two things in an object that has a key twice; and sorted keys leave one way to write it."""
    members = dict(pairs)
    keys = [*members]
    if len(keys) != len(pairs):
        raise MalformedLineError("a key stands twice in one object")
    if keys != sorted(keys):
        raise MalformedLineError("the keys of an object are not sorted")
    return members


def _refuse_constant(name: str) -> None:
    raise MalformedLineError(f"{name} is no JSON")


_STRICT_JSON = json.JSONDecoder(object_pairs_hook=_sorted_object, parse_constant=_refuse_constant)


def _number(value: int) -> int:
    if isinstance(value, bool):  # Python counts true and false among the whole numbers, JSON does not
        raise MalformedLineError("a position is no number")
    return value


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MalformedLineError("the record is not UTF-8") from None


def _hashes(texts: list[Any]) -> tuple[bytes, ...]:
    return tuple(_hash(text) for text in texts)


def _hash(text: object) -> bytes:
    """A hash in the one canonical form of its base64, so that no character of a line can change unseen."""
    try:
        digest = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        digest = b""
    if len(digest) != HASH_BYTES or _base64(digest) != text:
        raise MalformedLineError(f"{text!r:.80} is no hash of {HASH_BYTES} bytes in base64")
    return digest


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
