"""Minimization: the arm that would leave the factors of the new subject best balanced has the better chance.

S. J. Pocock and R. Simon, "Sequential treatment assignment with balancing for prognostic factors in the controlled
clinical trial", Biometrics 1975;31:103–115. Worked examples: Scott et al. 2002 (PMC3503622), Altman and Bland, BMJ
2005;330:843. ICH E9 §2.3.2 asks for a random element: with p = 1 the next arm is known to whoever knows the counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm
from typing import Literal

from services.randomization.odds import Counts, Odds, Ratio, odds_of, proportional, require_counts, require_shares

Distance = Literal["range", "variance"]


def odds(
    counts: Mapping[str, Counts],
    ratio: Ratio,
    *,
    weights: Mapping[str, Fraction],
    p: Fraction,
    distance: Distance = "range",
) -> Odds:
    """The chances of the new subject, from the `counts` at its own level of every factor.

    The score of an arm k is G_k = Σ_i w_i d(…, (n_ij + [j = k]) / r_j, …): over the factors i, the distance between the
    arms' counts j in units of their shares, had the subject got k. The arms with the lowest score have the chance `p`
    together, shared in their ratio; the others share 1 − p equally. If all tie, the ratio alone decides.

    With unequal shares the ratio is held over the trial, but not at each allocation: the first subject at 2:1 gets the
    larger arm with chance p and not 2/3.

    Raises ValueError for fewer than two arms, a share that is not positive, factors that differ between `counts` and
    `weights`, a weight that is not positive, and for a `p` over 1 or so low that an arm which is not preferred could
    have more than its share.
    """
    require_shares(ratio)
    _require_factors(counts, ratio, weights)
    _require_preference(p, ratio)
    scores = {arm: _score(arm, counts, ratio, weights, distance) for arm in ratio}
    lowest = min(scores.values())
    preferred = {arm: share for arm, share in ratio.items() if scores[arm] == lowest}
    if len(preferred) == len(ratio):
        return Odds(scores, proportional(ratio).tickets)
    rest = (1 - p) / (len(ratio) - len(preferred))
    together = sum(preferred.values())
    return odds_of(scores, {arm: p * preferred[arm] / together if arm in preferred else rest for arm in ratio})


def _score(
    arm: str, counts: Mapping[str, Counts], ratio: Ratio, weights: Mapping[str, Fraction], distance: Distance
) -> Fraction:
    """G of the arm: the weighted imbalance over the factors, had the new subject got it."""
    return sum(
        (
            weight * _distance({each: seen + (each == arm) for each, seen in counts[factor].items()}, ratio, distance)
            for factor, weight in weights.items()
        ),
        Fraction(0),
    )


def _distance(counts: Counts, ratio: Ratio, distance: Distance) -> Fraction:
    """How far apart the counts are in units of their shares: their range, or their sample variance (divisor n − 1).

    Both are computed in whole numbers, and divided once: the variance of n values x as (n Σx² − (Σx)²) / n(n − 1).
    """
    unit = lcm(*ratio.values())
    values = [seen * unit // ratio[arm] for arm, seen in counts.items()]
    if distance == "range":
        return Fraction(max(values) - min(values), unit)
    n = len(values)
    return Fraction(n * sum(value * value for value in values) - sum(values) ** 2, n * (n - 1) * unit**2)


def _require_factors(counts: Mapping[str, Counts], ratio: Ratio, weights: Mapping[str, Fraction]) -> None:
    if len(ratio) < 2:
        raise ValueError("there are two arms at least to balance")
    if not weights or counts.keys() != weights.keys():
        raise ValueError("every factor has its counts and its weight")
    if any(weight <= 0 for weight in weights.values()):
        raise ValueError("every factor has a positive weight")
    for seen in counts.values():
        require_counts(seen, ratio)


def _require_preference(p: Fraction, ratio: Ratio) -> None:
    least = 1 - Fraction(min(ratio.values()), sum(ratio.values()))
    if not least <= p <= 1:
        raise ValueError(f"the preferred arms have a chance from {least} to 1 at this ratio")
