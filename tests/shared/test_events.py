"""Events are read back for ever: today's classes from yesterday's shapes."""

from datetime import UTC, datetime

import orjson
import pytest
from pydantic import ValidationError

from shared.events import EVENT_TYPES, Event, decode, decode_data, upcaster
from shared.eventstore.model import StoredEvent


class WeightMeasured(Event, name="test-weight-measured", version=3, tags=("subject", "ward")):
    """Version 1 held whole kilograms, version 2 grams; since version 3 the ward is known."""

    subject: str
    grams: int
    ward: str | None = None


@upcaster("test-weight-measured", 1)
def kilograms_to_grams(data: dict[str, object]) -> dict[str, object]:
    return {"subject": data["subject"], "grams": int(str(data["kilograms"])) * 1000}


@upcaster("test-weight-measured", 2)
def ward_was_not_recorded(data: dict[str, object]) -> dict[str, object]:
    return data | {"ward": None}


def test_a_record_of_version_1_reads_as_todays_event() -> None:
    event = decode_data("test-weight-measured", 1, {"subject": "01-001", "kilograms": 70})
    assert event == WeightMeasured(subject="01-001", grams=70_000)


def test_a_record_of_todays_version_reads_as_it_is() -> None:
    event = decode_data("test-weight-measured", 3, {"subject": "01-001", "grams": 1, "ward": "B"})
    assert event == WeightMeasured(subject="01-001", grams=1, ward="B")


def test_an_event_bears_the_tags_it_has_values_for() -> None:
    assert WeightMeasured(subject="01-001", grams=1).tags() == ("subject:01-001",)
    assert WeightMeasured(subject="01-001", grams=1, ward="B").tags() == ("subject:01-001", "ward:B")


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        WeightMeasured(subject="01-001", grams=1).grams = 2  # type: ignore[misc]


def test_two_event_classes_cannot_bear_one_name() -> None:
    with pytest.raises(TypeError, match="test-weight-measured"):

        class Another(Event, name="test-weight-measured"):
            pass


def test_two_upcasters_cannot_lift_one_version() -> None:
    with pytest.raises(TypeError, match="version 1"):
        upcaster("test-weight-measured", 1)(lambda data: data)


def test_a_stored_record_reads_back_with_both_its_times_and_its_actor() -> None:
    by = {"id": "c1", "name": "C", "role": "coordinator", "org": "site"}
    document = {
        "type": "test-weight-measured",
        "version": 1,
        "data": {"subject": "01-001", "kilograms": 2},
        "occurred_at": "2026-05-03T10:00:00.000000Z",
        "by": by,
    }
    recorded_at = datetime(2026, 5, 4, tzinfo=UTC)
    stored = StoredEvent(7, "test-weight-measured", (), recorded_at, orjson.dumps(document), b"")
    recorded = decode(stored)
    assert recorded.position == 7
    assert recorded.occurred_at == datetime(2026, 5, 3, 10, tzinfo=UTC)
    assert recorded.recorded_at == recorded_at
    assert recorded.by == by
    assert recorded.event == WeightMeasured(subject="01-001", grams=2000)


def test_an_error_about_a_record_does_not_repeat_what_was_recorded() -> None:
    with pytest.raises(ValidationError) as error:
        decode_data("test-weight-measured", 3, {"subject": "01-001", "grams": "Jane Doe"})
    assert "grams" in str(error.value)
    assert "Jane" not in str(error.value)


def test_every_stored_name_is_kebab_case_and_no_python_path() -> None:
    assert all(name.replace("-", "").isalnum() and name == name.lower() for name in EVENT_TYPES)
