"""How many subjects of each arm have responded at each timepoint, as counts and as shares of stated denominators.

By intention to treat (ICH E9 5.2.1): whom an arm was allocated to is counted there, treated or not. A response that is
not known is none: of those randomized, who was not evaluated counts in the denominator alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import get_args

from services.visits.answers_views import ArmResponses, Share
from services.visits.events import LineageStatus, OverallResponse

TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of an arm stand how at a timepoint; lineages by code and status. Outdated ones are in no other count."""

    responses: Mapping[OverallResponse, int] = field(default_factory=dict)
    lineages: Mapping[str, Mapping[LineageStatus, int]] = field(default_factory=dict)
    outdated: int = 0
    unsigned: int = 0


def percentage(n: int, of: int) -> Decimal | None:
    """`n` of `of` in percent with one decimal, halves rounded up; None of nothing."""
    return (Decimal(100 * n) / of).quantize(TENTH, ROUND_HALF_UP) if of else None


def response_table(
    timepoints: Iterable[str],
    arms: Sequence[str],
    randomized: Mapping[str, int],
    tallies: Mapping[tuple[str, str], Tally],
) -> tuple[ArmResponses, ...]:
    """A row for each timepoint and arm, also where nobody was evaluated; tallies by both, `randomized` by arm.

    Every response and status stands in every row. Shares of one row need not add up to 100.0.
    """
    codes = sorted({code for tally in tallies.values() for code in tally.lineages})
    return tuple(
        _row(timepoint, arm, randomized.get(arm, 0), tallies.get((timepoint, arm), Tally()), codes)
        for timepoint in timepoints
        for arm in arms
    )


def _row(timepoint: str, arm: str, randomized: int, tally: Tally, codes: Sequence[str]) -> ArmResponses:
    evaluated = sum(tally.responses.values())

    def share(n: int) -> Share:
        return Share(n=n, pct_of_evaluated=percentage(n, evaluated), pct_of_randomized=percentage(n, randomized))

    responses: tuple[OverallResponse, ...] = get_args(OverallResponse)
    statuses: tuple[LineageStatus, ...] = get_args(LineageStatus)
    return ArmResponses(
        timepoint=timepoint,
        arm=arm,
        randomized=randomized,
        evaluated=evaluated,
        outdated=tally.outdated,
        unsigned=tally.unsigned,
        responses={each: share(tally.responses.get(each, 0)) for each in responses},
        lineages={
            code: {each: share(tally.lineages.get(code, {}).get(each, 0)) for each in statuses} for code in codes
        },
    )
