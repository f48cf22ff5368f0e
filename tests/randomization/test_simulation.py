"""Trying methods before one is sealed: the figures that the trial's method was chosen by, and the command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from math import sqrt

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.randomization.allocation import BiasedCoin, Dynamic, Minimization, PermutedBlocks, Simple, Urn
from services.randomization.simulation import (
    Accrual,
    Design,
    Simulation,
    compared_designs,
    exact_differences,
    report,
)

ACCRUAL = Accrual({"site": {"01": 2, "02": 1}, "diagnosis": {"RA": 3, "RARS": 1}})
TRIAL = Simulation(ratio={"MSC": 1, "CSA": 1}, accrual=ACCRUAL, subjects=30, repetitions=200, seed=1)

COMPARED = [
    (4.33, 10, 2.15, 0.500),
    (1.30, 4, 1.90, 0.619),
    (1.32, 4, 1.00, 0.683),
    (1.21, 4, 0.91, 0.701),
    (1.52, 4, 1.12, 0.664),
    (1.42, 4, 1.06, 0.678),
    (0.71, 2, 0.61, 0.712),
    (0.94, 2, 0.74, 0.679),
    (0.30, 2, 0.55, 0.712),
    (1.03, 4, 0.95, 0.638),
    (1.63, 4, 1.30, 0.598),
    (2.62, 6, 1.38, 0.572),
    (2.46, 6, 1.20, 0.596),
]
"""Mean imbalance, its 95th percentile, the mean imbalance in RARS, and how often the arm was guessed: 20 000 trials of
30 subjects at two sites 2:1, a quarter with RARS, played by a program apart from this one."""


@pytest.mark.parametrize(
    ("design", "published"),
    list(zip(compared_designs("diagnosis", "site"), COMPARED, strict=True)),
    ids=lambda value: value.title if isinstance(value, Design) else "",
)
def test_a_compared_design_has_the_figures_that_it_was_judged_by(
    design: Design, published: tuple[float, float, float, float]
) -> None:
    """Within four standard errors. An imbalance spreads as widely as it is large on average, and by a subject or so at
    least; the guesses of one trial, by less than a tenth."""
    imbalance, p95, in_rars, guessed = published
    seen = TRIAL.run(design)
    errors = 4 / sqrt(TRIAL.repetitions)

    assert abs(seen.imbalance_mean - imbalance) < errors * max(imbalance, 1)
    assert abs(seen.imbalance_p95 - p95) <= 2
    assert abs(seen.rarest_mean - in_rars) < errors * max(in_rars, 1)
    assert abs(seen.guessed - guessed) < errors * 0.1


@pytest.mark.parametrize(
    ("method", "subjects", "mean"), [(Simple(), 30, 4.33), (BiasedCoin(p=Fraction(2, 3)), 30, 1.31)]
)
def test_the_exact_mean_is_the_simulated_one(method: Dynamic, subjects: int, mean: float) -> None:
    chances = exact_differences(method, subjects)

    assert sum(chances.values()) == 1
    assert round(float(sum(abs(step) * chance for step, chance in chances.items())), 2) == mean


@pytest.mark.parametrize(
    "method",
    [
        PermutedBlocks(block_sizes=(2,)),
        Urn(alpha=0, beta=1),
        BiasedCoin(p=Fraction(1)),
        Minimization(weights={"all": Fraction(1)}, p=Fraction(1)),
    ],
)
def test_if_the_second_of_two_must_get_the_other_arm_three_of_four_guesses_are_right(
    method: PermutedBlocks | Dynamic,
) -> None:
    two = replace(TRIAL, accrual=Accrual({"all": {"everybody": 1}}), subjects=2, repetitions=20)
    seen = two.run(Design(method))

    assert (seen.guessed, seen.imbalance_mean, seen.imbalance_p95, seen.rarest_mean) == (0.75, 0, 0, 0)


def test_arms_in_an_unequal_ratio_are_balanced() -> None:
    """Blocks of 3 at 2:1: after 30 subjects nothing is left over."""
    unequal = replace(TRIAL, ratio={"MSC": 2, "CSA": 1}, repetitions=20)

    assert unequal.run(Design(PermutedBlocks(block_sizes=(3,)))).imbalance_mean == 0


def test_subjects_arrive_by_their_shares() -> None:
    """Every number below 3 and below 4 in turn: a site of three, a diagnosis of four."""
    arriving = ACCRUAL.arrivals(iter([0, 0, 1, 1, 2, 2, 0, 3]))

    assert [(each["site"], each["diagnosis"]) for each in islice(arriving, 4)] == [
        ("01", "RA"),
        ("01", "RA"),
        ("02", "RA"),
        ("01", "RARS"),
    ]
    assert ACCRUAL.rarest == ("diagnosis", "RARS")


def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    few = replace(TRIAL, repetitions=20)
    design = Design(Simple())

    assert few.run(design) == few.run(design)
    assert few.run(design) != replace(few, seed=2).run(design)


def test_a_factor_that_no_subject_has_is_refused() -> None:
    with pytest.raises(ValueError, match="region"):
        TRIAL.run(Design(Simple(), ("region",)))


def test_a_method_that_is_not_defined_for_the_ratio_is_refused() -> None:
    with pytest.raises(ValueError, match="equal shares"):
        replace(TRIAL, ratio={"MSC": 2, "CSA": 1}).run(Design(Urn(alpha=1, beta=1)))


def test_the_report_sets_the_exact_distribution_beside_what_was_simulated() -> None:
    lines = list(report(replace(TRIAL, repetitions=5), [Design(BiasedCoin(p=Fraction(2, 3)), ("site",))]))

    assert [line.split()[0] for line in lines if line] == ["method", "biased", "two", "biased"]
    assert lines[1].startswith("biased coin p=2/3, by site")
    assert lines[-1].split(maxsplit=4)[-1] == "0: 2/3, ±2: 1/6; 0: 16/27, ±2: 5/27, ±4: 1/54"


class TestTheCommand:
    def run(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["simulate-allocation", "--repetitions", "5", *arguments])
        return result.exit_code, result.output

    @pytest.mark.parametrize(
        ("arguments", "title"),
        [
            (["--method", "permuted-blocks", "--block-size", "4", "--block-size", "6"], "blocks of 4 or 6"),
            (["--method", "urn", "--alpha", "1", "--beta", "2", "--by", "site"], "urn UD(1,2), by site"),
            (["--method", "biased-coin", "--p", "3/4"], "biased coin p=3/4"),
            (
                ["--method", "minimization", "--p", "0.9", "--weights", "site:1,diagnosis:2", "--distance", "variance"],
                "minimization (variance) p=9/10",
            ),
            (["--method", "simple", "--ratio", "A:2,B:1,C:1", "--subjects", "8"], "simple"),
        ],
    )
    def test_it_tries_one_method_with_its_parameters(self, arguments: Sequence[str], title: str) -> None:
        code, printed = self.run(*arguments)

        assert code == 0
        assert printed.splitlines()[1].startswith(title)

    def test_it_tries_all_that_were_compared(self) -> None:
        code, printed = self.run("--subjects", "4")

        assert code == 0
        assert all(design.title in printed for design in compared_designs("diagnosis", "site"))

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--method", "alternation"],
            ["--method", "urn", "--alpha", "1"],
            ["--method", "permuted-blocks", "--block-size", "3"],
            ["--sites", "01"],
            ["--ratio", "A:0,B:1"],
        ],
    )
    def test_what_it_cannot_try_is_said_in_words(self, arguments: Sequence[str]) -> None:
        code, printed = self.run(*arguments)

        assert code == 2
        assert "Invalid value" in printed
