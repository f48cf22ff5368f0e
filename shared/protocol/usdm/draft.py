"""How imported arms and an imported schedule are written in TOML, to be put into a protocol document by a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from shared.protocol.usdm.importing import ImportedSchedule

HEAD = """\
# [[arms]] and [schedule] of a protocol document, read from a USDM document. No source stands beside the values yet.
"""


def as_toml(imported: ImportedSchedule) -> str:
    """The [[arms]] and the [schedule] as TOML; keys that have their default are left out."""
    return "\n".join([HEAD, *_lines(imported)])


def _lines(imported: ImportedSchedule) -> Iterator[str]:
    for arm in imported.arms:
        yield from ("[[arms]]", *_pairs(arm.model_dump(exclude_defaults=True)), "")
    schedule = imported.schedule.model_dump(exclude_defaults=True)
    rows = schedule.pop("activities")
    yield from ("[schedule]", *_pairs(schedule))
    for row in rows:
        yield from ("", "[[schedule.activities]]", *_pairs(row))


def _pairs(values: dict[str, Any]) -> Iterator[str]:
    return (f"{name} = {_written(value)}" for name, value in values.items())


def _written(value: object) -> str:
    """A value as TOML writes it; JSON's strings, numbers and booleans are TOML's too."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return "{ " + ", ".join(_pairs(value)) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_written, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
