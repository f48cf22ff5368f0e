"""Whether blood has improved or the disease progressed by the IWG 2006 criteria (Cheson et al., Blood 2006;108:419).

Haematologic improvement is judged for erythrocytes (HI-E), platelets (HI-P) and neutrophils (HI-N) at a timepoint: it
is confirmed when the run of counts that meets the threshold there lasts 8 weeks, which later counts may show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.visits.evidence import (
    Baseline,
    CriterionResult,
    Evidence,
    Finding,
    has_fallen_pct,
    has_risen_pct,
    positions_of,
    units_of,
)
from shared.protocol import Iwg2006

Rose = Callable[[Decimal, Decimal], bool]
"""Whether a value has risen enough from a baseline: `rose(baseline, value)`."""


def lineages(rules: Iwg2006, evidence: Evidence) -> dict[str, CriterionResult]:
    """The result of each lineage, by its IWG code."""
    return {"HI-E": _erythroid(rules, evidence)} | platelets_and_neutrophils(rules, evidence)


def platelets_and_neutrophils(rules: Iwg2006, evidence: Evidence) -> dict[str, CriterionResult]:
    """HI-P and HI-N, which IWG 2018 left as they were."""
    return {
        "HI-P": _from_counts(evidence, rules.hi_p.analyte, rules.hi_p.baseline_below, _platelets_rose(rules)),
        "HI-N": _from_counts(evidence, rules.hi_n.analyte, rules.hi_n.baseline_below, _neutrophils_rose(rules)),
    }


def _haemoglobin_rose(rules: Iwg2006) -> Rose:
    return lambda baseline, value: value - baseline >= rules.hi_e.rise_min


def _platelets_rose(rules: Iwg2006) -> Rose:
    """From a low start the relative rule; a start of exactly the limit, which the paper leaves open, is none."""
    rule = rules.hi_p

    def rose(baseline: Decimal, value: Decimal) -> bool:
        if baseline < rule.low_start_below:
            return value > rule.low_start_to_above and has_risen_pct(value, baseline, rule.low_start_rise_pct_min)
        return value - baseline >= rule.rise_min

    return rose


def _neutrophils_rose(rules: Iwg2006) -> Rose:
    rule = rules.hi_n
    return lambda baseline, value: (
        has_risen_pct(value, baseline, rule.rise_pct_min) and value - baseline > rule.rise_above
    )


def _from_counts(evidence: Evidence, analyte: str, baseline_below: Decimal, rose: Rose) -> CriterionResult:
    baseline = evidence.baseline(analyte)
    if baseline is None:
        return evidence.why_no_baseline(analyte)
    if baseline.mean >= baseline_below:
        return CriterionResult("not-evaluable", "baseline-not-cytopenic", baseline.positions)
    return judge_rise(evidence, analyte, baseline, rose)


def judge_rise(
    evidence: Evidence, analyte: str, baseline: Baseline, rose: Rose, counts_min: int = 1
) -> CriterionResult:
    """Whether the timepoint's count has risen from a baseline, in a run of enough counts that lasts long enough."""

    def is_met(value: Decimal) -> bool:
        return rose(baseline.mean, value)

    at_timepoint = evidence.at_timepoint(analyte, is_met)
    if at_timepoint is None:
        return evidence.why_no_count(analyte, baseline.positions)
    disregarded = evidence.influenced(analyte, *_days_of_influence(evidence))
    for run in evidence.runs(analyte, is_met):
        if at_timepoint in run:
            positions = (*baseline.positions, *positions_of(run), *disregarded)
            if evidence.is_lasting(run) and len(run) >= counts_min:
                return CriterionResult("confirmed", "rise-lasting", positions)
            beside = positions_of(evidence.beside(run, is_met))
            return CriterionResult("provisional", "rise-not-yet-lasting", (*positions, *beside))
    return CriterionResult("not-met", "rise-too-small", (*baseline.positions, at_timepoint.position, *disregarded))


def _days_of_influence(evidence: Evidence) -> tuple[int, int]:
    """From the first day of the baseline to the last on which a count can confirm an improvement at the timepoint."""
    response = evidence.response
    return response.baseline.earliest_day, evidence.horizon.closes_day + response.confirmation_days


def _erythroid(rules: Iwg2006, evidence: Evidence) -> CriterionResult:
    """HI-E by counts, or by fewer transfusions; the better of the two, since the criterion says "or".

    A baseline that is known and not cytopenic rules out both. Where transfusions left none, the units counted before
    were given for a haemoglobin that shows the cytopenia.
    """
    by_counts = _from_counts(evidence, rules.hi_e.analyte, rules.hi_e.baseline_below, _haemoglobin_rose(rules))
    by_transfusions = _fewer_transfusions(rules, evidence)
    if by_transfusions is None or by_counts.ground == "baseline-not-cytopenic":
        return by_counts
    transfusions_decide = by_counts.status == "not-evaluable" or (
        by_transfusions.status == "confirmed" and by_counts.status != "confirmed"
    )
    chosen = by_transfusions if transfusions_decide else by_counts
    return CriterionResult(chosen.status, chosen.ground, (*by_counts.positions, *by_transfusions.positions))


def _fewer_transfusions(rules: Iwg2006, evidence: Evidence) -> CriterionResult | None:
    """HI-E by red-cell units: the 8 weeks up to the timepoint against the 8 weeks before day 0.

    Units given at a haemoglobin above the limit, or at one that is not known, do not count. None when too few were
    given before for a reduction to be possible, or when less than 8 weeks have passed. The period is itself 8 weeks
    long, so that a reduction needs no further confirmation.
    """
    rule = rules.hi_e
    component, period, limit = (
        rule.transfusion_component,
        rule.transfusion_period_days,
        rule.transfusion_haemoglobin_max,
    )
    last_day = evidence.horizon.last_day
    before = evidence.transfused(component, -period, -1, limit)
    if units_of(before) < rule.transfusion_reduction_units_min or last_day < period or not evidence.horizon.has_come:
        return None
    since = evidence.transfused(component, last_day - period + 1, last_day, limit)
    positions = positions_of((*before, *since))
    if units_of(before) - units_of(since) >= rule.transfusion_reduction_units_min:
        return CriterionResult("confirmed", "transfusions-reduced", positions)
    return CriterionResult("not-met", "transfusions-not-reduced", positions)


# Progression, and relapse after haematologic improvement.


def progression(rules: Iwg2006, evidence: Evidence, earlier: Sequence[Evidence]) -> tuple[Finding, ...]:
    """What shows progression, or relapse after improvement, at the timepoint; nothing means neither.

    `earlier` is the same evidence at each timepoint before, where an improvement may have been lost again.
    """
    hi_p, hi_n = rules.hi_p, rules.hi_n
    return (
        *_blasts_increased(rules, evidence),
        *_haemoglobin_fell(rules, evidence),
        *_halved(rules, evidence, hi_p.analyte, hi_p.baseline_below, _platelets_rose(rules)),
        *_halved(rules, evidence, hi_n.analyte, hi_n.baseline_below, _neutrophils_rose(rules)),
        *_became_transfusion_dependent(rules, evidence, earlier),
    )


def _blasts_increased(rules: Iwg2006, evidence: Evidence) -> Iterator[Finding]:
    """Marrow blasts up by half and beyond the band of the last share before treatment; one marrow is a baseline."""
    rule = rules.progression
    before = evidence.before(rule.blast_analyte)
    last_day = evidence.horizon.closes_day
    since = [c for c in evidence.since(rule.blast_analyte) if evidence.day(c.collected_on) <= last_day]
    if not before or not since:
        return
    baseline, latest = before[-1], since[-1]
    band = next((b for b in rule.blast_bands if baseline.value < b.baseline_below), None)
    if band is None or latest.value <= band.progression_above:
        return
    if has_risen_pct(latest.value, baseline.value, rule.blast_increase_pct_min):
        yield Finding("blasts-increased", (baseline.position, latest.position))


def _haemoglobin_fell(rules: Iwg2006, evidence: Evidence) -> Iterator[Finding]:
    rule, analyte = rules.progression, rules.hi_e.analyte

    def from_best(best: Decimal, value: Decimal) -> bool:
        return best - value >= rule.haemoglobin_fall_after_hi_min

    def from_baseline(mean: Decimal, value: Decimal) -> bool:
        return mean - value >= rule.haemoglobin_fall_min

    best = _best_response(evidence, analyte, rules.hi_e.baseline_below, _haemoglobin_rose(rules))
    yield from _fallen(evidence, analyte, "haemoglobin-fell", best, from_best, from_baseline)


def _halved(
    rules: Iwg2006, evidence: Evidence, analyte: str, cytopenic_below: Decimal, rose: Rose
) -> Iterator[Finding]:
    """A decrement by half from the best response; without a response, from the baseline and down into cytopenia.

    The paper measures from the "maximum remission/response". Where there was none, only a fall that makes or worsens a
    cytopenia counts, so that the ordinary swing of a normal count is no progression.
    """

    def from_best(best: Decimal, value: Decimal) -> bool:
        return has_fallen_pct(value, best, rules.progression.decrement_pct_min)

    def from_baseline(mean: Decimal, value: Decimal) -> bool:
        return value < cytopenic_below and from_best(mean, value)

    best = _best_response(evidence, analyte, cytopenic_below, rose)
    yield from _fallen(evidence, analyte, f"{analyte.lower()}-halved", best, from_best, from_baseline)


Fell = Callable[[Decimal, Decimal], bool]
"""Whether a value has fallen enough from a reference: `fell(reference, value)`."""


def _fallen(
    evidence: Evidence, analyte: str, code: str, best: Best | None, from_best: Fell, from_baseline: Fell
) -> Iterator[Finding]:
    """The timepoint's count, if it has fallen; also one that has fallen in spite of a transfusion."""
    baseline = evidence.baseline(analyte)
    if baseline is None:
        return

    def fell_from_best(value: Decimal) -> bool:
        return best is not None and from_best(best.value, value)

    def stands(value: Decimal) -> bool:
        return not fell_from_best(value) and not from_baseline(baseline.mean, value)

    count = evidence.at_timepoint(analyte, stands)
    if count is None or stands(count.value):
        return
    if best is not None and fell_from_best(count.value):
        yield Finding(f"{code}-after-improvement", (*best.positions, count.position))
    else:
        yield Finding(code, (*baseline.positions, count.position))


@dataclass(frozen=True, slots=True)
class Best:
    """The highest value of an improvement, and the positions of the baseline and the run that make it one."""

    value: Decimal
    positions: tuple[int, ...]


def _best_response(evidence: Evidence, analyte: str, cytopenic_below: Decimal, rose: Rose) -> Best | None:
    """The highest count up to the timepoint, of an improvement that lasted; None when there was none."""
    baseline = evidence.baseline(analyte)
    if baseline is None or baseline.mean >= cytopenic_below:
        return None
    lasting = (
        Best(count.value, (*baseline.positions, *positions_of(run)))
        for run in evidence.runs(analyte, lambda value: rose(baseline.mean, value))
        if evidence.is_lasting(run)
        for count in run
        if evidence.day(count.collected_on) <= evidence.horizon.closes_day
    )
    return max(lasting, key=lambda best: best.value, default=None)


def _became_transfusion_dependent(rules: Iwg2006, evidence: Evidence, earlier: Sequence[Evidence]) -> Iterator[Finding]:
    """Red-cell units in the 8 weeks up to the timepoint make a dependence.

    It is new where those before day 0 did not, or where they had become fewer by an earlier timepoint.
    """
    component, period = rules.hi_e.transfusion_component, rules.hi_e.transfusion_period_days
    dependence = rules.progression.transfusion_dependence_units_min
    last_day = evidence.horizon.last_day
    before = evidence.transfused(component, -period, -1)
    since = evidence.transfused(component, max(1, last_day - period + 1), last_day)
    if units_of(since) < dependence:
        return
    if units_of(before) < dependence:
        yield Finding("transfusion-dependence", positions_of((*before, *since)))
        return
    for then in earlier:
        improved = _fewer_transfusions(rules, then)
        if improved is not None and improved.status == "confirmed":
            yield Finding("transfusion-dependence-after-improvement", (*improved.positions, *positions_of(since)))
            return
