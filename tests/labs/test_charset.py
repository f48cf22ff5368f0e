"""Character sets: MSH-18, then HTTP, then UTF-8, then the site's default; strict, and never guessed."""

import codecs
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs.charset import decode
from services.labs.hl7_errors import ErrorCode, Hl7Error


def body(character_set: str, text: str, codec: str) -> bytes:
    return f"MSH|^~\\&|LIS|LAB|||20261004||ORU^R01|1|P|2.5||||||{character_set}\rNTE|1||{text}\r".encode(codec)


@pytest.mark.parametrize(
    ("name", "codec", "text"),
    [
        ("UNICODE UTF-8", "utf-8", "µmol/l 张伟"),
        ("UNICODE", "utf-8", "µmol/l"),
        ("8859/1", "latin-1", "Zürich µ"),
        ("8859/5", "iso8859-5", "Кровь"),
        ("8859/15", "iso8859-15", "5 €"),
        ("GB 18030-2000", "gb18030", "血红蛋白"),
        ("BIG-5", "big5", "血紅素"),
        ("KS X 1001", "euc_kr", "혈색소"),
        ("ISO IR87", "iso2022_jp_2", "血色素"),
        ("ISO-8859-1", "latin-1", "Zürich"),
        ("8859/1~UNICODE UTF-8", "latin-1", "Zürich"),
    ],
)
def test_msh_18_names_the_set(name: str, codec: str, text: str) -> None:
    assert text in decode(body(name, text, codec))


def test_msh_18_speaks_before_the_http_charset() -> None:
    assert "é" in decode(body("8859/1", "é", "latin-1"), http_charset="utf-8")


def test_the_http_charset_speaks_where_msh_18_is_empty_or_only_ascii() -> None:
    assert "é" in decode(body("", "é", "latin-1"), http_charset="ISO-8859-1")
    assert "é" in decode(body("ASCII", "é", "latin-1"), http_charset="iso-8859-1")


def test_utf_8_is_read_where_nothing_is_declared() -> None:
    assert "µ" in decode(body("", "µ", "utf-8"), site_default="latin-1")


def test_the_sites_default_is_read_where_nothing_is_declared_and_the_bytes_are_not_utf_8() -> None:
    assert "µ" in decode(body("", "µ", "latin-1"), site_default="8859/1")


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides(codec: str) -> None:
    text = decode(body("8859/1", "µ", codec))
    assert "µ" in text
    assert text.startswith("MSH")


@pytest.mark.parametrize(
    ("message", "http_charset"),
    [
        (body("UNICODE UTF-8", "é", "latin-1"), None),
        (body("", "é", "latin-1"), None),
        (body("ASCII", "é", "latin-1"), None),
        (body("", "é", "latin-1"), "utf-8"),
        (body("GB 18030-2000", "", "latin-1") + b"\xff", None),
        (codecs.BOM_UTF16_LE + b"M", None),
    ],
)
def test_bytes_that_contradict_the_declaration_are_condition_102(message: bytes, http_charset: str | None) -> None:
    with pytest.raises(Hl7Error) as refusal:
        decode(message, http_charset, site_default=None)
    assert refusal.value.code is ErrorCode.DATA_TYPE_ERROR
    assert str(refusal.value.location) == "MSH[1]-18"


def test_a_declaration_is_not_overruled_by_the_sites_default() -> None:
    with pytest.raises(Hl7Error):
        decode(body("UNICODE UTF-8", "é", "latin-1"), site_default="8859/1")


@pytest.mark.parametrize("name", ["KLINGON", "hex", "unicode_escape", "CNS 11643-1992", "idna", "x" * 100])
def test_a_set_that_is_not_known_is_condition_103(name: str) -> None:
    with pytest.raises(Hl7Error) as refusal:
        decode(body(name, "", "utf-8"))
    assert refusal.value.code is ErrorCode.TABLE_VALUE_NOT_FOUND


@given(st.binary(), st.none() | st.text(max_size=12), st.binary(max_size=12).filter(lambda name: b"|" not in name))
def test_no_bytes_raise_anything_but_a_refusal(anything: bytes, http_charset: str | None, name: bytes) -> None:
    for message in (anything, b"MSH|^~\\&" + b"|" * 16 + name + b"\r" + anything, b"MSH" + anything):
        with suppress(Hl7Error):
            assert isinstance(decode(message, http_charset), str)


def test_a_run_of_framing_bytes_is_passed_over_once() -> None:
    assert decode(b"\x0b" * 300_000) == "\x0b" * 300_000
