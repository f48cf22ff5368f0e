"""On which line of a TOML text each key and each value stands, which `tomllib` does not tell.

The text is known to be TOML: `tomllib` has read it before. So this looks for names, brackets and the ends of values
alone, and understands no number and no date.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shared.protocol.faults import Key

_TOKEN = re.compile(
    r"""
      (?P<text> \"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*' )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<sign> [\[\]{}=,.] )
    | (?P<bare> [^\s\[\]{}=,.\#"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def lines_of(text: str) -> dict[Key, int]:
    """The line, counted from 1, of every table's header, every key and every array's element of a TOML text."""
    return _Scan(text).lines


def written(lines: Mapping[Key, int], key: Key) -> Key:
    """The part of a key that a text has: all of it, or the nearest table or array which would hold the rest."""
    return next((key[:length] for length in range(len(key), 0, -1) if key[:length] in lines), ())


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "comment":
            yield _Token(found.lastgroup or "", found[0], line)
        line += found[0].count("\n")
    yield _Token("newline", "\n", line)


class _Scan:
    """One pass over a TOML text, from its first token to its last."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self._tokens = list(_tokens(text))
        self._next = 0
        self._elements: dict[Key, int] = {}
        """How many tables each array of tables has so far."""
        table: Key = ()
        while self._next < len(self._tokens):
            if self._peek() == "[":
                table = self._header()
            elif self._tokens[self._next].kind == "newline":
                self._next += 1
            else:
                self._pair(table)

    def _peek(self) -> str:
        token = self._tokens[self._next]
        return "" if token.kind == "text" else token.text

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _skip(self, *signs: str) -> None:
        while self._peek() in signs:
            self._next += 1

    def _header(self) -> Key:
        """`[table]`, or `[[table]]`, which adds one to an array of tables; names on the way mean its last one."""
        line = self._take().line
        is_array = self._peek() == "["
        self._skip("[")
        *names, last = self._dotted()
        self._skip("]")
        table: Key = ()
        for name in names:
            table = self._last_of((*table, name))
            self.lines.setdefault(table, line)
        table = (*table, last)
        self.lines.setdefault(table, line)
        if is_array:
            self._elements[table] = self._elements.get(table, 0) + 1
        table = self._last_of(table)
        self.lines.setdefault(table, line)
        return table

    def _last_of(self, table: Key) -> Key:
        return (*table, self._elements[table] - 1) if table in self._elements else table

    def _dotted(self) -> list[str]:
        names: list[str] = []
        while not names or self._peek() == ".":
            self._skip(".")
            token = self._take()
            names.append(token.text if token.kind == "bare" else tomllib.loads(f"name = {token.text}")["name"])
        return names

    def _pair(self, table: Key) -> None:
        """`key = value`; the key may be dotted."""
        line = self._tokens[self._next].line
        key = table
        for name in self._dotted():
            key = (*key, name)
            self.lines.setdefault(key, line)
        self._skip("=")
        self._value(key)

    def _value(self, key: Key) -> None:
        self.lines.setdefault(key, self._tokens[self._next].line)
        match self._peek():
            case "[":
                self._array(key)
            case "{":
                self._inline_table(key)
            case _:
                while self._peek() not in {",", "]", "}", "\n"}:
                    self._next += 1

    def _array(self, key: Key) -> None:
        self._skip_one()
        place = 0
        self._skip("\n", ",")
        while self._peek() != "]":
            self._value((*key, place))
            place += 1
            self._skip("\n", ",")
        self._skip_one()

    def _inline_table(self, key: Key) -> None:
        self._skip_one()
        self._skip("\n", ",")
        while self._peek() != "}":
            self._pair(key)
            self._skip("\n", ",")
        self._skip_one()

    def _skip_one(self) -> None:
        self._next += 1
