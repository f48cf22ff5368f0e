"""The ER7 tokenizer: delimiters, line ends, escapes, nulls, limits; and the corpus against python-hl7."""

from pathlib import Path

import hl7
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.labs import er7
from services.labs.charset import decode
from services.labs.er7 import Delimiters, parse
from services.labs.hl7_errors import (
    MESSAGE_BYTES_MAX,
    OBSERVATION_VALUE_BYTES_MAX,
    SEGMENTS_MAX,
    ErrorCode,
    Hl7Error,
    TooLargeError,
)
from services.labs.transmission import split
from tests.corpus import CORPUS, needs_corpus

HEADER = "MSH|^~\\&|LIS|LAB|MARROW|01|20261004101500||ORU^R01|42|P|2.5"
STANDARD = Delimiters.of_header(HEADER)


def message_with(*segments: str, end: str = "\r") -> er7.Message:
    return parse(end.join((HEADER, *segments)) + end)


class TestPartsOfAMessage:
    def test_msh_1_is_the_separator_and_msh_2_the_encoding_characters(self) -> None:
        msh = message_with().first("MSH")
        assert (msh[1].text, msh[2].text, msh[3].value, msh[10].value) == ("|", "^~\\&", "LIS", "42")

    def test_a_field_has_repetitions_components_and_subcomponents(self) -> None:
        pid = message_with("PID|1||01-001^^^MARROW&1.2.3&ISO^PI~999^^^HOSPITAL^MR").first("PID")
        first, second = pid[3].repetitions
        assert (first[1].value, first[4].subcomponents, first[5].value) == (
            "01-001", ("MARROW", "1.2.3", "ISO"), "PI",
        )  # fmt: skip
        assert (second[1].value, second[4].value) == ("999", "HOSPITAL")

    def test_what_was_not_sent_is_empty_at_every_depth(self) -> None:
        pid = message_with("PID|1").first("PID")
        assert pid[30].repetitions == ()
        assert (pid[30].value, pid[30][4].value, pid[30][4].subcomponent(2)) == ("", "", "")

    def test_an_explicit_null_is_not_the_same_as_not_sent(self) -> None:
        obx = message_with('OBX|1|NM|HGB||""||""').first("OBX")
        assert obx[5].is_null
        assert obx[5].value == ""
        assert not obx[6].is_null
        assert message_with('OBX|1|CWE|A||x^""^L').first("OBX")[5][2].value == ""

    def test_segments_of_a_name_are_counted(self) -> None:
        message = message_with("OBX|1", "NTE|1", "OBX|1")
        assert [segment.sequence for segment in message.all("OBX")] == [1, 2]
        assert str(message.all("OBX")[1].location(5)) == "OBX[2]-5"

    def test_a_missing_segment_is_condition_100(self) -> None:
        with pytest.raises(Hl7Error) as refusal:
            message_with().first("PID")
        assert refusal.value.code is ErrorCode.SEGMENT_SEQUENCE_ERROR
        assert str(refusal.value.location) == "PID[1]"


class TestDelimiters:
    @pytest.mark.parametrize(
        ("encoding", "expected"),
        [
            ("^~\\&", ("^", "~", "\\", "&", "")),
            ("^~\\&#", ("^", "~", "\\", "&", "#")),
            ("$!@%", ("$", "!", "@", "%", "")),
            ("^", ("^", "", "", "", "")),
            ("^~\\\\&", ("^", "~", "\\", "&", "")),
        ],
    )
    def test_are_those_that_the_header_declares(self, encoding: str, expected: tuple[str, ...]) -> None:
        d = Delimiters.of_header(f"MSH|{encoding}|LIS")
        assert (d.component, d.repetition, d.escape, d.subcomponent, d.truncation) == expected
        assert d.as_sent == encoding

    def test_custom_delimiters_split_the_message(self) -> None:
        message = parse("MSH*$!@%*LIS\rPID*1**01-001$$$MARROW!2\r")
        assert [r[1].value for r in message.first("PID")[3].repetitions] == ["01-001", "2"]

    @pytest.mark.parametrize("header", ["MSH", "MSH|", "MSHA^~\\&|", "MSH|ABCD|", "MSH|^~\\&#*|", "MSH||LIS"])
    def test_a_header_without_usable_delimiters_is_refused(self, header: str) -> None:
        with pytest.raises(Hl7Error):
            parse(header)

    def test_a_delimiter_that_is_not_used_splits_nothing(self) -> None:
        message = parse("MSH|^|LIS\rOBX|1|TX|A||fish & chips~\\T\\\r")
        assert message.first("OBX")[5].value == "fish & chips~\\T\\"


class TestLineEnds:
    @pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
    def test_any_of_the_three_is_read(self, end: str) -> None:
        assert [s.name for s in message_with("PID|1", "OBR|1", end=end).segments] == ["MSH", "PID", "OBR"]

    def test_a_byte_order_mark_and_blank_lines_are_put_off(self) -> None:
        assert len(parse(f"\ufeff\r\n{HEADER}\r\n\r\n  \r\nPID|1\r\n\r\n").segments) == 2

    def test_mllp_frames_are_put_off(self) -> None:
        assert len(parse(f"\x0b{HEADER}\rPID|1\r\x1c\r").segments) == 2

    def test_a_line_feed_inside_free_text_stays_in_it_where_cr_ends_the_segments(self) -> None:
        message = message_with("OBX|1|TX|A||first line\nsecond line|", "OBX|2")
        assert message.first("OBX")[5].value == "first line\nsecond line"
        assert len(message.all("OBX")) == 2

    def test_a_line_that_is_no_segment_is_refused_where_lf_ends_the_segments(self) -> None:
        with pytest.raises(Hl7Error, match="no segment"):
            message_with("OBX|1|TX|A||first line", "second line", end="\n")


class TestEscapes:
    @pytest.mark.parametrize(
        ("sent", "meant"),
        [
            ("a\\F\\b", "a|b"),
            ("a\\S\\b", "a^b"),
            ("a\\T\\b", "a&b"),
            ("a\\R\\b", "a~b"),
            ("a\\E\\b", "a\\b"),
            ("one\\.br\\two", "one\ntwo"),
            ("\\H\\HIGH\\N\\ again", "HIGH again"),
            ("\\X0D\\", "\r"),
            ("\\XC3A9\\", "é"),
            ("\\E\\F\\E\\", "\\F\\"),
            ("5\\3 x \\F\\", "5\\3 x |"),
            ("\\Zorro\\", "\\Zorro\\"),
            ("\\.sp+2\\", "\\.sp+2\\"),
            ("\\XE9\\", "\\XE9\\"),
            ("\\X00\\", "\\X00\\"),
            ("\\X0\\", "\\X0\\"),
            ("a\\F", "a\\F"),
        ],
    )
    def test_are_resolved_once_and_unknown_ones_stay(self, sent: str, meant: str) -> None:
        assert STANDARD.unescape(sent) == meant

    def test_an_escaped_delimiter_does_not_split(self) -> None:
        obx = message_with("OBX|1|ST|A||1\\S\\2\\R\\3").first("OBX")
        assert [repetition.plain for repetition in obx[5].repetitions] == ["1^2~3"]

    @given(st.text(alphabet=st.characters(exclude_characters="\0")))
    def test_escaping_and_unescaping_is_the_identity(self, text: str) -> None:
        escaped = STANDARD.escape_text(text)
        assert STANDARD.unescape(escaped) == text
        assert not set(escaped) & set("|^~&\r\n")


class TestLimits:
    def test_a_message_above_8_mebibytes_is_too_large(self) -> None:
        with pytest.raises(TooLargeError):
            parse(HEADER + "\rNTE|1||" + "x" * MESSAGE_BYTES_MAX)

    def test_a_value_above_1_mebibyte_is_too_large_and_one_of_it_is_not(self) -> None:
        message_with("OBX|1|ED|A||" + "x" * OBSERVATION_VALUE_BYTES_MAX)
        with pytest.raises(TooLargeError) as refusal:
            message_with("OBX|1|ED|A||" + "é" * (OBSERVATION_VALUE_BYTES_MAX // 2 + 1))
        assert str(refusal.value.location) == "OBX[1]-5"

    def test_a_message_of_too_many_segments_is_too_large(self) -> None:
        with pytest.raises(TooLargeError):
            message_with(*["NTE"] * SEGMENTS_MAX)


@pytest.mark.parametrize(
    "text",
    ["", "\r\n", "PID|1\r", f"{HEADER}\rpid|1\r", f"{HEADER}\rP\r", f"{HEADER}\rPID^1\r", f"{HEADER}\r\0\r",
     f"{HEADER}\r{HEADER}\r", f"{HEADER}\rBTS|1\r", "<xml/>", '{"json": true}'],
)  # fmt: skip
def test_what_is_not_one_message_is_refused(text: str) -> None:
    with pytest.raises(Hl7Error):
        parse(text)


@given(st.text())
@example(f"{HEADER}\rOBX|\\X\\|^~\\&")
@settings(max_examples=100)
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    for candidate in (text, f"{HEADER}\r{text}", f"MSH{text}"):
        try:
            message = parse(candidate)
        except Hl7Error:
            continue
        for segment in message.segments:
            for number in range(1, len(segment.fields) + 1):
                for repetition in segment[number].repetitions:
                    assert [component.subcomponents for component in repetition.components]


def corpus_files() -> list[Path]:
    return sorted((CORPUS / "hl7v2").rglob("*.hl7"))


@needs_corpus
@pytest.mark.parametrize("path", corpus_files(), ids=lambda path: path.name)
def test_every_field_of_the_corpus_is_that_of_python_hl7(path: Path) -> None:
    if "_bad_" in path.name:
        pytest.skip("malformed on purpose: see test_transmission")
    for text in split(decode(path.read_bytes())).messages:
        ours = parse(text)
        theirs = hl7.parse(text)
        assert [segment.name for segment in ours.segments] == [str(segment[0]) for segment in theirs]
        for mine, other in zip(ours.segments, theirs, strict=True):
            assert [mine[n].text for n in range(1, len(mine.fields) + 1)] == [str(f) for f in other[1:]]
