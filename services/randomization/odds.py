"""The chances that a method gives each arm, and the arm that a drawn number falls on.

Chances are whole numbers of tickets, never rounded. The tickets are numbered from 0 in the order of the arms, and one
number is drawn: counts, tickets and number are all that is needed to repeat an allocation alone, with pencil and paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

Ratio = Mapping[str, int]
"""The arms in the scheme's order, each with its whole share: `{"MSC": 1, "CSA": 1}`."""

Counts = Mapping[str, int]
"""For every arm, how many earlier subjects have it."""


@dataclass(frozen=True, slots=True)
class Odds:
    """What a method makes of the counts, before anything is drawn.

    `scores` is what the arms were compared by, lowest first; `tickets` the chances, in lowest terms, the arms in order.
    """

    scores: Mapping[str, Fraction]
    tickets: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many tickets there are: the number drawn is below it."""
        return sum(self.tickets.values())

    @property
    def preferred(self) -> tuple[str, ...]:
        """The arms with the lowest score: all of them, if nothing speaks for one."""
        lowest = min(self.scores.values())
        return tuple(arm for arm, score in self.scores.items() if score == lowest)

    @property
    def probabilities(self) -> dict[str, Fraction]:
        """The chance of every arm, exactly."""
        total = self.total
        return {arm: Fraction(tickets, total) for arm, tickets in self.tickets.items()}

    def choose(self, draw: int) -> Choice:
        """The arm that holds the ticket `draw`. Raises ValueError for a number that is on no ticket."""
        if draw < 0:
            raise ValueError("tickets are counted from 0")
        beyond = 0
        for arm, tickets in self.tickets.items():
            beyond += tickets
            if draw < beyond:
                return Choice(arm, draw, self)
        raise ValueError(f"there are {beyond} tickets, none of them is {draw}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One allocation: the arm, the number drawn, and the odds under which it was drawn."""

    arm: str
    draw: int
    odds: Odds


def odds_of(scores: Mapping[str, Fraction], probabilities: Mapping[str, Fraction]) -> Odds:
    """Odds with the fewest whole tickets in proportion to these chances, which need not sum to one."""
    scale = lcm(*(chance.denominator for chance in probabilities.values()))
    tickets = {arm: int(chance * scale) for arm, chance in probabilities.items()}
    divisor = gcd(*tickets.values())
    return Odds(scores, {arm: held // divisor for arm, held in tickets.items()})


def proportional(ratio: Ratio) -> Odds:
    """Simple randomization: every subject by the ratio alone, whatever came before.

    Raises ValueError for a share that is not positive.
    """
    require_shares(ratio)
    return odds_of(dict.fromkeys(ratio, Fraction(0)), {arm: Fraction(share) for arm, share in ratio.items()})


def require_shares(ratio: Ratio) -> None:
    """Raises ValueError if there is no arm, or one whose share is not positive."""
    if not ratio or any(share <= 0 for share in ratio.values()):
        raise ValueError("every arm has a positive whole share")


def require_equal_shares(ratio: Ratio) -> None:
    """Raises ValueError if the arms' shares are not positive and the same: some methods are defined for no others."""
    require_shares(ratio)
    if len(set(ratio.values())) != 1:
        raise ValueError("the method is defined for equal shares alone")


def require_counts(counts: Counts, ratio: Ratio) -> None:
    """Raises ValueError unless every arm, and nothing else, has a count from 0 on."""
    if counts.keys() != ratio.keys() or any(seen < 0 for seen in counts.values()):
        raise ValueError("every arm, and nothing else, has a count from 0 on")
