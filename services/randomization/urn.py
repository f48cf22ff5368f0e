"""Wei's urn: every allocation adds balls of the other arms, so that the pull to balance is strong early and fades.

L. J. Wei, "An application of an urn model to the design of sequential controlled clinical trials", Journal of the
American Statistical Association 1978;73:559–563. The urn starts with α balls of each arm. A ball is drawn and put back,
and β balls of every other arm are added.
"""

from __future__ import annotations

from fractions import Fraction

from services.randomization.odds import Counts, Odds, Ratio, odds_of, require_counts, require_equal_shares


def odds(counts: Counts, ratio: Ratio, *, alpha: int, beta: int) -> Odds:
    """The balls in the urn UD(α, β): α + β (n − n_k) of the arm k, n subjects in all; scores are the counts.

    With two arms P(A) = (α + β n_B) / (2α + β n). UD(0, β) starts with an empty urn; its first draw is a fair one.
    Raises ValueError for shares that are not equal, fewer than two arms, a negative α or β, and for UD(0, 0).
    """
    require_equal_shares(ratio)
    require_counts(counts, ratio)
    if len(ratio) < 2:
        raise ValueError("an urn has balls of two arms at least")
    if alpha < 0 or beta < 0 or alpha == beta == 0:
        raise ValueError("α and β are not negative, and one of them is positive")
    subjects = sum(counts.values())
    balls = {arm: Fraction(alpha + beta * (subjects - counts[arm])) for arm in ratio}
    if not any(balls.values()):
        balls = dict.fromkeys(ratio, Fraction(1))
    return odds_of({arm: Fraction(counts[arm]) for arm in ratio}, balls)
