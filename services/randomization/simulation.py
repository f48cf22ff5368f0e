"""What a method would do to a trial before it is sealed: how balanced the arms would be, and how often guessed.

A trial is played many times over with subjects who arrive at random, by the very code that allocates. All is drawn from
a stream of the given seed, so that the same arguments give the same figures anywhere. The guess is the convergence
strategy of D. Blackwell and J. L. Hodges, Annals of Mathematical Statistics 1957;28:449–460: whoever decides on the
next subject expects the arm that is behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from itertools import chain, islice
from math import lcm
from typing import assert_never

from services.randomization.allocation import (
    WHOLE,
    BiasedCoin,
    Dynamic,
    Minimization,
    PermutedBlocks,
    Simple,
    Urn,
    odds,
    require_defined,
)
from services.randomization.odds import Odds, Ratio
from services.randomization.permuted_blocks import draw_blocks
from services.randomization.stream import Stream, below, secret_stream

Levels = Mapping[str, str]
"""A subject's level of every factor."""

Key = tuple[str, ...]
Chooser = Callable[[Levels], str]


@dataclass(frozen=True, slots=True)
class Accrual:
    """Who arrives: for every factor its levels with their whole shares, drawn independently of one another."""

    factors: Mapping[str, Mapping[str, int]]

    def arrivals(self, stream: Stream) -> Iterator[Levels]:
        """Subjects without an end."""
        shares = {
            factor: [level for level, share in levels.items() for _ in range(share)]
            for factor, levels in self.factors.items()
        }
        while True:
            yield {factor: levels[below(stream, len(levels))] for factor, levels in shares.items()}

    @property
    def rarest(self) -> tuple[str, str]:
        """The (factor, level) that the fewest subjects have: balance is hardest to keep there."""
        chances = {
            (factor, level): Fraction(share, sum(levels.values()))
            for factor, levels in self.factors.items()
            for level, share in levels.items()
        }
        return min(chances, key=chances.__getitem__)


@dataclass(frozen=True, slots=True)
class Design:
    """A method, and the factors whose levels make the strata that it works in; without any, the trial is one stratum.

    Whoever guesses goes by the past arms of the subject's stratum. Minimization balances its factors over the whole
    trial, so that its strata are the guesser's alone.
    """

    method: PermutedBlocks | Dynamic
    by: Key = ()

    @property
    def title(self) -> str:
        """Its name in a table."""
        return ", ".join([_name(self.method), *([f"by {' × '.join(self.by)}"] if self.by else [])])

    @property
    def factors(self) -> set[str]:
        """All that it asks of a subject."""
        return {*self.by, *(self.method.weights if isinstance(self.method, Minimization) else ())}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What many trials showed. An imbalance is the difference between the arms' subjects for one share of the ratio."""

    design: Design
    imbalance_mean: float
    imbalance_p95: float
    rarest_mean: float
    guessed: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """How trials are played: `subjects` in each of `repetitions`; the balance in the rarest level is looked at too."""

    ratio: Ratio
    accrual: Accrual
    subjects: int
    repetitions: int
    seed: int

    def run(self, design: Design) -> Outcome:
        """Play a design. Raises ValueError for what the method is not defined for, and for a factor nobody has."""
        require_defined(design.method, self.ratio)
        if unknown := design.factors - self.accrual.factors.keys():
            raise ValueError(f"subjects have no {', '.join(sorted(unknown))}")
        stream = secret_stream(sha256(str(self.seed).encode()).digest(), design.title)
        arrivals = self.accrual.arrivals(stream)
        choosers = _choosers(design, self.ratio, stream)
        trials = [self._play(design, next(choosers), arrivals) for _ in range(self.repetitions)]
        imbalances = sorted(imbalance for imbalance, _, _ in trials)
        return Outcome(
            design,
            imbalance_mean=sum(imbalances) / len(trials),
            imbalance_p95=imbalances[len(trials) * 95 // 100],
            rarest_mean=sum(rarest for _, rarest, _ in trials) / len(trials),
            guessed=sum(guessed for _, _, guessed in trials) / (len(trials) * self.subjects),
        )

    def _play(self, design: Design, choose: Chooser, arrivals: Iterator[Levels]) -> tuple[float, float, float]:
        """One trial: its imbalance, that in the rarest level, and how many arms were guessed.

        A subject weighs the less, the larger its arm's share, so that arms in their ratio weigh the same.
        """
        one_share = lcm(*self.ratio.values())
        weight = {arm: one_share // share for arm, share in self.ratio.items()}
        factor, level = self.accrual.rarest
        everybody, rarest = dict.fromkeys(self.ratio, 0), dict.fromkeys(self.ratio, 0)
        strata: defaultdict[Key, dict[str, int]] = defaultdict(lambda: dict.fromkeys(self.ratio, 0))
        guessed = 0.0
        for levels in islice(arrivals, self.subjects):
            arm = choose(levels)
            known = strata[tuple(levels[each] for each in design.by)]
            guessed += _chance_of_guessing(arm, known)
            known[arm] += weight[arm]
            everybody[arm] += weight[arm]
            if levels[factor] == level:
                rarest[arm] += weight[arm]
        return _difference(everybody) / one_share, _difference(rarest) / one_share, guessed


def exact_differences(method: Dynamic, subjects: int) -> dict[int, Fraction]:
    """The exact chance of every difference between two equal arms of one stratum, by walking all counts.

    Raises ValueError for a method that does not work on one stratum.
    """
    reached = {(0, 0): Fraction(1)}
    for _ in range(subjects):
        following: defaultdict[tuple[int, int], Fraction] = defaultdict(Fraction)
        for (first, second), chance in reached.items():
            chances = odds(method, {"A": 1, "B": 1}, {WHOLE: {"A": first, "B": second}}).probabilities
            following[first + 1, second] += chance * chances["A"]
            following[first, second + 1] += chance * chances["B"]
        reached = dict(following)
    return {first - second: chance for (first, second), chance in sorted(reached.items()) if chance}


def compared_designs(diagnosis: str, site: str) -> tuple[Design, ...]:
    """The designs that were compared before this trial's method was chosen; the arguments name its two factors."""
    both, one = (site, diagnosis), (diagnosis,)
    blocks = (((4,), both), ((2, 4), both), ((4, 6), both), ((2, 4, 6), both), ((2, 4), one), ((4, 6), one))
    weights = {site: Fraction(1), diagnosis: Fraction(1)}
    return (
        Design(Simple()),
        Design(BiasedCoin(p=Fraction(2, 3))),
        *(Design(PermutedBlocks(block_sizes=sizes), by) for sizes, by in blocks),
        *(Design(Minimization(weights=weights, p=p)) for p in (Fraction(1), Fraction(4, 5), Fraction(7, 10))),
        *(Design(Urn(alpha=alpha, beta=1), one) for alpha in (1, 0)),
    )


def report(simulation: Simulation, designs: Sequence[Design]) -> Iterator[str]:
    """The lines of two tables: what was simulated, each line as soon as it is; then what is known exactly."""
    _, level = simulation.accrual.rarest
    yield f"{'method':<42}{'imbalance':>10}{'p95':>6}{'in ' + level:>10}{'guessed':>9}"
    for design in designs:
        seen = simulation.run(design)
        figures = f"{seen.imbalance_mean:>10.2f}{seen.imbalance_p95:>6.3g}{seen.rarest_mean:>10.2f}{seen.guessed:>9.3f}"
        yield f"{design.title:<42}{figures}"
    methods = dict.fromkeys(each.method for each in designs if isinstance(each.method, Simple | BiasedCoin | Urn))
    if methods:
        yield ""
        yield f"{'two equal arms of one stratum, exactly':<42}{'imbalance':>10}  differences at N=2; at N=4"
    for method in methods:
        mean = sum(abs(step) * chance for step, chance in exact_differences(method, simulation.subjects).items())
        few = "; ".join(_spelled(exact_differences(method, subjects)) for subjects in (2, 4))
        yield f"{_name(method):<42}{float(mean):>10.2f}  {few}"


def _choosers(design: Design, ratio: Ratio, stream: Stream) -> Iterator[Chooser]:
    """Who chooses the arms, anew for every trial; odds once worked out are kept for all of them."""
    method, by = design.method, design.by
    known: dict[tuple[tuple[int, ...], ...], Odds] = {}
    while True:
        if isinstance(method, PermutedBlocks):
            yield _from_lists(method, by, ratio, stream)
        else:
            yield _by_counts(method, by, ratio, stream, known)


def _from_lists(method: PermutedBlocks, by: Key, ratio: Ratio, stream: Stream) -> Chooser:
    lists: defaultdict[Key, Iterator[str]] = defaultdict(
        lambda: chain.from_iterable(draw_blocks(stream, method.block_sizes, ratio))
    )
    return lambda levels: next(lists[tuple(levels[each] for each in by)])


def _by_counts(
    method: Dynamic, by: Key, ratio: Ratio, stream: Stream, known: dict[tuple[tuple[int, ...], ...], Odds]
) -> Chooser:
    tallies: defaultdict[Key, dict[str, int]] = defaultdict(lambda: dict.fromkeys(ratio, 0))

    def choose(levels: Levels) -> str:
        if isinstance(method, Minimization):
            counts = {factor: tallies[factor, levels[factor]] for factor in method.weights}
        else:
            counts = {WHOLE: tallies[tuple(levels[each] for each in by)]}
        key = tuple(tuple(seen.values()) for seen in counts.values())
        if key not in known:
            known[key] = odds(method, ratio, counts)
        arm = known[key].choose(below(stream, known[key].total)).arm
        for seen in counts.values():
            seen[arm] += 1
        return arm

    return choose


def _chance_of_guessing(arm: str, known: Mapping[str, int]) -> float:
    """Whether the arm is the one that is behind; of several, one is named by chance."""
    least = min(known.values())
    return 1 / list(known.values()).count(least) if known[arm] == least else 0.0


def _difference(weights: Mapping[str, int]) -> int:
    return max(weights.values()) - min(weights.values())


def _name(method: PermutedBlocks | Dynamic) -> str:
    match method:
        case Simple():
            return "simple"
        case PermutedBlocks(block_sizes=sizes):
            return f"blocks of {' or '.join(str(size) for size in sizes)}"
        case BiasedCoin(p=p):
            return f"biased coin p={p}"
        case Urn(alpha=alpha, beta=beta):
            return f"urn UD({alpha},{beta})"
        case Minimization(distance=distance, p=p):
            return f"minimization ({distance}) p={p}"
        case _:
            assert_never(method)


def _spelled(differences: Mapping[int, Fraction]) -> str:
    """A symmetric distribution by its differences from 0 on: `0: 2/3, ±2: 1/6`."""
    return ", ".join(f"{'±' if step else ''}{step}: {chance}" for step, chance in differences.items() if step >= 0)
