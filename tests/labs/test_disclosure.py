"""Which codes and units of a message are told in clear, and that nothing else leaves it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.labs.disclosure import coding_told, personal_words, unit_told
from services.labs.er7 import parse
from tests.labs.examples import oru

PERSONAL = personal_words(parse(oru().replace("Doe^Jane", "Doe^Jane^Li").replace("PID|1||", "PID|1|\\X4D\\ARIA|")))
PLACE = "OBX[1]-3"


def test_the_words_and_long_numbers_of_the_demographics_are_personal() -> None:
    assert {"doe", "jane", "li", "19610615", "mrn", "long", "street", "tianjin", "maria"} <= PERSONAL
    assert not {"01", "001", "1", "f", "hemoglobin"} & PERSONAL


@pytest.mark.parametrize(
    "coding",
    [("99LAB", "HB1"), ("LN", "58410-2"), ("WinPath", "tt-0003-01"), ("", "PLATELET COUNT"), ("", "CSA trough"),
     ("urn:oid:2.16.840.1.113883.6.1", "718-7"), ("", "3DHISTECH_PREVIEWCAM")],
)  # fmt: skip
def test_a_code_that_is_known_or_has_the_shape_of_one_is_told(coding: tuple[str, str]) -> None:
    assert coding_told(coding, PLACE, PERSONAL) == coding


@pytest.mark.parametrize(
    "code",
    ["", "Hb of Mrs Smith", "DOE", "Li", "HB-JANE", "MRN77", "N19610615", "血红蛋白", "X" * 21, "HGB\a", "Hb,new"],
)
def test_a_code_that_could_say_more_is_known_by_its_place(code: str) -> None:
    assert coding_told(("99LAB", code), PLACE, PERSONAL) == ("", PLACE)


def test_a_coding_system_that_could_say_more_is_left_out() -> None:
    assert coding_told(("Mrs Doe", "HB1"), PLACE, PERSONAL) == ("", "HB1")


@pytest.mark.parametrize("unit", ["", "g/dL", "per cent", "x10^9/L", "× 10⁹/L", "µmol/L", "mL/min/{1.73_m2}", "stone"])
def test_a_unit_that_is_known_or_has_the_shape_of_one_is_told(unit: str) -> None:
    assert unit_told(unit, PLACE, PERSONAL) == unit


@pytest.mark.parametrize("unit", ["of Mrs Smith", "Jane", "mg/DOE", "19610615", "g/dL\a", "g" * 65])
def test_a_unit_that_could_say_more_is_known_by_its_place(unit: str) -> None:
    assert unit_told(unit, PLACE, PERSONAL) == PLACE


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(word for word in PERSONAL if len(word) > 2)), st.text(max_size=8), st.text(max_size=8))
def test_no_text_around_a_personal_word_lets_it_out(word: str, before: str, after: str) -> None:
    text = f"{before}{word}{after}"
    told = (*coding_told((text, text), PLACE, PERSONAL), unit_told(text, PLACE, PERSONAL))
    assert not [each for each in told if word in each.casefold()]
