"""Decides in which character set the bytes of an HL7 v2 message are read.

The order: a byte order mark; MSH-18; the charset parameter of the HTTP Content-Type; UTF-8; the site's default. What
is declared is believed and read strictly: bytes that contradict it are refused, never guessed, because a wrong
guess is a wrong record. Only a declaration of ASCII passes on to the next, since many systems send it by default.
"""

from __future__ import annotations

import codecs
import re

from services.labs.hl7_errors import ErrorCode, Hl7Error, Location

_TABLE_0211 = {
    "ASCII": "ascii",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "ISO IR6": "ascii",
    "ISO IR14": "iso2022_jp_2",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE": "utf-8",  # analysers that send this name send UTF-8
    "UNICODE UTF-8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "UNICODE UTF-32": "utf-32",
}
"""HL7 table 0211, alternate character sets, as names of Python codecs. CNS 11643-1992 has none."""

_TEXT_CODECS = {codecs.lookup(name).name for name in _TABLE_0211.values()} | {
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1257", "cp932", "cp949", "cp950",
    "euc_jp", "gb2312", "gbk", "iso2022_jp", "koi8-r", "koi8-u", "shift_jis",
}  # fmt: skip
"""The codecs that are accepted under their usual names too, from HTTP or from senders that do not keep to the table."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_MSH = re.compile(rb"(?:\A|[\r\n\x0b])[\t ]*+MSH([^\r\n])([^\r\n]*)")
_CHARACTER_SET_FIELD = 18


def decode(body: bytes, http_charset: str | None = None, site_default: str | None = None) -> str:
    """The text of a message, batch or file; its first MSH-18 speaks for the whole body.

    `http_charset` is the charset parameter of the Content-Type, `site_default` the configured set of a site whose
    systems declare nothing. Raises Hl7Error: 103 for a set that is not known, 102 for bytes that are not in it.
    """
    for mark, codec in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return _strictly(body, codec)
    declared = _declared(body)
    for name, source in ((declared, "MSH-18"), (http_charset, "the Content-Type")):
        codec = _codec(name, source) if name else "ascii"
        if codec != "ascii":
            return _strictly(body, codec)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return _strictly(body, _codec(site_default, "the site's setting") if site_default else "utf-8")


def _declared(body: bytes) -> str:
    """MSH-18 of the first MSH, its first repetition; read before decoding, so as single bytes."""
    header = _MSH.search(body)
    if header is None:
        return ""
    separator, rest = header.groups()
    fields = rest.split(separator, _CHARACTER_SET_FIELD)  # fields[0] is MSH-2
    field = fields[_CHARACTER_SET_FIELD - 2] if len(fields) > _CHARACTER_SET_FIELD - 2 else b""
    repetition = fields[0][1:2] or b"~"
    return field.split(repetition)[0].decode("latin-1").strip().strip('"')


def _codec(name: str, source: str) -> str:
    known = _TABLE_0211.get(name.upper().strip())
    if known:
        return codecs.lookup(known).name
    try:
        codec = codecs.lookup(name).name if re.fullmatch(r"[A-Za-z0-9 ._:/-]{1,40}", name) else ""
    except LookupError:
        codec = ""
    if codec not in _TEXT_CODECS:
        raise Hl7Error(
            ErrorCode.TABLE_VALUE_NOT_FOUND,
            f"{source} names a character set that is not known",
            Location("MSH", 1, _CHARACTER_SET_FIELD),
        )
    return codec


def _strictly(body: bytes, codec: str) -> str:
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        raise Hl7Error(
            ErrorCode.DATA_TYPE_ERROR,
            f"the bytes are not {codec}: byte {error.start} cannot be read",
            Location("MSH", 1, _CHARACTER_SET_FIELD),
        ) from error
