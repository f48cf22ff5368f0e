"""Efron's biased coin: the arm that is behind has the better chance, always the same one.

B. Efron, "Forcing a sequential experiment to be balanced", Biometrika 1971;58:403–417, who proposed p = 2/3. The exact
distribution of the difference: T. Markaryan and W. F. Rosenberger, Annals of Statistics 2010 (arXiv 1010.0483).
"""

from __future__ import annotations

from fractions import Fraction

from services.randomization.odds import Counts, Odds, Ratio, odds_of, require_counts, require_equal_shares


def odds(counts: Counts, ratio: Ratio, *, p: Fraction) -> Odds:
    """A fair coin at equal counts, otherwise the arm with fewer subjects with chance `p`; scores are the counts.

    Raises ValueError for other than two arms of equal shares, and for a `p` that is not from 1/2 to 1.
    """
    require_equal_shares(ratio)
    require_counts(counts, ratio)
    if len(ratio) != 2:
        raise ValueError("a coin has two sides: there are two arms")
    if not Fraction(1, 2) <= p <= 1:
        raise ValueError("the arm that is behind has a chance from 1/2 to 1")
    scores = {arm: Fraction(counts[arm]) for arm in ratio}
    fewest = min(scores.values())
    # At equal counts both arms get p, which in proportion is the fair coin.
    return odds_of(scores, {arm: p if score == fewest else 1 - p for arm, score in scores.items()})
