"""Which protocol a service works under: reads a protocol document, and says what is wrong with a bad one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.protocol.faults import BrokenRule, BrokenRulesError, Key
from shared.protocol.lines import lines_of, written
from shared.protocol.model import Protocol

DEFAULT_DOCUMENT = Path(__file__).with_name("nct01129739-1.0.toml")


class DocumentFault(NamedTuple):
    """A rule that a document breaks: on which line (counted from 1), at which key, and what the rule says.

    The line of a key that is absent is that of the table which should hold it.
    """

    line: int
    key: str
    rule: str


class ProtocolDocumentError(ValueError):
    """The document cannot be used; the message names the line, the key and the rule of each fault.

    `faults` holds them in the document's order; it is empty when there was no TOML to look into.
    """

    def __init__(self, message: str, faults: Iterable[DocumentFault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


@cache
def load_protocol(path: Path | None = None) -> Protocol:
    """The protocol that a TOML document holds; without a path, that of the trial itself.

    Numbers are read as exact decimals. Raises ProtocolDocumentError when the document cannot be read, is not TOML,
    lacks a key, has one too many, or breaks a rule.
    """
    return parse_protocol(protocol_text(path), name=(path or DEFAULT_DOCUMENT).name)


def protocol_text(path: Path | None = None) -> str:
    """The text of a protocol document; without a path, that of the trial itself. Raises ProtocolDocumentError."""
    document = path or DEFAULT_DOCUMENT
    try:
        return document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolDocumentError(f"{document}: cannot be read: {error}") from error


def parse_protocol(text: str, *, name: str = "protocol") -> Protocol:
    """The protocol that a TOML text holds; `name` stands in the messages of ProtocolDocumentError."""
    try:
        values = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        # No TOML; a number that no decimal holds; more nesting than anybody writes.
        raise ProtocolDocumentError(f"{name}: is not TOML: {error}") from error
    try:
        return Protocol.model_validate(values)
    except ValidationError as error:
        faults = _faults(text, error)
        told = "\n".join(f"{name}:{fault.line}: {fault.key}: {fault.rule}" for fault in faults)
        raise ProtocolDocumentError(told, faults) from error


def _faults(text: str, error: ValidationError) -> list[DocumentFault]:
    lines = lines_of(text)
    errors = error.errors(include_url=False)
    broken = (each for details in errors if not _follows(details, errors) for each in _broken(details, lines))
    faults = (
        DocumentFault(lines.get(written(lines, key), 1), ".".join(map(str, key)) or "protocol", rule)
        for key, rule in broken
    )
    return sorted(dict.fromkeys(faults), key=lambda fault: fault.line)


def _follows(error: ErrorDetails, errors: Iterable[ErrorDetails]) -> bool:
    """Whether an array is called too short only because its bad elements, told of themselves, were left out."""
    at = error["loc"]
    return error["type"] == "too_short" and any(each["loc"][: len(at)] == at != each["loc"] for each in errors)


def _broken(error: ErrorDetails, lines: Mapping[Key, int]) -> Iterator[BrokenRule]:
    """What one error of the model says: the rules between parts know their own keys, any other stands at its own."""
    at: Key = error["loc"]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, BrokenRulesError):
        yield from (BrokenRule(at + key, rule) for key, rule in cause.broken)
    elif error["type"] == "missing":
        yield BrokenRule(at, error["msg"])
    else:
        yield BrokenRule(written(lines, at), str(cause or error["msg"]))
