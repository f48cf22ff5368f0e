"""Batches and files: which messages a body holds. Samples of python-hl7 (tests/samples.py), well and badly formed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs.charset import decode
from services.labs.er7 import parse
from services.labs.hl7_errors import MESSAGES_MAX, ErrorCode, Hl7Error, TooLargeError
from services.labs.transmission import Miscount, split
from tests.corpus import CORPUS, needs_corpus

MSH = "MSH|^~\\&|LIS|LAB|MARROW|01|20261004101500||ORU^R01|{}|P|2.5\rPID|1\r"
BHS = "BHS|^~\\&|LIS|LAB|MARROW|01|20261004101500||||B7\r"
FHS = "FHS|^~\\&|LIS|LAB|MARROW|01|20261004101500||||F3\r"


def control_ids(text: str) -> list[str]:
    return [parse(message).first("MSH")[10].value for message in split(text).messages]


def test_a_message_alone_is_no_batch() -> None:
    transmission = split(MSH.format(1))
    assert not transmission.is_batch
    assert transmission.miscounts == ()


def test_messages_in_a_row_are_answered_as_a_batch() -> None:
    text = MSH.format(1) + MSH.format(2)
    assert control_ids(text) == ["1", "2"]
    assert split(text).is_batch


def test_a_batch_keeps_its_header_and_its_messages_in_order() -> None:
    transmission = split(BHS + MSH.format(1) + MSH.format(2) + "BTS|2\r")
    assert transmission.batch_header is not None
    assert transmission.batch_header[11].value == "B7"
    assert len(transmission.messages) == 2


def test_a_file_of_two_batches_holds_the_messages_of_both() -> None:
    batch = BHS + MSH.format(1) + "BTS|1\r"
    transmission = split(FHS + batch + batch + "FTS|2\r")
    assert transmission.file_header is not None
    assert len(transmission.messages) == 2
    assert transmission.miscounts == ()


def test_several_mllp_frames_hold_several_messages() -> None:
    assert control_ids(f"\x0b{MSH.format(1)}\x1c\r\x0b{MSH.format(2)}\x1c\r") == ["1", "2"]


def test_a_trailer_that_counts_lost_messages_is_noted_and_what_arrived_is_read() -> None:
    transmission = split(BHS + MSH.format(1) + "BTS|2\r")
    assert len(transmission.messages) == 1
    assert transmission.miscounts == (Miscount("BTS", 2, 1),)


def test_a_message_alone_under_a_trailer_that_counts_more_is_answered_by_a_batch() -> None:
    assert split(MSH.format(1) + "BTS|2\r").is_batch
    assert not split(MSH.format(1) + "BTS|1\r").is_batch


def test_a_count_beyond_any_batch_is_no_number() -> None:
    assert split(BHS + MSH.format(1) + f"BTS|{'9' * 5000}\r").miscounts == (Miscount("BTS", None, 1),)


def test_more_messages_than_the_limit_are_too_large() -> None:
    with pytest.raises(TooLargeError):
        split(MSH.format(1) * (MESSAGES_MAX + 1))


@pytest.mark.parametrize(
    "text",
    ["", "PID|1\r", BHS, BHS + "BTS|0\r", BHS + "PID|1\r", BHS + BHS + MSH, MSH + FHS, BHS + FHS + MSH,
     MSH.format(1) + "BTS|1\rPID|1\r"],
)  # fmt: skip
def test_segments_outside_messages_and_headers_out_of_place_are_condition_100(text: str) -> None:
    with pytest.raises(Hl7Error) as refusal:
        split(text)
    assert refusal.value.code is ErrorCode.SEGMENT_SEQUENCE_ERROR


@given(st.lists(st.sampled_from([MSH, BHS, FHS, "BTS|1\r", "FTS|1\r", "PID|1\r", "\x0b", "\x1c\r", "\n"])))
def test_no_sequence_of_segments_raises_anything_but_a_refusal(parts: list[str]) -> None:
    try:
        transmission = split("".join(parts))
    except Hl7Error:
        return
    assert len(transmission.messages) == parts.count(MSH)


@needs_corpus
@pytest.mark.parametrize(
    ("name", "messages"),
    [("sample_batch", 1), ("sample_batch1", 2), ("sample_batch2", 2), ("sample_batch3", 1), ("sample_batch4", 1),
     ("sample_file", 1), ("sample_file1", 3), ("sample_file2", 2), ("sample_file3", 1), ("sample_file4", 1),
     ("sample_file5", 1), ("sample_file6", 1)],
)  # fmt: skip
def test_the_batches_and_files_of_python_hl7_are_read(name: str, messages: int) -> None:
    body = (CORPUS / "hl7v2" / "python-hl7" / f"{name}.hl7").read_bytes()
    assert len(split(decode(body)).messages) == messages


@needs_corpus
@pytest.mark.parametrize(
    "name", ["sample_bad_batch", "sample_bad_batch1", "sample_bad_file", "sample_bad_file1", "sample_bad_file2"]
)
def test_the_malformed_ones_of_python_hl7_are_refused(name: str) -> None:
    body = (CORPUS / "hl7v2" / "python-hl7" / f"{name}.hl7").read_bytes()
    with pytest.raises(Hl7Error):
        split(decode(body))
