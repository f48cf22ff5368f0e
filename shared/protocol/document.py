"""Which protocol a service works under: reads a protocol document, and says what is wrong with a bad one."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from shared.protocol.model import Protocol

DEFAULT_DOCUMENT = Path(__file__).with_name("nct01129739-1.0.toml")


class ProtocolDocumentError(ValueError):
    """The document cannot be used; the message names each key and the rule that it breaks."""


@cache
def load_protocol(path: Path | None = None) -> Protocol:
    """The protocol that a TOML document holds; without a path, that of the trial itself.

    Numbers are read as exact decimals. Raises ProtocolDocumentError when the document cannot be read, is not TOML,
    lacks a key, has one too many, or breaks a rule.
    """
    document = path or DEFAULT_DOCUMENT
    try:
        text = document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolDocumentError(f"{document}: cannot be read: {error}") from error
    return parse_protocol(text, name=document.name)


def parse_protocol(text: str, *, name: str = "protocol") -> Protocol:
    """The protocol that a TOML text holds; `name` stands in the messages of ProtocolDocumentError."""
    try:
        return Protocol.model_validate(tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise ProtocolDocumentError(f"{name}: is not TOML: {error}") from error
    except ValidationError as error:
        broken = (f"{'.'.join(map(str, e['loc'])) or 'protocol'}: {e['msg']}" for e in error.errors())
        raise ProtocolDocumentError(f"{name}: " + "; ".join(broken)) from error
