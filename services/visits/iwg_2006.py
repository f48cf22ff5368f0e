"""Whether blood has improved or the disease progressed by the IWG 2006 criteria (Cheson et al., Blood 2006;108:419).

Haematologic improvement is judged for erythrocytes (HI-E), platelets (HI-P) and neutrophils (HI-N) at a timepoint: it
is confirmed when the run of counts that meets the threshold there lasts 8 weeks, which later counts may show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from services.visits.evidence import Baseline, Count, Evidence, Finding, LineageResult
from shared.protocol import Iwg2006

HUNDRED = Decimal(100)


def lineages(rules: Iwg2006, evidence: Evidence) -> dict[str, LineageResult]:
    """The result of each lineage, by its IWG code."""
    return {
        "HI-E": _erythroid(rules, evidence),
        "HI-P": _from_counts(evidence, rules.hi_p.analyte, rules.hi_p.baseline_below, _platelets_rose(rules)),
        "HI-N": _from_counts(evidence, rules.hi_n.analyte, rules.hi_n.baseline_below, _neutrophils_rose(rules)),
    }


Rose = Callable[[Decimal, Decimal], bool]
"""Whether a value has risen enough from a baseline: `rose(baseline, value)`."""


def _haemoglobin_rose(rules: Iwg2006) -> Rose:
    return lambda baseline, value: value - baseline >= rules.hi_e.rise_min


def _platelets_rose(rules: Iwg2006) -> Rose:
    rule = rules.hi_p

    def rose(baseline: Decimal, value: Decimal) -> bool:
        if baseline < rule.low_start_below:
            return value > rule.low_start_to_above and _rise_pct_is(value, baseline, rule.low_start_rise_pct_min)
        return value - baseline >= rule.rise_min

    return rose


def _neutrophils_rose(rules: Iwg2006) -> Rose:
    rule = rules.hi_n
    return lambda baseline, value: (
        _rise_pct_is(value, baseline, rule.rise_pct_min) and value - baseline > rule.rise_above
    )


def _rise_pct_is(value: Decimal, baseline: Decimal, at_least_pct: Decimal) -> bool:
    """Whether the value lies at least so many per cent above the baseline, without a division."""
    return (value - baseline) * HUNDRED >= baseline * at_least_pct


def _from_counts(evidence: Evidence, analyte: str, baseline_below: Decimal, rose: Rose) -> LineageResult:
    baseline = evidence.baseline(analyte)
    if baseline is None:
        return LineageResult("not-evaluable", "baseline-missing", _positions(evidence.before(analyte)))
    if baseline.mean >= baseline_below:
        return LineageResult("not-evaluable", "baseline-not-cytopenic", baseline.positions)
    at_timepoint = evidence.at_timepoint(analyte)
    if at_timepoint is None:
        return LineageResult("not-evaluable", "count-missing", baseline.positions)
    for run in evidence.runs(analyte, lambda value: rose(baseline.mean, value)):
        if at_timepoint in run:
            positions = baseline.positions + _positions(run)
            if evidence.is_lasting(run):
                return LineageResult("confirmed", "rise-lasting", positions)
            return LineageResult("provisional", "rise-not-yet-lasting", positions)
    return LineageResult("not-met", "rise-too-small", (*baseline.positions, at_timepoint.position))


def _erythroid(rules: Iwg2006, evidence: Evidence) -> LineageResult:
    """HI-E by counts, or by fewer transfusions; the better of the two, since the criterion says "or"."""
    by_counts = _from_counts(evidence, rules.hi_e.analyte, rules.hi_e.baseline_below, _haemoglobin_rose(rules))
    by_transfusions = _fewer_transfusions(rules, evidence)
    if by_transfusions is None or by_counts.status == "confirmed":
        return by_counts
    if by_transfusions.status == "confirmed" or by_counts.status == "not-evaluable":
        return by_transfusions
    return by_counts


def _fewer_transfusions(rules: Iwg2006, evidence: Evidence) -> LineageResult | None:
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
    last_day = min(evidence.horizon.nominal_day, evidence.horizon.known_to_day)
    before = evidence.transfused(component, -period, -1, limit)
    units_before = sum(transfusion.units for transfusion in before)
    if units_before < rule.transfusion_reduction_units_min or last_day < period or not evidence.horizon.has_come:
        return None
    since = evidence.transfused(component, last_day - period + 1, last_day, limit)
    reduction = units_before - sum(transfusion.units for transfusion in since)
    positions = tuple(transfusion.position for transfusion in (*before, *since))
    if reduction >= rule.transfusion_reduction_units_min:
        return LineageResult("confirmed", "transfusions-reduced", positions)
    return LineageResult("not-met", "transfusions-not-reduced", positions)


def progression(rules: Iwg2006, evidence: Evidence) -> tuple[Finding, ...]:
    """What shows progression, or relapse after improvement, at the timepoint; nothing means neither."""
    hi_p, hi_n = rules.hi_p, rules.hi_n
    return (
        *_blasts_increased(rules, evidence),
        *_haemoglobin_fell(rules, evidence),
        *_halved(rules, evidence, hi_p.analyte, hi_p.baseline_below, _platelets_rose(rules)),
        *_halved(rules, evidence, hi_n.analyte, hi_n.baseline_below, _neutrophils_rose(rules)),
        *_became_transfusion_dependent(rules, evidence),
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
    if band is None:
        return
    is_beyond = latest.value > band.progression_above
    if is_beyond and _rise_pct_is(latest.value, baseline.value, rule.blast_increase_pct_min):
        yield Finding("blasts-increased", (baseline.position, latest.position))


def _haemoglobin_fell(rules: Iwg2006, evidence: Evidence) -> Iterator[Finding]:
    rule, analyte = rules.progression, rules.hi_e.analyte
    baseline, value = evidence.baseline(analyte), evidence.at_timepoint(analyte)
    if baseline is None or value is None:
        return
    best = _best_response(evidence, analyte, rules.hi_e.baseline_below, baseline, value, _haemoglobin_rose(rules))
    if best is not None and best.value - value.value >= rule.haemoglobin_fall_after_hi_min:
        yield Finding("haemoglobin-fell-after-improvement", (best.position, value.position))
    elif baseline.mean - value.value >= rule.haemoglobin_fall_min:
        yield Finding("haemoglobin-fell", (*baseline.positions, value.position))


def _halved(
    rules: Iwg2006, evidence: Evidence, analyte: str, cytopenic_below: Decimal, rose: Rose
) -> Iterator[Finding]:
    """A decrement by half from the best response; without a response, from the baseline and down into cytopenia.

    The paper measures from the "maximum remission/response". Where there was none, only a fall that makes or worsens a
    cytopenia counts, so that the ordinary swing of a normal count is no progression.
    """
    baseline, value = evidence.baseline(analyte), evidence.at_timepoint(analyte)
    if baseline is None or value is None:
        return

    def is_halved(reference: Decimal) -> bool:
        return (reference - value.value) * HUNDRED >= reference * rules.progression.decrement_pct_min

    best = _best_response(evidence, analyte, cytopenic_below, baseline, value, rose)
    if best is not None and is_halved(best.value):
        yield Finding(f"{analyte.lower()}-halved-after-improvement", (best.position, value.position))
    elif value.value < cytopenic_below and is_halved(baseline.mean):
        yield Finding(f"{analyte.lower()}-halved", (*baseline.positions, value.position))


def _best_response(
    evidence: Evidence, analyte: str, cytopenic_below: Decimal, baseline: Baseline, at: Count, rose: Rose
) -> Count | None:
    """The highest count, not after the timepoint's, of an improvement that lasted; None when there was none."""
    if baseline.mean >= cytopenic_below:
        return None
    lasting = (
        count
        for run in evidence.runs(analyte, lambda value: rose(baseline.mean, value))
        if evidence.is_lasting(run)
        for count in run
        if count.collected_on <= at.collected_on
    )
    return max(lasting, key=lambda count: count.value, default=None)


def _became_transfusion_dependent(rules: Iwg2006, evidence: Evidence) -> Iterator[Finding]:
    """Red-cell units in the 8 weeks up to the timepoint make a dependence; those before day 0 did not."""
    component, period = rules.hi_e.transfusion_component, rules.hi_e.transfusion_period_days
    dependence = rules.progression.transfusion_dependence_units_min
    last_day = min(evidence.horizon.nominal_day, evidence.horizon.known_to_day)
    before = evidence.transfused(component, -period, -1)
    since = evidence.transfused(component, max(1, last_day - period + 1), last_day)
    if sum(t.units for t in before) < dependence <= sum(t.units for t in since):
        yield Finding("transfusion-dependence", tuple(t.position for t in (*before, *since)))


def _positions(counts: Iterable[Count]) -> tuple[int, ...]:
    return tuple(count.position for count in counts)
