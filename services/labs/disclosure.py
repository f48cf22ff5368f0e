"""Decides which codes and units of a message may stand in the log in clear, and by what name the others are mapped.

The log is for ever, and senders put texts where the standard has codes. Told in clear is a code or a unit that the
trial's tables know, or that has the shape of one (short, ASCII, no space) and shares no word with the segments (in
FHIR, the resources) that say who the patient is. Any other is known by its place, such as `OBX[2]-3` or
`Observation.code`: it can be read in the sealed message alone, and a release maps it by that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from services.labs import units
from services.labs.er7 import Message
from services.labs.normalization import is_other_test

DEMOGRAPHIC_SEGMENTS = frozenset({"PID", "PD1", "NK1", "MRG", "GT1", "IN1", "IN2"})
"""Who the patient is, by which names and numbers, and who is next of kin, guarantor or insured."""

_SHAPE = re.compile(r"[A-Za-z0-9#%*+./:^_(){}\[\]-]{1,20}")
"""A code is no longer than 20 characters (CE-1, CWE-1); the unit `mL/min/{1.73_m2}` has 16."""

_WORD = re.compile(r"[^\W\d_]{2,}|\d{4,}")
_WHOLE_WORD_MAX = 2
"""A name as short as this counts where it is the whole text: nearly every code has some two letters in a row."""


def personal_words(message: Message) -> frozenset[str]:
    """The words, and the numbers of four and more digits, by which a message says who the patient is."""
    return words_of(
        segment.delimiters.unescape(text)
        for segment in message.segments
        if segment.name in DEMOGRAPHIC_SEGMENTS
        for text in segment.fields
    )


def words_of(told: Iterable[str]) -> frozenset[str]:
    """The words, and the numbers of four and more digits, of texts that say who the patient is."""
    return frozenset(word for text in told for word in _WORD.findall(text.casefold()))


def coding_told(coding: tuple[str, str], place: str, personal: frozenset[str]) -> tuple[str, str]:
    """(system, code) as far as it may be told; the place instead of a code that may not."""
    system, code = coding
    if system not in units.LOINC_SYSTEMS and not _may_be_told(system, personal):
        system = ""
    if code.isprintable() and (units.identify([(system, code)]) or is_other_test([(system, code)])):
        return system, code
    return (system, code) if _may_be_told(code, personal) else ("", place)


def unit_told(unit: str, place: str, personal: frozenset[str]) -> str:
    """The unit if it may be told, else its place; "" where none was sent."""
    known = unit.isprintable() and units.is_known_unit(unit)
    return unit if not unit.strip() or known or _may_be_told(unit, personal) else place


def _may_be_told(text: str, personal: frozenset[str]) -> bool:
    folded = text.casefold()
    return bool(_SHAPE.fullmatch(text)) and not any(
        word == folded or (len(word) > _WHOLE_WORD_MAX and word in folded) for word in personal
    )
