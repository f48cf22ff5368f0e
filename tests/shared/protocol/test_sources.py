"""The trial's own document: a source, or the word that it is a proposal, stands beside every number and choice."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from shared.protocol import load_protocol
from shared.protocol.document import DEFAULT_DOCUMENT

TEXT = DEFAULT_DOCUMENT.read_text(encoding="utf-8")

SOURCE = re.compile(
    r"Register|\(proposal|WHO 2008|iwg.20\d\d|ICH E\d|ISCT 2006|EU CTR|21 CFR|CTCAE|labelling|NCT\d{8}|365\.25 / 12",
    re.IGNORECASE,
)
NAMES = re.compile(
    r"code|fact|id|name|title|study_id|version|prefix|activity|unit|numbered_from|\w*(analyte|component)"
)
"""Keys that name a thing, or say in what an amount is counted, and choose nothing."""

OF_ITS_OWN = {"window", "condition", "on_treatment"}
"""Keys of a row that the source of the row does not cover: what is done is the register's, the windows are ours."""


def without_source(text: str) -> Iterator[str]:
    """Each line that bears a number or a choice and no source: not itself, nor its array, its table, or its row.

    A table's source is beside its header, or is its name (`iwg_2006`); a row's is beside its first key.
    """
    of_table = of_row = of_array = ""
    is_first = False
    for number, line in enumerate(text.splitlines(), start=1):
        code, _, comment = line.partition("#")
        key = re.match(r"\w+(?= =)", code)
        if code.startswith("["):
            of_table, of_row, is_first = line, "", code.startswith("[[")
        elif key is None:
            if re.search(r"\w", code) and not SOURCE.search(of_array + comment):
                yield f"{number}: {line}"
        else:
            of_array = comment
            of_row, is_first = (comment if is_first else of_row), False
            known = of_table + comment + ("" if key[0] in OF_ITS_OWN else of_row)
            opens = code.rstrip().endswith("[")
            if not NAMES.fullmatch(key[0]) and not opens and not SOURCE.search(known):
                yield f"{number}: {line}"
            if opens:
                of_array = known


def test_every_number_and_choice_bears_its_source() -> None:
    assert list(without_source(TEXT)) == []


@pytest.mark.parametrize(
    ("written", "instead", "unsourced"),
    [
        ("# Register: N = 30", "", "planned_subjects = 30"),
        ("# windows touch and never overlap (proposal)", "# windows touch", "window = { before = 3, after = 3 }"),
        ("# IWG 2006: baseline of two counts", "# two", "blood_counts_min = 2"),
        ("# ICH E2A\n", "\n", '"death",'),
    ],
)
def test_a_number_that_bears_no_source_is_found(written: str, instead: str, unsourced: str) -> None:
    assert written in TEXT
    found = list(without_source(TEXT.replace(written, instead, 1)))

    assert found
    assert unsourced in found[0]


def test_vital_signs_are_taken_every_quarter_of_the_first_hour() -> None:
    dose = load_protocol().dose
    assert dose is not None
    assert dose.monitoring.minutes == (15, 30, 45, 60)
