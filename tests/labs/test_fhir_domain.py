"""What becomes of a report in FHIR by the rules: as of a message of HL7 v2, and created only where nothing stands."""

from __future__ import annotations

import pytest

from services.labs import domain
from services.labs.commands import RecordLabReport
from services.labs.events import LabMessageQuarantined, LabMessageRefused, LabReportRecorded
from tests.labs.examples import recorded
from tests.labs.fhir_examples import bundle, coded, identified, observation, read
from tests.randomization.examples import screened
from tests.scenario import given

HGB = observation(identifier=identified("A1"))
AMENDED = HGB | {"status": "amended"}


def conditional(command: RecordLabReport, *numbers: int) -> RecordLabReport:
    return command.model_copy(update={"if_none_exist": frozenset(numbers)})


def test_what_can_be_read_is_recorded_and_the_rest_quarantined_with_its_expression() -> None:
    command = read(bundle(observation(), observation(code=coded("HB1", "urn:lab"))))
    report, rest = given(screened()).when(domain.MESSAGE, command).events
    assert report == recorded(command)
    assert isinstance(rest, LabMessageQuarantined)
    assert (rest.source, rest.quarantined) == ("fhir", (2,))
    assert [ground.expression for ground in rest.grounds] == ["Bundle.entry[1].resource.code"]


def test_an_unknown_subject_is_told_by_where_the_resource_names_it() -> None:
    [event] = given().when(domain.MESSAGE, read(HGB)).events
    assert isinstance(event, LabMessageQuarantined)
    [ground] = event.grounds
    assert (ground.code, ground.place, ground.expression) == ("unknown-subject", None, "Observation.subject")


def test_another_content_of_the_same_version_is_refused_and_recorded() -> None:
    first, other = read(HGB), read(HGB | {"note": [{"text": "x"}]})
    [event] = given(screened(), recorded(first)).when(domain.MESSAGE, other).events
    assert isinstance(event, LabMessageRefused)


def test_a_result_that_stands_is_not_created_again() -> None:
    first = recorded(read(HGB))
    with pytest.raises(domain.ResultsStand):
        given(screened(), first).when(domain.MESSAGE, conditional(read(AMENDED), 1))
    [event] = given(screened(), first).when(domain.MESSAGE, read(AMENDED)).events
    assert isinstance(event, LabReportRecorded)
    assert event.results[0].version == 2


def test_what_stands_is_not_read_again_when_the_rest_is_released() -> None:
    command = conditional(read(bundle(AMENDED, observation(code=coded("HB1", "urn:lab")))), 1)
    [event] = given(screened(), recorded(read(HGB))).when(domain.MESSAGE, command).events
    assert isinstance(event, LabMessageQuarantined)
    assert event.quarantined == (2,)


def test_what_does_not_stand_yet_is_created_beside_what_does() -> None:
    command = conditional(read(bundle(AMENDED, observation("777-3", 62, "10*9/L"))), 1, 2)
    [event] = given(screened(), recorded(read(HGB))).when(domain.MESSAGE, command).events
    assert isinstance(event, LabReportRecorded)
    assert [result.code for result in event.results] == ["PLT"]
