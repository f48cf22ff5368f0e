"""How a message is answered: codes, mirrored headers, errors in both shapes, and batches."""

from datetime import UTC, datetime

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs.ack import Outcome, acknowledge, acknowledge_batch, acknowledgment_code, outcome_of
from services.labs.er7 import header, parse
from services.labs.hl7_errors import ErrorCode, Hl7Error, Location
from services.labs.transmission import split

AT = datetime(2026, 10, 4, 10, 15, 30, tzinfo=UTC)
MSH = "MSH|^~\\&|LIS^1.2^ISO|LAB|MARROW|01|20261004101500||ORU^R01^ORU_R01|42|T|2.5.1|||{}|{}\r"
ORIGINAL = header(MSH.format("", ""))
WRONG_VALUE = Hl7Error(ErrorCode.DATA_TYPE_ERROR, "not a number & no null", Location("OBX", 3, 5, 1, 2))


def answered(text: str, *errors: Hl7Error) -> str:
    return acknowledge(header(text), at=AT, control_id="A1", errors=errors)


def test_an_accepted_message_is_answered_by_aa_with_its_control_id() -> None:
    assert answered(MSH.format("", "")) == (
        "MSH|^~\\&|MARROW|01|LIS^1.2^ISO|LAB|20261004101530+0000||ACK^R01^ACK|A1|T|2.5.1\rMSA|AA|42\r"
    )


def test_an_error_has_location_condition_severity_and_text() -> None:
    assert answered(MSH.format("", ""), WRONG_VALUE).split("\r")[1:3] == [
        "MSA|AE|42|not a number \\T\\ no null",
        "ERR||OBX^3^5^1^2|102^Data type error^HL70357|E||||not a number \\T\\ no null",
    ]


def test_before_version_2_5_errors_repeat_in_the_first_field() -> None:
    text = MSH.format("", "").replace("2.5.1", "2.3")
    missing = Hl7Error(ErrorCode.SEGMENT_SEQUENCE_ERROR, "no PID segment", Location("PID"))
    assert answered(text, WRONG_VALUE, missing).split("\r")[2] == (
        "ERR|OBX^3^5^102&Data type error&HL70357~PID^1^^100&Segment sequence error&HL70357"
    )


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (ErrorCode.UNSUPPORTED_MESSAGE_TYPE, Outcome.REJECTED),
        (ErrorCode.UNSUPPORTED_VERSION_ID, Outcome.REJECTED),
        (ErrorCode.REQUIRED_FIELD_MISSING, Outcome.ERROR),
        (ErrorCode.DUPLICATE_KEY_IDENTIFIER, Outcome.ERROR),
        (ErrorCode.UNKNOWN_KEY_IDENTIFIER, Outcome.ERROR),
    ],
)
def test_a_fault_of_the_header_rejects_and_one_of_the_content_is_an_error(code: ErrorCode, outcome: Outcome) -> None:
    assert outcome_of([Hl7Error(code, "")]) is outcome
    assert outcome_of([]) is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("accept", "application", "accepted", "refused"),
    [
        ("", "", "AA", "AE"),
        ("AL", "", "CA", "CE"),
        ("AL", "NE", "CA", "CE"),
        ("NE", "AL", "AA", "AE"),
        ("AL", "AL", "AA", "AE"),
        ("ER", "NE", "AA", "CE"),
        ("SU", "NE", "CA", "AE"),
        ("AL", "ER", "CA", "AE"),
        ("NE", "NE", "AA", "AE"),
    ],
)
def test_the_mode_follows_msh_15_and_16(accept: str, application: str, accepted: str, refused: str) -> None:
    msh = header(MSH.format(accept, application))
    assert acknowledgment_code(msh, Outcome.ACCEPTED) == accepted
    assert acknowledgment_code(msh, Outcome.ERROR) == refused


def test_the_senders_delimiters_are_used() -> None:
    text = answered("MSH*$!@%*LIS*LAB***20261004**ORU$R01*7*P*2.4\r", Hl7Error(ErrorCode.DATA_TYPE_ERROR, "5*5"))
    assert text.split("\r")[:2] == [
        "MSH*$!@%***LIS*LAB*20261004101530+0000**ACK$R01$ACK*A1*P*2.4", "MSA*AE*7*5@F@5",
    ]  # fmt: skip


def test_a_message_without_a_readable_header_is_rejected() -> None:
    text = acknowledge(None, at=AT, control_id="A1", errors=[WRONG_VALUE])
    assert parse(text).first("MSA")[1].value == "AR"


def test_an_answer_is_the_same_bytes_when_built_again_and_ends_with_cr() -> None:
    first, second = (answered(MSH.format("AL", "NE"), WRONG_VALUE) for _ in range(2))
    assert first == second
    assert first.endswith("\r")


def test_a_batch_is_answered_by_one_batch() -> None:
    batch = "BHS|^~\\&|LIS|LAB|MARROW|01|20261004||||B7\r" + MSH.format("", "") * 2 + "BTS|2\r"
    answers = [answered(text) for text in split(batch).messages]
    text = acknowledge_batch(split(batch), answers, at=AT, control_id="R1")
    lines = text.split("\r")
    assert lines[0] == "BHS|^~\\&|MARROW|01|LIS|LAB|20261004101530+0000||||R1|B7"
    assert lines[-2:] == ["BTS|2", ""]
    assert [message + "" for message in split(text).messages] == answers
    assert split(text).miscounts == ()


def test_a_file_is_answered_by_a_file() -> None:
    sent = split("FHS|^~\\&|LIS|LAB|||||||F3\r" + MSH.format("", "") + "FTS|1\r")
    text = acknowledge_batch(sent, [answered(m) for m in sent.messages], at=AT, control_id="R1")
    assert [line[:3] for line in text.split("\r")] == ["FHS", "BHS", "MSH", "MSA", "BTS", "FTS", ""]
    assert split(text).miscounts == ()


def test_a_trailer_that_counts_otherwise_than_what_arrived_is_told_so_beside_the_answers_of_the_messages() -> None:
    batch = "BHS|^~\\&|LIS|LAB|||||||B7\r" + MSH.format("", "") + "BTS|{}\r"
    for sent, comment in (
        ("1", ""),
        ("01", ""),
        ("", ""),
        ("3", "|BTS-1 counts 3, messages that arrived: 1"),
        ("some", "|BTS-1 gives no number, messages that arrived: 1"),
    ):
        transmission = split(batch.format(sent))
        answers = [answered(message) for message in transmission.messages]
        text = acknowledge_batch(transmission, answers, at=AT, control_id="R1")
        assert text.split("\r")[-2] == f"BTS|1{comment}"
        assert list(split(text).messages) == answers
    file = split("FHS|^~\\&|LIS|LAB|||||||F3\r" + batch.format("2") + "FTS|4\r")
    answer = acknowledge_batch(file, [answered(m) for m in file.messages], at=AT, control_id="R1").split("\r")
    assert answer[-3:-1] == [
        "BTS|1|BTS-1 counts 2, messages that arrived: 1",
        "FTS|1|FTS-1 counts 4, batches that arrived: 1",
    ]


def test_messages_in_a_row_without_a_header_are_answered_by_a_batch_too() -> None:
    sent = split(MSH.format("", "") * 2)
    text = acknowledge_batch(sent, [answered(m) for m in sent.messages], at=AT, control_id="R1")
    assert len(split(text).messages) == 2


def test_python_hl7_reads_the_answer() -> None:
    message = hl7.parse(answered(MSH.format("", ""), WRONG_VALUE))
    assert str(message.segment("MSA")[1]) == "AE"
    assert str(message.segment("MSA")[2]) == "42"


@given(st.text(alphabet=st.characters(exclude_characters="\0"), max_size=60), st.sampled_from(list(ErrorCode)))
def test_no_text_of_an_error_breaks_the_answer(text: str, code: ErrorCode) -> None:
    answer = parse(acknowledge(ORIGINAL, at=AT, control_id="A1", errors=[Hl7Error(code, text)]))
    assert [segment.name for segment in answer.segments] == ["MSH", "MSA", "ERR"]
    assert answer.first("ERR")[8].value == text
