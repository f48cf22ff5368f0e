"""What a report in FHIR says to the trial: the same as it would in JSON or HL7 v2, and nothing that names a person."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import pytest

from services.labs.fhir_issue import FhirError
from services.labs.fhir_json import write
from services.labs.hl7v2 import read_message
from services.labs.normalization import Aliases
from tests.labs.examples import OBX_HGB, OBX_PLT, SETTING, S, body, oru, report
from tests.labs.fhir_examples import (
    bundle,
    coded,
    exactly,
    header,
    identified,
    observation,
    quantity,
    read,
    subject_of,
)

NORMALISED = (
    "code", "value", "unit", "comparator", "status", "collected_at", "reference_low", "reference_high", "grade", "flag",
    "as_sent",
)  # fmt: skip
"""What of a result does not depend on how it came; its key does, for it holds what the sender calls the order."""


def normalised(command: Any) -> list[str]:
    return [repr({name: asdict(each)[name] for name in NORMALISED}) for each in command.results]


def test_one_count_sent_three_ways_is_one_and_the_same() -> None:
    in_json = report(
        {
            "loinc": "718-7",
            "value": "8.6",
            "unit": "g/dL",
            "status": "F",
            "reference_low": "12",
            "reference_high": "16",
        },
        {
            "loinc": "777-3",
            "value": "62",
            "unit": "10*3/uL",
            "status": "F",
            "reference_low": "150",
            "reference_high": "400",
        },
    )
    in_hl7 = read_message(oru(OBX_HGB, OBX_PLT), SETTING)
    ranges = [
        [{"low": quantity(low, unit), "high": quantity(high, unit)}]
        for low, high, unit in ((12, 16, "g/dL"), (150, 400, "10*3/uL"))
    ]
    in_fhir = read(
        bundle(
            header(),
            observation("718-7", 8.6, "g/dL", referenceRange=ranges[0]),
            observation("777-3", 62, "10*3/uL", referenceRange=ranges[1]),
            kind="message",
        )
    )
    assert normalised(in_json) == normalised(in_hl7) == normalised(in_fhir)
    assert (in_fhir.subject, in_fhir.sender, in_fhir.message_id) == (in_hl7.subject, in_hl7.sender, in_hl7.message_id)
    assert in_fhir.message_key == in_hl7.message_key == report(message_id="42").message_key


def test_the_digits_that_were_sent_are_kept() -> None:
    sent = b'{"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "http://loinc.org",'
    sent += b'"code": "718-7"}]}, "subject": {"reference": "Patient/01-001"}, "effectiveDateTime": "2025-12-31",'
    sent += b'"valueQuantity": {"value": 8.60, "code": "g/dL", "system": "http://unitsofmeasure.org"}}'
    [result] = read(sent).results
    assert (str(result.value), result.as_sent.value) == ("86.0", "8.60")


@pytest.mark.parametrize(
    ("status", "letter"),
    [
        ("registered", "P"),
        ("preliminary", "P"),
        ("final", "F"),
        ("amended", "C"),
        ("corrected", "C"),
        ("entered-in-error", "D"),
    ],
)
def test_each_status_has_its_letter(status: str, letter: str) -> None:
    [result] = read(observation(status=status)).results
    assert result.status == letter


def test_what_could_not_be_obtained_has_no_value_and_says_so() -> None:
    absent = {"dataAbsentReason": coded("error", "http://terminology.hl7.org/CodeSystem/data-absent-reason")}
    for members in ({"status": "cancelled"}, {"status": "final"} | absent):
        [result] = read(observation(valueQuantity=None, **members)).results
        assert (result.status, result.value) == ("X", None)
    with pytest.raises(FhirError, match="dataAbsentReason"):
        read(observation(**absent))


@pytest.mark.parametrize(
    ("sent", "bounds"),
    [
        ([{"low": quantity(12, "g/dL"), "high": quantity(16, "g/dL")}], ("120", "160")),
        ([{"low": {"value": 12, "unit": "g/dl"}, "high": {"value": 16}}], ("120", "160")),
        ([{"low": quantity(120, "g/L"), "high": quantity(16, "g/dL")}], ("None", "160")),
        ([{"text": "12 - 16"}], ("120", "160")),
        ([{"text": "see the report"}], ("None", "None")),
        ([{"low": quantity(12, "g/dL")}, {"low": quantity(13, "g/dL")}], ("None", "None")),
        (
            [
                {"low": quantity(12, "g/dL"), "type": coded("normal")},
                {"low": quantity(7, "g/dL"), "type": coded("treatment")},
            ],
            ("120", "None"),
        ),
    ],
)
def test_the_one_normal_range_bounds_a_result_in_its_unit(sent: list[Any], bounds: tuple[str, str]) -> None:
    [result] = read(observation(referenceRange=sent)).results
    assert (str(result.reference_low), str(result.reference_high)) == bounds


def test_an_unknown_status_tells_of_no_result() -> None:
    [ground] = read(observation(status="unknown")).grounds
    assert (ground.code, ground.expression) == ("unsupported-status", "Observation.status")


@pytest.mark.parametrize(
    ("members", "code", "expression"),
    [
        ({"code": coded("HB1", "urn:lab")}, "unknown-analyte", "Observation.code"),
        ({"code": {"text": "haemoglobin"}}, "unknown-analyte", "Observation.code"),
        ({"valueQuantity": {"value": 8.6}}, "missing-unit", "Observation.value"),
        ({"valueQuantity": quantity(8.6, "[lb_av]")}, "unknown-unit", "Observation.value.code"),
        ({"valueQuantity": quantity(8.6, "g/mL")}, "unknown-unit", "Observation.value.code"),
        ({"valueQuantity": quantity(86, "g/dL")}, "implausible-value", "Observation.value"),
        ({"valueQuantity": quantity(86, "g/L", unit="g/dL")}, "unknown-unit", "Observation.value.code"),
        ({"valueQuantity": None}, "value-missing", "Observation.value"),
        ({"valueQuantity": None, "valueString": "not done"}, "not-a-number", "Observation.value"),
        ({"valueQuantity": None, "valueCodeableConcept": coded("N")}, "not-a-number", "Observation.value"),
        ({"effectiveDateTime": None}, "collection-time-missing", "Observation.effective"),
        ({"effectiveDateTime": "1850"}, "collection-time-missing", "Observation.effective"),
        ({"effectiveDateTime": "2099"}, "collected-in-the-future", "Observation.effective"),
        ({"issued": "2099-01-01T00:00:00Z"}, "reported-in-the-future", "Observation.issued"),
        ({"status": "cancelled"}, "value-of-a-cancelled-result", "Observation.value"),
    ],
)
def test_what_is_not_sure_is_a_ground_with_its_place(members: dict[str, Any], code: str, expression: str) -> None:
    command = read(observation(**members))
    assert command.results == ()
    assert [(ground.code, ground.expression) for ground in command.grounds] == [(code, expression)]


def test_values_come_as_quantities_integers_and_texts() -> None:
    values: list[dict[str, Any]] = [
        {"valueQuantity": quantity(5, "%", comparator="<")},
        {"valueQuantity": {"value": 5, "unit": "percent", "comparator": "<"}},
    ]
    for value in values:
        [result] = read(observation(code=coded("BLAST_BM", "urn:x"), **value)).results
        assert (result.value, result.comparator, result.as_sent.value) == (Decimal(5), "<", "5")
    [ground] = read(observation(valueQuantity=None, valueString="8.6")).grounds
    assert ground.code == "missing-unit"


def test_a_panel_is_no_result_and_its_components_are() -> None:
    components = [
        {"code": coded("718-7"), "valueQuantity": quantity(8.6, "g/dL")},
        {"code": coded("XYZ", "urn:lab"), "valueQuantity": quantity(1, "g/dL")},
        {"code": coded("777-3"), "valueQuantity": quantity(62, "10*9/L")},
    ]
    command = read(observation("58410-2", valueQuantity=None, component=components))
    assert [result.code for result in command.results] == ["HGB", "PLT"]
    assert [ground.expression for ground in command.grounds] == ["Observation.component[1].code"]
    assert command.quarantined == (2,)


def test_a_panel_by_members_reads_the_members() -> None:
    panel = observation("58410-2", valueQuantity=None, hasMember=[{"reference": "urn:uuid:1"}])
    sent = bundle(panel, observation())
    sent["entry"][1]["fullUrl"] = "urn:uuid:1"
    command = read(sent)
    assert ([result.code for result in command.results], command.grounds) == (["HGB"], ())


def test_a_report_lends_its_subject_time_and_number_to_what_it_contains() -> None:
    contained = [observation(id="a", subject=None, effectiveDateTime=None, issued=None)]
    sent = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "identifier": identified("R1"),
        "code": coded("58410-2"),
        "subject": {"reference": f"Patient/{S}"},
        "effectivePeriod": {"start": "2025-12-31T08:00:00+08:00"},
        "contained": contained,
        "result": [{"reference": "#a"}, {"reference": "Observation/elsewhere"}],
    }
    command = read(sent)
    [result] = command.results
    assert (command.subject, result.collected_at.isoformat()) == (S, "2025-12-31T00:00:00+00:00")
    assert command.unread == 1
    withdrawn = read(sent | {"status": "entered-in-error"})
    assert [(each.status, each.key) for each in withdrawn.results] == [("D", result.key)]


def test_the_time_is_that_of_the_specimen_where_the_observation_has_none() -> None:
    specimen = {"resourceType": "Specimen", "collection": {"collectedDateTime": "2025-12-30"}}
    sent = bundle(observation(effectiveDateTime=None, specimen={"reference": "urn:uuid:s"}), specimen)
    sent["entry"][1]["fullUrl"] = "urn:uuid:s"
    [result] = read(sent).results
    assert result.collected_at.isoformat() == "2025-12-29T16:00:00+00:00"  # the day begins in the site's zone


@pytest.mark.parametrize(
    ("subject", "patient", "expected"),
    [
        (subject_of(), None, S),
        ({"reference": f"Patient/{S}"}, None, S),
        ({"reference": "urn:uuid:p"}, {"identifier": [{"system": "urn:marrow:subject", "value": S}]}, S),
        ({"reference": "urn:uuid:p"}, {"identifier": [{"system": "urn:hospital", "value": S}]}, None),
        ({"identifier": {"system": "urn:hospital", "value": S}}, None, None),
        ({"identifier": {"value": S}}, None, None),
        (subject_of("02-001"), None, None),
        (subject_of("4711"), None, None),
        ({"reference": "Patient/4711"}, None, None),
        ({"display": "Jane Doe"}, None, None),
        (None, None, None),
    ],
)
def test_the_subject_is_the_one_that_the_trials_system_names(
    subject: Any, patient: dict[str, Any] | None, expected: str | None
) -> None:
    resources = [observation(subject=subject)]
    resources += [{"resourceType": "Patient"} | patient] if patient else []
    sent = bundle(*resources)
    if patient:
        sent["entry"][1]["fullUrl"] = "urn:uuid:p"
    command = read(sent)
    assert (command.subject, command.subject_expression) == (expected, "Bundle.entry[0].resource.subject")


def test_a_report_of_two_subjects_is_refused_at_the_second() -> None:
    with pytest.raises(FhirError) as refused:
        read(bundle(observation(), observation("777-3", 62, "10*9/L", subject=subject_of("01-002"))))
    [issue] = refused.value.issues
    assert (refused.value.status, issue.code, issue.expression) == (
        422,
        "business-rule",
        "Bundle.entry[1].resource.subject",
    )


def test_a_relative_reference_is_one_of_its_own_server() -> None:
    patients = [
        {"resourceType": "Patient", "identifier": [{"system": "urn:marrow:subject", "value": value}]}
        for value in (S, "01-002")
    ]
    sent = bundle(*patients, observation(subject={"reference": "Patient/1"}), kind="collection")
    for entry, url in zip(sent["entry"], ("a/Patient/1", "b/Patient/1", "b/Observation/1"), strict=True):
        entry["fullUrl"] = f"http://{url}"
    assert read(sent).subject == "01-002"


def test_a_later_word_on_an_identified_observation_is_another_message_about_the_same_result() -> None:
    first = read(observation(identifier=identified("A1")))
    again = read(observation(identifier=identified("A1")))
    changed = read(observation("718-7", 8.7, identifier=identified("A1")))
    corrected = read(observation("718-7", 8.7, identifier=identified("A1"), status="corrected"))
    assert (first.message_key, first.digest) == (again.message_key, again.digest)
    assert first.message_key == changed.message_key
    assert first.digest != changed.digest
    assert first.message_key != corrected.message_key
    assert first.results[0].key == corrected.results[0].key
    assert corrected.reason == "The laboratory reported: corrected."


def test_a_bundle_is_known_again_by_its_identifier_and_else_by_its_content() -> None:
    named = read(bundle(observation(), identifier=identified("B1")[0]))
    other = read(bundle(observation("718-7", 9), identifier=identified("B1")[0]))
    assert (named.message_id, named.message_key) == ("B1", other.message_key)
    unnamed, changed = read(bundle(observation())), read(bundle(observation("718-7", 9)))
    assert unnamed.message_key != changed.message_key


def test_a_mapping_reads_what_was_quarantined_and_no_more() -> None:
    sent = bundle(observation(), observation(code=coded("HB1", "urn:lab"), effectiveDateTime="2025-12-30"))
    [ground] = read(sent).grounds
    assert ground.sent_code == "HB1"
    again = read(sent, aliases=Aliases({"HB1": "HGB"}, {}), quarantined=(2,))
    assert [(each.number, each.code) for each in again.results] == [(2, "HGB")]
    assert again.grounds == ()


def test_nothing_that_names_a_person_is_in_the_command() -> None:
    patient = {
        "resourceType": "Patient",
        "text": {"status": "generated", "div": "<div>Jane Doe</div>"},
        "identifier": [{"system": "urn:marrow:subject", "value": S}, {"system": "urn:hosp", "value": "MRN771234"}],
        "name": [{"family": "Doe", "given": ["Jane"]}],
        "birthDate": "1961-06-15",
        "address": [{"line": ["1 Long Street"]}],
    }
    whose = {"reference": "urn:uuid:p"}
    results = [
        observation(subject={"reference": "urn:uuid:p", "display": "Jane Doe"}, note=[{"text": "Mrs Doe was fasting"}]),
        observation(code=coded("DOE", "urn:jane"), subject=whose),
        observation("777-3", 62, "of Mrs Doe", subject=whose),
        observation("6690-2", subject=whose, valueQuantity=None, valueString="Doe was fasting"),
        observation("751-8", identifier=identified("MRN771234"), subject=whose, valueQuantity=None),
    ]
    sent = bundle(patient, *results)
    sent["entry"][0]["fullUrl"] = "urn:uuid:p"
    said = repr(read(sent)).casefold()
    assert not [word for word in ("doe", "jane", "1961", "mrn771234", "long street", "fasting") if word in said]


def test_the_body_of_the_json_route_is_not_one_of_fhir() -> None:
    with pytest.raises(FhirError) as refused:
        read(body())
    assert refused.value.status == 400


def test_what_is_read_again_from_the_sealed_text_is_what_was_read() -> None:
    sent = bundle(observation("718-7", 8.6), observation("777-3", 62, "10*9/L", note=[{"text": "x" * 50}]))
    assert read(write(exactly(sent))) == read(sent)
