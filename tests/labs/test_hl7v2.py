"""What an HL7 v2 message says to the trial, and that nothing in it that names a person leaves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.labs.er7 import parse
from services.labs.hl7_errors import ErrorCode, Hl7Error, TooLargeError
from services.labs.hl7_report import Identifier
from services.labs.hl7v2 import error_of, read_message, trial_subject
from services.labs.normalization import Aliases
from tests.labs.examples import OBX_HCT, OBX_HGB, OBX_LOCAL, OBX_NO_UNIT, OBX_PLT, SETTING, S, oru

NOTE = "TX|8251-1^Comment^LN||Mrs Doe was fasting||||||F"


def test_a_blood_count_is_read_in_the_trials_terms() -> None:
    command = read_message(oru(OBX_HGB, OBX_PLT), SETTING)
    assert [(result.code, str(result.value), result.flag) for result in command.results] == [
        ("HGB", "86", "L"),
        ("PLT", "62", "L"),
    ]
    assert (command.subject, command.site, command.message_id, command.grounds) == (S, "01", "42", ())
    assert command.reported_at == datetime(2025, 12, 31, 3, 0, tzinfo=UTC)
    assert command.occurred_at == datetime(2025, 12, 31, 0, 0, tzinfo=UTC)


def test_other_tests_are_counted_as_unread_and_not_quarantined() -> None:
    with_haematocrit, without = read_message(oru(OBX_HGB, OBX_HCT), SETTING), read_message(oru(OBX_HGB), SETTING)
    assert with_haematocrit.grounds == ()
    assert with_haematocrit.unread == without.unread + 1


def test_a_ground_says_where_and_what_a_mapping_would_name() -> None:
    command = read_message(oru(OBX_HGB, OBX_LOCAL, OBX_NO_UNIT), SETTING)
    analyte, unit = command.grounds
    assert (analyte.code, analyte.sent_system, analyte.sent_code) == ("unknown-analyte", "99LAB", "HB1")
    assert (unit.code, unit.sent_code, unit.sent_unit) == ("missing-unit", "6690-2", None)
    assert [str(error_of(ground).location) for ground in command.grounds] == ["OBX[2]-3", "OBX[3]-6"]
    assert error_of(analyte).code is ErrorCode.TABLE_VALUE_NOT_FOUND
    assert command.quarantined == (2, 3)


@pytest.mark.parametrize(
    ("sent", "dated", "place"),
    [
        ("|20251231110000|", "|20990101|", "OBR[1]-22"),
        ("|20251231110000|", "||", "MSH[1]-7"),  # then the message's own time is that of the report
    ],
)
def test_a_report_from_the_future_is_quarantined_whole(sent: str, dated: str, place: str) -> None:
    text = oru(OBX_HGB, OBX_PLT).replace(sent, dated)
    if place.startswith("MSH"):
        text = text.replace("20251231120000+0800", "20990101")
    command = read_message(text, SETTING)
    # Were it recorded, every later correction of it would be taken for an older report.
    assert (command.subject, command.results, command.quarantined) == (S, (), None)
    assert [(ground.code, str(error_of(ground).location)) for ground in command.grounds] == [
        ("reported-in-the-future", place)
    ]


def test_nothing_that_names_a_person_is_in_the_command() -> None:
    command = read_message(oru(OBX_HGB, OBX_LOCAL, NOTE), SETTING)
    said = repr(command)
    assert not [word for word in ("Doe", "Jane", "19610615", "MRN77", "Long Street", "fasting", "F1^") if word in said]


def test_a_code_or_a_unit_that_could_say_more_is_known_by_its_place() -> None:
    command = read_message(oru("NM|DOE^Jane^Mrs Doe||8.6|mg of Doe|||||F", "NM||Hb|8.6|g/dL|||||F"), SETTING)
    assert [(ground.sent_system, ground.sent_code, ground.sent_unit) for ground in command.grounds] == [
        (None, "OBX[1]-3", "OBX[1]-6"),
        (None, "OBX[2]-3", "g/dL"),
    ]
    assert "doe" not in repr(command).casefold()


def test_a_result_without_a_value_keeps_its_unit_only_where_it_is_one() -> None:
    cancelled = "NM|718-7^Hemoglobin^LN|||{}|||||X|||20251231080000"
    [known] = read_message(oru(cancelled.format("g/dL")), SETTING).results
    [text] = read_message(oru(cancelled.format("Jane")), SETTING).results
    assert (known.as_sent.unit, text.as_sent.unit) == ("g/dL", "")


def test_the_code_as_sent_is_the_one_that_names_the_analyte() -> None:
    [result] = read_message(oru(OBX_HGB.replace("718-7^Hemoglobin^LN", "XQ7^Hb^99LAB^718-7^Hb^LN")), SETTING).results
    assert result.as_sent.code == "718-7"


def test_a_free_text_under_a_code_of_the_trial_is_quarantined_and_stays_in_the_message() -> None:
    command = read_message(oru("TX|718-7^Hemoglobin^LN||Mrs Doe was fasting||||||F"), SETTING)
    assert [ground.code for ground in command.grounds] == ["not-a-number"]
    assert "Doe" not in repr(command)


def test_a_structured_numeric_keeps_the_part_that_is_read() -> None:
    [result] = read_message(oru("SN|777-3^Platelets^LN||<^5^^^Doe|10*9/L|||||F|||20251231080000"), SETTING).results
    assert (result.value, result.comparator, result.as_sent.value) == (Decimal(5), "<", "<5")


def test_several_values_are_no_single_number() -> None:
    command = read_message(oru("NM|718-7^Hemoglobin^LN||86~87|g/L|||||F|||20251231080000"), SETTING)
    assert [ground.code for ground in command.grounds] == ["not-a-number"]


def test_the_time_of_collection_is_obx_14_or_else_obr_7() -> None:
    [result] = read_message(oru("NM|718-7^Hemoglobin^LN||86|g/L|||||F"), SETTING).results
    assert result.collected_at == datetime(2025, 12, 31, 0, 0, tzinfo=UTC)


def test_the_status_is_obx_11_or_else_obr_25() -> None:
    [result] = read_message(oru("NM|718-7^Hemoglobin^LN||86|g/L"), SETTING).results
    assert result.status == "F"


@pytest.mark.parametrize(
    ("identifiers", "subject"),
    [
        ([Identifier("01-001", "MARROW")], S),
        ([Identifier("01-001", "", "MARROW")], S),
        ([Identifier("4711", "HOSP"), Identifier("01-001", "MARROW")], S),
        ([Identifier("01-001", "MARROW"), Identifier("01-001", "MARROW")], S),
        ([Identifier("01-001", "HOSP")], None),
        ([Identifier("01-001", "MARROW"), Identifier("01-002", "MARROW")], None),
        ([Identifier("4711", "MARROW")], None),
        ([Identifier("02-001", "MARROW")], None),
        ([], None),
    ],
)
def test_the_subject_is_the_one_that_the_trials_authority_names(
    identifiers: list[Identifier], subject: str | None
) -> None:
    assert trial_subject(identifiers, SETTING) == subject


def test_a_message_whose_body_cannot_be_read_is_quarantined_as_a_whole() -> None:
    text = "\r".join(line for line in oru().split("\r") if not line.startswith("PID"))
    command = read_message(text, SETTING)
    assert (command.subject, command.results, command.quarantined) == (None, (), None)
    [ground] = command.grounds
    assert (ground.code, ground.condition) == ("unreadable-message", ErrorCode.SEGMENT_SEQUENCE_ERROR)


@pytest.mark.parametrize(
    ("old", "new"),
    [("ORU^R01^ORU_R01", "ADT^A01"), ("|42|", "||"), ("MSH|^~\\&|LIS", "MSH|^~\\&|"), ("|42|", f"|{'4' * 101}|")],
)
def test_a_message_that_could_not_be_known_again_is_rejected(old: str, new: str) -> None:
    with pytest.raises(Hl7Error):
        read_message(oru().replace(old, new), SETTING)


def test_a_value_above_the_limit_is_too_large() -> None:
    with pytest.raises(TooLargeError):
        read_message(oru(f"ED|PDF^Report^L||{'A' * 1_100_000}||||||F"), SETTING)


def test_a_message_read_again_with_subject_mapping_and_quarantined_results_says_only_what_was_quarantined() -> None:
    text = oru(OBX_HGB, OBX_LOCAL.replace("HB1", "P1").replace("8.6|g/dL", "62|nl"), subject="7")
    again = read_message(text, SETTING, subject=S, aliases=Aliases({"P1": "PLT"}, {"nl": "10*9/L"}), quarantined=(2,))
    assert [(result.number, result.code, result.value) for result in again.results] == [(2, "PLT", Decimal(62))]
    assert (again.subject, again.unread, again.grounds) == (S, 0, ())


def test_an_order_without_a_number_of_the_laboratory_is_known_by_the_one_of_who_ordered() -> None:
    with_placer = oru(filler="").replace("OBR|1||", "OBR|1|P9|")
    orders = {read_message(text, SETTING).results[0].order for text in (oru(), oru(filler="F2"), with_placer)}
    assert len(orders) == 3


def test_the_same_results_of_another_site_have_other_keys() -> None:
    elsewhere = replace(SETTING, site="02")
    here, there = read_message(oru(), SETTING), read_message(oru(subject="02-001"), elsewhere)
    assert here.message_key != there.message_key
    assert here.results[0].key != there.results[0].key


CLEAN = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=80, deadline=None)
@given(st.lists(CLEAN, min_size=1, max_size=12))
def test_whatever_an_observation_holds_it_is_read_quarantined_or_refused(fields: list[str]) -> None:
    try:
        command = read_message(oru("|".join(fields)), SETTING)
    except Hl7Error:
        return
    for ground in command.grounds:
        assert all(character >= " " for text in (ground.sent_code, ground.sent_unit) for character in text or "")


def test_an_escaped_control_character_reaches_no_event() -> None:
    bell = "\\X07\\"
    text = oru(f"NM|718-7{bell}^Hb^LN^HGB{bell}||8.6|g/dL{bell}|||||F|||20251231080000")
    assert parse(text).first("OBX")[6].value == "g/dL\a"
    command = read_message(text, SETTING)
    assert command.grounds
    assert "\\x07" not in repr(command)
    with pytest.raises(Hl7Error):
        read_message(text.replace("|42|", f"|42{bell}|"), SETTING)
