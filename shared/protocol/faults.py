"""How a rule between the parts of a protocol document names the keys that break it, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Key = tuple[str | int, ...]
"""Where something stands in a document: names of tables and keys, and places in arrays counted from 0."""


class BrokenRule(NamedTuple):
    """A rule that a document breaks: at which key, counted from the part that knows the rule, and what it says."""

    key: Key
    rule: str


class BrokenRulesError(ValueError):
    """Every rule that a part breaks; raised by the part's own validation."""

    def __init__(self, broken: Iterable[BrokenRule]) -> None:
        self.broken = tuple(broken)
        super().__init__("; ".join(f"{'.'.join(map(str, key))}: {rule}" for key, rule in self.broken))


def require_none(broken: Iterable[BrokenRule]) -> None:
    """Raise BrokenRulesError unless no rule is broken."""
    if found := tuple(broken):
        raise BrokenRulesError(found)
