"""What the export of the log shows: that it is whole and signed, and what stands in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.audit.export import EventLine, parse_line
from services.audit.findings import Report
from services.audit.verifier import read_lines, verify
from services.demo.errors import DemoError
from services.randomization.verifier import MismatchError, verify_allocation


@dataclass(frozen=True, slots=True)
class Evidence:
    """A verified export: the verifier's report, how many allocations it recomputed, and the records in order."""

    report: Report
    allocations: int
    records: tuple[dict[str, Any], ...]

    def of(self, event_type: str) -> list[dict[str, Any]]:
        """The records of a type."""
        return [record for record in self.records if record["type"] == event_type]

    @property
    def types(self) -> Counter[str]:
        """How many events there are of each type."""
        return Counter(record["type"] for record in self.records)

    def response_counts(self) -> dict[tuple[str, str, str], int]:
        """Responses by (arm, timepoint, response); of several evaluations at a timepoint, the last counts."""
        arm_of = {each["data"]["subject"]: each["data"]["arm"] for each in self.of("subject-randomized")}
        last = {
            (each["data"]["subject"], each["data"]["timepoint"]): each["data"]["response"]
            for each in self.of("subject-evaluated")
        }
        return Counter((arm_of[subject], timepoint, response) for (subject, timepoint), response in last.items())


def verified(export: Path, vkey: str, checkpoint: str) -> Evidence:
    """Check an export with the log's key, recompute its allocations, and read it. Raises DemoError when it is wrong."""
    with export.open("rb") as file:
        report = verify(read_lines(file), vkey, checkpoint)
    if not report.ok:
        raise DemoError(f"The export does not verify:\n{report.summary()}")
    try:
        with export.open("rb") as file:
            allocations = verify_allocation(file).matching
    except MismatchError as error:
        raise DemoError(f"The allocations cannot be recomputed: {error}") from error
    with export.open("rb") as file:
        lines = [parse_line(line) for line in read_lines(file)]
    return Evidence(
        report, allocations, tuple(json.loads(line.record) for line in lines if isinstance(line, EventLine))
    )


def names_found(export: Path, names: Iterable[str]) -> Sequence[str]:
    """Which of the names stand as a word anywhere in an export, in whatever case."""
    text = export.read_text(encoding="utf-8")
    return [name for name in names if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)]
