"""The trial's scalars: what is a measurement, a subject, a site."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shared.protocol import Measurement, Percentage, PositiveMeasurement, SiteId, SubjectId, site_of
from shared.protocol.language import Text


class Reading(BaseModel):
    value: Measurement


class Person(BaseModel):
    subject: SubjectId
    site: SiteId


@pytest.mark.parametrize(
    ("written", "expected"),
    [("8.6", "8.6"), ('"8.60"', "8.60"), ("12", "12"), ('"1.0E+6"', "1.0E+6"), ("-0.5", "-0.5"), ("0", "0")],
)
def test_a_measurement_is_read_exactly_from_a_json_number_or_string(written: str, expected: str) -> None:
    assert str(Reading.model_validate_json(f'{{"value": {written}}}').value) == expected


@pytest.mark.parametrize(
    "written",
    [
        "NaN",
        '"NaN"',
        "Infinity",
        '"-Infinity"',
        "1e400",
        '"1e99"',
        '"1e-99"',
        "true",
        "null",
        '""',
        '" 8.6"',
        '"8,6"',
        '"٨"',
        '"8.6\\u0000"',
        "[8.6]",
        '"' + "1" * 29 + '"',
        '"0e999"',
        "9" * 5000,
    ],
)
def test_what_is_no_finite_bounded_number_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        Reading.model_validate_json(f'{{"value": {written}}}')


def test_a_measurement_is_written_as_a_string_without_an_exponent() -> None:
    assert Reading(value=Decimal("1.0E+6")).model_dump_json() == '{"value":"1000000"}'


@given(st.decimals(min_value=-1000, max_value=1000, places=6, allow_nan=False))
def test_writing_and_reading_a_measurement_keeps_every_digit(value: Decimal) -> None:
    if value and value.adjusted() < -12:
        return
    assert Reading.model_validate_json(Reading(value=value).model_dump_json()).value == value


def test_the_schemas_say_number_or_string_on_the_way_in_and_string_on_the_way_out() -> None:
    read = Reading.model_json_schema(mode="validation")["properties"]["value"]
    written = Reading.model_json_schema(mode="serialization")["properties"]["value"]
    assert {branch["type"] for branch in read["anyOf"]} == {"number", "string"}
    assert written["type"] == "string"


def test_a_positive_measurement_is_above_zero_and_a_percentage_between_0_and_100() -> None:
    class Lot(BaseModel):
        weight_kg: PositiveMeasurement = Decimal(70)
        viability_pct: Percentage = Decimal(90)

    for bad in ({"weight_kg": 0}, {"weight_kg": -1}, {"viability_pct": "100.1"}, {"viability_pct": -1}):
        with pytest.raises(ValidationError):
            Lot.model_validate(bad)


@pytest.mark.parametrize("subject", ["1-001", "01-1", "01-0001", "AB-001", "01-001\n", "", "٠١-٠٠١"])
def test_a_subject_is_a_site_and_three_digits(subject: str) -> None:
    assert Person(subject="01-001", site="01").subject == "01-001"
    with pytest.raises(ValidationError):
        Person(subject=subject, site="01")


def test_a_subject_tells_its_site() -> None:
    assert site_of("01-017") == "01"


class Remark(BaseModel):
    text: Text


@pytest.mark.parametrize("written", ["wish", "Wunsch der Patientin", "患者要求", "x", " indented", "a‍b", "wish…"])
def test_a_text_is_a_line_in_any_script(written: str) -> None:
    assert Remark(text=written).text == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "\u3000",
        "\u200b",
        "a\nb",
        "a\x00",
        "a\x85b",
        "a\u2028b",
        "\u202eevil",
        "safe\u2066evil\u2069",
        "x" * 501,
    ],
)
def test_a_text_is_not_blank_and_does_not_read_otherwise_than_it_is(written: str) -> None:
    with pytest.raises(ValidationError):
        Remark(text=written)
