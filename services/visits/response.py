"""How a subject has responded at a timepoint, by the rule set that the protocol names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from services.visits import iwg_2006, iwg_2018, remission
from services.visits.events import OverallResponse
from services.visits.evidence import Count, CriterionResult, Evidence, Finding, Horizon, Status, Transfusion
from shared.protocol import Protocol, Response


@dataclass(frozen=True, slots=True)
class Assessment:
    """The answer of a rule set at a timepoint.

    `response` is PD when anything shows progression; else the best remission that is confirmed; else HI when a lineage
    is; else NE when no lineage can be evaluated; else SD.
    """

    rule_set: str
    timepoint: str
    lineages: dict[str, CriterionResult]
    remissions: dict[str, CriterionResult]
    findings: tuple[Finding, ...]
    response: OverallResponse

    @property
    def statuses(self) -> dict[str, Status]:
        """The status of each lineage."""
        return {code: result.status for code, result in self.lineages.items()}

    def overridden(self, statuses: Mapping[str, Status]) -> Assessment:
        """The same, where an investigator says something else of some lineages: what shows progression shows it still.

        The grounds stay those of the rule set.
        """
        lineages = self.lineages | {
            code: replace(self.lineages[code], status=status) for code, status in statuses.items()
        }
        return replace(self, lineages=lineages, response=_overall(lineages, self.remissions, self.findings))

    @property
    def criteria(self) -> dict[str, CriterionResult]:
        """The result of every criterion: of the lineages and of the remissions."""
        return self.lineages | self.remissions

    @property
    def progression(self) -> bool:
        """Whether anything shows progression or relapse."""
        return bool(self.findings)

    @property
    def inputs(self) -> tuple[int, ...]:
        """The positions of the log that the answer rests on, in order, each once."""
        of_criteria = (result.positions for result in self.criteria.values())
        of_findings = (finding.positions for finding in self.findings)
        return tuple(sorted({position for positions in (*of_criteria, *of_findings) for position in positions}))


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
    known_to_day = (as_of - day_0).days
    horizon = _horizon(protocol, protocol.response.evaluation(timepoint).item, known_to_day)
    evidence = Evidence(protocol.response, horizon, day_0, counts, transfusions)
    planned = (_horizon(protocol, each.item, known_to_day) for each in protocol.response.evaluations)
    earlier = [evidence.at(each) for each in planned if each.nominal_day < horizon.nominal_day]
    rules = protocol.response.iwg_2006
    lineages, remissions = _lineages(protocol.response, evidence), remission.remissions(rules, evidence)
    progression = iwg_2006.progression(rules, evidence, earlier)
    findings = (*progression, *remission.relapse(rules, evidence, earlier))
    response = _overall(lineages, remissions, findings)
    return Assessment(protocol.response.rule_set, timepoint, lineages, remissions, findings, response)


def _horizon(protocol: Protocol, item: str, known_to_day: int) -> Horizon:
    days = protocol.schedule.days_of(item)
    return Horizon(days.nominal, days.opens, days.closes, known_to_day)


def _lineages(response: Response, evidence: Evidence) -> dict[str, CriterionResult]:
    """HI of each lineage. IWG 2018 has its own HI-E; the rest is shared."""
    if response.rule_set == "IWG-2018" and response.iwg_2018 is not None:
        erythroid = iwg_2018.erythroid(response.iwg_2018, evidence)
        return {"HI-E": erythroid} | iwg_2006.platelets_and_neutrophils(response.iwg_2006, evidence)
    return iwg_2006.lineages(response.iwg_2006, evidence)


REMISSIONS: Mapping[str, OverallResponse] = {"CR": "CR", "PR": "PR", "mCR": "mCR"}
"""From the best to the least."""


def _overall(
    lineages: Mapping[str, CriterionResult],
    remissions: Mapping[str, CriterionResult],
    findings: tuple[Finding, ...],
) -> OverallResponse:
    if findings:
        return "PD"
    for code, response in REMISSIONS.items():
        if remissions[code].status == "confirmed":
            return response
    statuses = {lineage.status for lineage in lineages.values()}
    if "confirmed" in statuses:
        return "HI"
    if statuses == {"not-evaluable"}:
        return "NE"
    return "SD"
