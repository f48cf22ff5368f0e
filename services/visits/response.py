"""How a subject has responded at a timepoint, by the rule set that the protocol names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from services.visits import iwg_2006
from services.visits.evidence import Count, Evidence, Finding, Horizon, LineageResult, Transfusion
from shared.protocol import Protocol

OverallResponse = Literal["HI", "PD", "SD", "NE"]


@dataclass(frozen=True, slots=True)
class Assessment:
    """The answer of a rule set at a timepoint.

    `response` is PD when anything shows progression, else HI when a lineage is confirmed, else NE when no lineage can
    be evaluated, else SD.
    """

    rule_set: str
    timepoint: str
    lineages: dict[str, LineageResult]
    findings: tuple[Finding, ...]
    response: OverallResponse

    @property
    def progression(self) -> bool:
        """Whether anything shows progression or relapse after improvement."""
        return bool(self.findings)

    @property
    def inputs(self) -> tuple[int, ...]:
        """The positions of the log that the answer rests on, in order, each once."""
        of_lineages = (result.positions for result in self.lineages.values())
        of_findings = (finding.positions for finding in self.findings)
        return tuple(sorted({position for positions in (*of_lineages, *of_findings) for position in positions}))


def assess(
    protocol: Protocol,
    timepoint: str,
    *,
    day_0: date,
    as_of: date,
    counts: Iterable[Count],
    transfusions: Iterable[Transfusion] = (),
) -> Assessment:
    """Assess a subject at a timepoint such as `M3` from what was collected up to `as_of`, in whatever order it arrived.

    Counts after the timepoint confirm an improvement that stood at it; they cannot make one. Raises LookupError when
    the protocol plans no evaluation at the timepoint.
    """
    days = protocol.schedule.days_of(protocol.response.evaluation(timepoint).item)
    horizon = Horizon(days.nominal, days.opens, days.closes, known_to_day=(as_of - day_0).days)
    evidence = Evidence(protocol.response, horizon, day_0, counts, transfusions)
    match protocol.response.rule_set:
        case "IWG-2006":
            rules = protocol.response.iwg_2006
            lineages, findings = iwg_2006.lineages(rules, evidence), iwg_2006.progression(rules, evidence)
    return Assessment(protocol.response.rule_set, timepoint, lineages, findings, _overall(lineages, findings))


def _overall(lineages: dict[str, LineageResult], findings: tuple[Finding, ...]) -> OverallResponse:
    statuses = {lineage.status for lineage in lineages.values()}
    if findings:
        return "PD"
    if "confirmed" in statuses:
        return "HI"
    if statuses == {"not-evaluable"}:
        return "NE"
    return "SD"
