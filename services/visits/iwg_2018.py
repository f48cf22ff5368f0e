"""Whether red cells have improved (HI-E) by the IWG 2018 criteria (Platzbecker et al., Blood 2019;133:1020).

The red-cell units of the 16 weeks before treatment make the group, and the group makes the criterion: a lasting rise of
haemoglobin for who is not transfused (NTD), 8 weeks without red cells for a low burden (LTB), and for a high burden
(HTB) the same as the major response, or half of the units in 16 weeks as the minor one. HI-P and HI-N stay as in 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Literal

from services.visits.evidence import (
    Baseline,
    CriterionResult,
    Evidence,
    Transfusion,
    has_fallen_pct,
    mean_of,
    positions_of,
    units_of,
)
from services.visits.iwg_2006 import judge_rise
from shared.protocol import Iwg2018

Burden = Literal["none", "low", "high"]


def erythroid(rules: Iwg2018, evidence: Evidence) -> CriterionResult:
    """HI-E at the timepoint, by the burden of before. A "no" that comes before 16 weeks of observation is none yet."""
    result = _by_burden(rules, evidence)
    if result.status == "not-met" and evidence.horizon.known_to_day < rules.observation_days_min:
        return CriterionResult("not-evaluable", "observation-too-short", result.positions)
    return result


def _by_burden(rules: Iwg2018, evidence: Evidence) -> CriterionResult:
    before = evidence.transfused(rules.burden.component, -rules.burden.history_days, -1)
    match burden_of(rules, before):
        case "none":
            return _rise(rules, evidence)
        case "low":
            return _independence(rules, evidence, before)
        case "high":
            major = _independence(rules, evidence, before)
            return major if major.status == "confirmed" else _better(major, _reduction(rules, evidence, before))
        case None:
            return CriterionResult("not-evaluable", "transfusion-burden-undefined", positions_of(before))


def burden_of(rules: Iwg2018, before: Sequence[Transfusion]) -> Burden | None:
    """The group of a subject by the red-cell units of the 16 weeks before treatment; None between the groups.

    The paper leaves open what 1 or 2 units are, and 3 to 7 units of which more than 3 were given in 8 weeks.
    """
    rule, units = rules.burden, units_of(before)
    most = max((units_of(_within(rule.period_days, first, before)) for first in before), default=0)
    if units == 0:
        return "none"
    if units >= rule.high_units_min and most >= rule.high_least_in_period:
        return "high"
    episodes = len({transfusion.given_on for transfusion in before})
    is_low = rule.low_units_min <= units <= rule.low_units_max and most <= rule.low_most_in_period
    return "low" if is_low and episodes >= rule.low_episodes_min else None


def _within(days: int, first: Transfusion, transfusions: Sequence[Transfusion]) -> list[Transfusion]:
    return [t for t in transfusions if 0 <= (t.given_on - first.given_on).days < days]


# NTD


def _rise(rules: Iwg2018, evidence: Evidence) -> CriterionResult:
    baseline = _lowest_baseline(rules, evidence)
    if baseline is None:
        return evidence.why_no_baseline(rules.analyte, -rules.burden.history_days)
    if baseline.mean >= rules.baseline_below:
        return CriterionResult("not-evaluable", "baseline-not-cytopenic", baseline.positions)
    return judge_rise(
        evidence,
        rules.analyte,
        baseline,
        lambda mean, value: value - mean >= rules.rise_min,
        counts_min=rules.rise_counts_min,
    )


def _lowest_baseline(rules: Iwg2018, evidence: Evidence) -> Baseline | None:
    """The lowest mean of two counts of the 16 weeks before that lie a week apart."""
    latest_day = evidence.response.baseline.latest_day
    counts = evidence.between(rules.analyte, -rules.burden.history_days, latest_day)
    means = (
        mean_of(chosen)
        for chosen in combinations(counts, rules.baseline_values)
        if all(
            (later.collected_on - earlier.collected_on).days >= rules.baseline_apart_days_min
            for earlier, later in pairwise(chosen)
        )
    )
    return min(means, key=lambda baseline: baseline.mean, default=None)


# LTB and HTB


def _independence(rules: Iwg2018, evidence: Evidence, before: Sequence[Transfusion]) -> CriterionResult:
    """The days without red cells around the timepoint, which later days may still show to be enough."""
    horizon, component = evidence.horizon, rules.burden.component
    until = evidence.transfused(component, 0, horizon.last_day)
    after = evidence.transfused(component, horizon.last_day + 1, horizon.known_to_day)
    first_free = evidence.day(until[-1].given_on) + 1 if until else 1
    last_free = evidence.day(after[0].given_on) - 1 if after else horizon.known_to_day
    positions = positions_of((*before, *until[-1:], *after[:1]))
    if not horizon.has_come:
        return CriterionResult("not-evaluable", "observation-too-short", positions)
    if last_free - first_free + 1 >= rules.independence_days:
        return CriterionResult("confirmed", "transfusion-independent", positions)
    if after or first_free > horizon.last_day:
        return CriterionResult("not-met", "transfusions-continued", positions)
    return CriterionResult("provisional", "independence-not-yet-lasting", positions)


def _reduction(rules: Iwg2018, evidence: Evidence, before: Sequence[Transfusion]) -> CriterionResult:
    """The minor response: at most half of the units, in the 16 weeks up to the timepoint against those before day 0."""
    last_day, history = evidence.horizon.last_day, rules.burden.history_days
    since = evidence.transfused(rules.burden.component, max(0, last_day - history + 1), last_day)
    positions = positions_of((*before, *since))
    if last_day < history:
        return CriterionResult("not-evaluable", "observation-too-short", positions)
    if has_fallen_pct(Decimal(units_of(since)), Decimal(units_of(before)), rules.reduction_pct_min):
        return CriterionResult("confirmed", "transfusions-halved", positions)
    return CriterionResult("not-met", "transfusions-not-halved", positions)


def _better(major: CriterionResult, minor: CriterionResult) -> CriterionResult:
    """The minor response where it is reached, else what the major one may still become; both were looked at."""
    chosen = minor if minor.status == "confirmed" or major.status == "not-met" else major
    positions = tuple(dict.fromkeys((*major.positions, *minor.positions)))
    return CriterionResult(chosen.status, chosen.ground, positions)
