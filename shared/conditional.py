"""Whether a caller already holds what it asks for: entity tags and If-None-Match (RFC 9110 §8.8.3, §13.1.2)."""

from __future__ import annotations

import hashlib


def weak_entity_tag(*content: object) -> str:
    """The tag of an answer that is made from these values: the same values have the same, others another.

    Weak, because what writes them may change without them; and known before anything is written.
    """
    return f'W/"{hashlib.sha256(repr(content).encode()).hexdigest()[:32]}"'


def holds(if_none_match: str | None, tag: str) -> bool:
    """Whether a header names the tag, or any at all; weakly compared, as the header asks for."""
    named = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return tag.removeprefix("W/") in named or "*" in named
