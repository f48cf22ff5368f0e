"""The lines of a TOML text: where keys stand, and that every fault of a document is told with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.protocol import ProtocolDocumentError, parse_protocol
from shared.protocol.document import DEFAULT_DOCUMENT
from shared.protocol.faults import Key
from shared.protocol.lines import lines_of, written

TEXT = DEFAULT_DOCUMENT.read_text(encoding="utf-8")
ANOTHER = Path(__file__).with_name("three-arms-2.1.toml").read_text(encoding="utf-8")

EVERY_FORM = """\
# a comment with [brackets] = "and quotes
plain = 1
dotted.key = 1.5
"quoted # key" = "a # b ] }"
literal = 'C:\\'
day = 1979-05-27 07:32:00
many = '''
it's = [
''' # two lines further
after = \"""a \\\""" b ""\"""
array = [ # a comment
  1, [2,

  3],
  { a = 1, b = { c = [4] } },
]

[table]
x = true
[table.deep.er]
y = 1
[[rows]]
z = 1
[rows.part]
w = 1
[[rows]]
[[rows.inner]]
v = 1
[[rows.inner]]
v = 2
"""


def test_every_form_of_toml_is_found_on_its_line() -> None:
    lines = lines_of(EVERY_FORM)

    assert lines == {
        ("plain",): 2,
        ("dotted",): 3,
        ("dotted", "key"): 3,
        ("quoted # key",): 4,
        ("literal",): 5,
        ("day",): 6,
        ("many",): 7,
        ("after",): 10,
        ("array",): 11,
        ("array", 0): 12,
        ("array", 1): 12,
        ("array", 1, 0): 12,
        ("array", 1, 1): 14,
        ("array", 2): 15,
        ("array", 2, "a"): 15,
        ("array", 2, "b"): 15,
        ("array", 2, "b", "c"): 15,
        ("array", 2, "b", "c", 0): 15,
        ("table",): 18,
        ("table", "x"): 19,
        ("table", "deep"): 20,
        ("table", "deep", "er"): 20,
        ("table", "deep", "er", "y"): 21,
        ("rows",): 22,
        ("rows", 0): 22,
        ("rows", 0, "z"): 23,
        ("rows", 0, "part"): 24,
        ("rows", 0, "part", "w"): 25,
        ("rows", 1): 26,
        ("rows", 1, "inner"): 27,
        ("rows", 1, "inner", 0): 27,
        ("rows", 1, "inner", 0, "v"): 28,
        ("rows", 1, "inner", 1): 29,
        ("rows", 1, "inner", 1, "v"): 30,
    }


def keys_of(value: Any, at: Key = ()) -> Iterator[Key]:
    if at:
        yield at
    match value:
        case dict():
            for name, each in value.items():
                yield from keys_of(each, (*at, name))
        case list():
            for place, each in enumerate(value):
                yield from keys_of(each, (*at, place))


@pytest.mark.parametrize("text", [EVERY_FORM, TEXT, ANOTHER], ids=["every form", "the trial's", "another's"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_exactly_what_tomllib_reads_has_a_line(text: str, ending: str) -> None:
    assert set(lines_of(text.replace("\n", ending))) == set(keys_of(tomllib.loads(text)))


def test_what_is_absent_stands_where_it_should_have_been() -> None:
    lines = lines_of(EVERY_FORM)

    assert written(lines, ("rows", 1, "part", "w")) == ("rows", 1)
    assert written(lines, ("absent",)) == ()


VALUE = re.compile(r'(?<![\w"])(\w+) = (?=("[^"]*"|\[.*\]|\{[^}]*\}|[^\s,{}\[\]]+))')
WRONG = "{ wrong = 1 }"
"""What no key of the document may hold: it is a table, and every table of the document names its keys."""


def exchanges(text: str) -> Iterator[tuple[int, str, str]]:
    """The text with the value of one key exchanged for a wrong one: the line, the key, and the text; for every key."""
    start = 0
    for line in text.splitlines(keepends=True):
        code = line.partition("#")[0]
        number = text.count("\n", 0, start) + 1
        for found in VALUE.finditer(code):
            value = slice(start + found.start(2), start + found.end(2))
            yield number, found[1], text[: value.start] + WRONG + text[value.stop :]
        if many := re.match(r"(\w+) = \[\s*$", code):
            end = text.index("\n]", start) + 2
            height = text.count("\n", start, end)
            yield number, many[1], text[:start] + f"{many[1]} = {WRONG}" + "\n" * height + text[end:]
        start += len(line)


@pytest.mark.parametrize("text", [TEXT, ANOTHER], ids=["the trial's", "another's"])
def test_a_wrong_value_of_any_key_is_told_on_exactly_its_line(text: str) -> None:
    keys = {key[-1] for key in keys_of(tomllib.loads(text)) if isinstance(key[-1], str)}
    tables = {name for header in re.findall(r"^\[+([\w.]+)\]+", text, re.MULTILINE) for name in header.split(".")}
    tried = set()
    for number, key, changed in exchanges(text):
        with pytest.raises(ProtocolDocumentError) as refused:
            parse_protocol(changed)
        assert {fault.line for fault in refused.value.faults} == {number}, (number, key, str(refused.value))
        assert all(key in fault.key.split(".") for fault in refused.value.faults)
        tried.add(key)
    assert keys - tables <= tried <= keys


def test_every_fault_is_told_each_on_a_line_of_its_own_in_the_documents_order() -> None:
    changed = TEXT.replace("planned_subjects = 30", "planned_subjects = 0")
    changed = changed.replace("doses_per_day = 2", 'colour = "red"')
    changed = changed.replace("at_most = 80", 'at_most = "eighty"')
    number = {line.split(" ")[0]: place for place, line in enumerate(changed.splitlines(), start=1)}
    age = changed.splitlines().index('at_most = "eighty"') + 1

    with pytest.raises(ProtocolDocumentError) as refused:
        parse_protocol(changed, name="changed.toml")

    told = str(refused.value).splitlines()
    assert [line.rpartition(": ")[0] for line in told] == [
        f"changed.toml:{number['planned_subjects']}: planned_subjects",
        f"changed.toml:{age}: eligibility.criteria.1.at_most",
        f"changed.toml:{number['[csa]']}: csa.doses_per_day",
        f"changed.toml:{number['colour']}: csa.colour",
    ]


@pytest.mark.parametrize(
    ("written_", "instead", "line", "message"),
    [
        ('code = "CSA"', 'code = "MSC"', 'code = "MSC"', "arms.1.code: the code MSC stands twice"),
        ("block_sizes = [4, 6]", "block_sizes = [4, 5]", "block_sizes = [4, 5]", "multiple of the ratios' sum"),
        ('item = "E12"', 'item = "E13"', '  { timepoint = "M12"', "no item E13 in the schedule"),
        ('item = "INF2"', 'item = "INF3"', 'item = "INF3"', "no item INF3"),
        ("at = [98]", "at = [98, 7]", "at = [98, 7]", "must rise"),
        ('origin = "each-infusion"\nunit = "h', 'unit = "h', 'unit = "hours"', "origin must be each-infusion"),
    ],
)
def test_a_rule_between_parts_is_told_on_the_line_that_breaks_it(
    written_: str, instead: str, line: str, message: str
) -> None:
    assert written_ in TEXT
    changed = TEXT.replace(written_, instead, 1)

    with pytest.raises(ProtocolDocumentError, match=message) as refused:
        parse_protocol(changed)

    rows = changed.splitlines()
    assert any(rows[fault.line - 1].startswith(line) for fault in refused.value.faults)


def test_rules_that_are_broken_together_are_told_together() -> None:
    changed = TEXT.replace('item = "E12"', 'item = "E13"').replace("block_sizes = [4, 6]", "block_sizes = [5, 7]")

    with pytest.raises(ProtocolDocumentError) as refused:
        parse_protocol(changed)

    assert [fault.key for fault in refused.value.faults] == [
        "allocation.block_sizes.0",
        "allocation.block_sizes.1",
        "response.evaluations.2.item",
    ]
