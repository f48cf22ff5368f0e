"""What a measurement may be: the code reads exactly the range that the OpenAPI document describes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.visits.commands import (
    CellsPerMl,
    EndotoxinEuPerKg,
    HaemoglobinGPerL,
    MgPerKgPerDay,
    ViabilityPct,
    VolumeMl,
    WeightKg,
)

RANGES = {
    "WeightKg": (WeightKg, "10", "400"),
    "VolumeMl": (VolumeMl, "1", "1000"),
    "CellsPerMl": (CellsPerMl, "1", "10000000000"),
    "ViabilityPct": (ViabilityPct, "1", "100"),
    "EndotoxinEuPerKg": (EndotoxinEuPerKg, "0", "1000"),
    "MgPerKgPerDay": (MgPerKgPerDay, "0", "50"),
    "HaemoglobinGPerL": (HaemoglobinGPerL, "20", "250"),
}
each_measurement = pytest.mark.parametrize("name", RANGES)


class Described:
    """A measurement as its schema describes it, and as it is read."""

    def __init__(self, name: str) -> None:
        annotated, low, high = RANGES[name]
        self.reader: TypeAdapter[Decimal] = TypeAdapter(annotated)
        self.low, self.high = Decimal(low), Decimal(high)
        *self.numbers, text = self.reader.json_schema()["anyOf"]
        self.pattern: str = text["pattern"]

    def describes(self, value: str | float) -> bool:
        if isinstance(value, str):
            return re.search(self.pattern, value) is not None
        return any(each["minimum"] <= value <= each["maximum"] for each in self.numbers)

    def reads(self, value: Any) -> bool:
        try:
            return self.reader.validate_python(value) == Decimal(str(value))
        except ValidationError:
            return False


@each_measurement
def test_both_ends_of_the_range_are_read_and_described(name: str) -> None:
    measurement = Described(name)
    ends = (measurement.low, measurement.high)
    for end in ends:
        assert measurement.reads(format(end, "f"))
        assert measurement.describes(format(end, "f"))
        assert measurement.reads(float(end))
        assert measurement.describes(float(end))


@each_measurement
def test_what_is_beyond_an_end_is_neither_read_nor_described(name: str) -> None:
    measurement = Described(name)
    step = Decimal("0.000000000001")
    for value in (measurement.low - step, measurement.high + step):
        text = format(value, "f")
        assert not measurement.reads(text), text
        assert not measurement.describes(text), text


@each_measurement
@settings(max_examples=60)
@given(data=st.data())
def test_every_string_that_is_described_is_read(name: str, data: st.DataObject) -> None:
    measurement = Described(name)
    text = data.draw(st.from_regex(re.compile(measurement.pattern, re.ASCII), fullmatch=True))
    assert measurement.reads(text)


@each_measurement
@settings(max_examples=60)
@given(data=st.data())
def test_every_value_of_the_range_is_described_as_it_is_written(name: str, data: st.DataObject) -> None:
    measurement = Described(name)
    places = data.draw(st.integers(0, 12))
    value = data.draw(st.decimals(measurement.low, measurement.high, places=places))
    text = format(value, "f")
    assert measurement.reads(text) is measurement.describes(text)
    assert measurement.reads(text) or value < measurement.low
