"""Later versions of the trial's protocol, as its amendments would write them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from shared.protocol import Protocols, load_protocol, parse_protocol, protocol_text
from shared.protocol.versions import Version

BEGINNING = Protocols.beginning(load_protocol(), protocol_text())

MONTHS = ('prefix = "C"', "window = { before = 7, after = 7 }")
"""The monthly counts, and the window that they have in the first version."""


def amended_text(number: str, *changes: tuple[str, str], months_before: int = 7) -> str:
    """The trial's document as another version, with texts replaced; `months_before` opens the window of the counts."""
    text = protocol_text().replace('version = "1.0"', f'version = "{number}"', 1)
    row, window = MONTHS
    head, rest = text.split(row, 1)
    text = head + row + rest.replace(window, f"window = {{ before = {months_before}, after = 7 }}", 1)
    for before, after in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


HALF_A_YEAR_OF_SYMPTOMS = ("last = 52", "last = 26")
"""Weeks 27 to 52 are not asked for any more."""


def version(
    document: str,
    effective_on: date,
    consent_version: str = "2.0",
    sites: Mapping[str, date] | None = None,
    position: int = 500,
) -> Version:
    """A version as it is known once it is published."""
    protocol = parse_protocol(document)
    return Version(protocol.version, document, protocol, effective_on, sites or {}, consent_version, "", position)
