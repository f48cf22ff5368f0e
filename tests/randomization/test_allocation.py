"""The methods by name: what a scheme says of each, what it is told, and a draw that can be repeated alone."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from fractions import Fraction
from itertools import islice
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.randomization.allocation import (
    WHOLE,
    BiasedCoin,
    Dynamic,
    Minimization,
    PermutedBlocks,
    Simple,
    Urn,
    allocate,
    method_named,
    odds,
    require_defined,
)
from services.randomization.simulation import exact_differences
from services.randomization.stream import below, secret_stream

SEED = bytes(range(32))
EQUAL = {"MSC": 1, "CSA": 1}

MINIMIZATION = Minimization(weights={"site": Fraction(1), "diagnosis": Fraction(2)}, p=Fraction(4, 5))
METHODS: dict[str, tuple[dict[str, object], PermutedBlocks | Dynamic]] = {
    "simple": ({}, Simple()),
    "permuted-blocks": ({"block_sizes": [4, 6]}, PermutedBlocks(block_sizes=(4, 6))),
    "biased-coin": ({"p": "2/3"}, BiasedCoin(p=Fraction(2, 3))),
    "urn": ({"alpha": 0, "beta": 1}, Urn(alpha=0, beta=1)),
    "minimization": ({"weights": {"site": 1, "diagnosis": 2}, "p": "0.8"}, MINIMIZATION),
}
THREE_FACTORS = Minimization(weights=dict.fromkeys("xyz", Fraction(1)), p=Fraction(4, 5))
THREE_COUNTS = {"x": {"MSC": 3, "CSA": 0}, "y": {"MSC": 0, "CSA": 1}, "z": {"MSC": 0, "CSA": 1}}
"""With MSC the differences are 4, 0, 0 and with CSA 2, 2, 2: MSC has the smaller sum and CSA the smaller squares."""

DYNAMIC: list[tuple[Dynamic, dict[str, dict[str, int]], dict[str, int]]] = [
    (Simple(), {}, {"MSC": 1, "CSA": 1}),
    (BiasedCoin(p=Fraction(2, 3)), {WHOLE: {"MSC": 3, "CSA": 2}}, {"MSC": 1, "CSA": 2}),
    (Urn(alpha=1, beta=2), {WHOLE: {"MSC": 3, "CSA": 2}}, {"MSC": 5, "CSA": 7}),
    (MINIMIZATION, {"site": {"MSC": 3, "CSA": 2}, "diagnosis": {"MSC": 0, "CSA": 2}}, {"MSC": 4, "CSA": 1}),
    (THREE_FACTORS, THREE_COUNTS, {"MSC": 4, "CSA": 1}),
    (THREE_FACTORS.model_copy(update={"distance": "variance"}), THREE_COUNTS, {"MSC": 1, "CSA": 4}),
]
"""Each method, earlier subjects, and the tickets that follow by hand."""


def test_the_arithmetic_of_each_method_needs_the_standard_library_alone() -> None:
    """A verifier can use it on a machine where nothing was installed (`-S`: no site-packages)."""
    modules = ("stream", "odds", "permuted_blocks", "biased_coin", "urn", "minimization")
    imports = ", ".join(f"services.randomization.{module}" for module in modules)
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run([sys.executable, "-S", "-c", f"import {imports}"], cwd=root, capture_output=True, check=False)

    assert ran.returncode == 0, ran.stderr.decode()


class TestAMethodAsData:
    @pytest.mark.parametrize("name", METHODS)
    def test_it_is_found_by_its_name(self, name: str) -> None:
        parameters, method = METHODS[name]

        assert method_named(name, parameters) == method

    @pytest.mark.parametrize("name", METHODS)
    def test_it_can_be_written_down_and_read_again_exactly(self, name: str) -> None:
        _, method = METHODS[name]
        written = method.model_dump(mode="json")

        assert method_named(written.pop("name"), written) == method

    @pytest.mark.parametrize(
        ("name", "parameters", "said"),
        [
            ("alternation", {}, "alternation"),
            ("urn", {"alpha": 1}, "beta"),
            ("simple", {"p": "1/2"}, "p"),
            ("biased-coin", {"p": "often"}, "p"),
            ("minimization", {"weights": {"site": 1}, "p": "4/5", "distance": "SD"}, "distance"),
        ],
    )
    def test_what_is_wrong_with_it_is_said(self, name: str, parameters: dict[str, object], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            method_named(name, parameters)

    @pytest.mark.parametrize("name", METHODS)
    def test_all_are_defined_for_two_equal_arms(self, name: str) -> None:
        require_defined(METHODS[name][1], EQUAL)

    @pytest.mark.parametrize(
        ("method", "ratio"),
        [
            (Simple(), {"MSC": 0, "CSA": 1}),
            (PermutedBlocks(block_sizes=(4,)), {"MSC": 2, "CSA": 1}),
            (BiasedCoin(p=Fraction(2, 3)), {"MSC": 2, "CSA": 1}),
            (BiasedCoin(p=Fraction(1, 3)), EQUAL),
            (Urn(alpha=1, beta=1), {"MSC": 2, "CSA": 1}),
            (MINIMIZATION, {"MSC": 5, "CSA": 1}),
        ],
    )
    def test_what_a_method_is_not_defined_for_is_refused_before_it_is_sealed(
        self, method: PermutedBlocks | Dynamic, ratio: dict[str, int]
    ) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 (each method says it in its own words, tested with it)
            require_defined(method, ratio)


class TestAnAllocation:
    @pytest.mark.parametrize(("method", "counts", "tickets"), DYNAMIC)
    def test_the_counts_alone_make_the_tickets(
        self, method: Dynamic, counts: dict[str, dict[str, int]], tickets: dict[str, int]
    ) -> None:
        assert odds(method, EQUAL, counts).tickets == tickets

    @pytest.mark.parametrize(("method", "counts", "tickets"), DYNAMIC)
    def test_the_number_is_drawn_from_the_stream_of_the_slot(
        self, method: Dynamic, counts: dict[str, dict[str, int]], tickets: dict[str, int]
    ) -> None:
        choice = allocate(method, EQUAL, counts, seed=SEED, label="RA|01", slot=5)

        assert choice.draw == below(secret_stream(SEED, "RA|01#5"), sum(tickets.values()))

    @given(slot=st.integers(0, 999), label=st.sampled_from(["RA|01", "RARS|01", ""]), which=st.sampled_from(DYNAMIC))
    @settings(max_examples=60)
    def test_it_can_be_repeated_alone_without_the_seed(
        self, slot: int, label: str, which: tuple[Dynamic, dict[str, dict[str, int]], dict[str, int]]
    ) -> None:
        method, counts, _ = which
        choice = allocate(method, EQUAL, counts, seed=SEED, label=label, slot=slot)

        assert odds(method, EQUAL, counts).choose(choice.draw) == choice

    def test_one_slot_tells_nothing_of_the_next(self) -> None:
        """A thousand slots of a fair draw: within four standard deviations (σ = 16) of half, and pairs of a quarter."""
        arms = [allocate(Simple(), EQUAL, {}, seed=SEED, label="RA|01", slot=slot).arm for slot in range(1000)]
        pairs = Counter(zip(arms, islice(arms, 1, None), strict=False))

        assert abs(arms.count("MSC") - 500) < 64
        assert all(abs(seen - 250) < 4 * 14 for seen in pairs.values())

    def test_drawn_from_the_seed_the_coin_has_its_exact_distribution(self) -> None:
        """2 000 trials of four subjects: each difference within four standard deviations of its exact frequency."""
        trials, coin = 2000, BiasedCoin(p=Fraction(2, 3))
        differences: Counter[int] = Counter()
        for trial in range(trials):
            seen = {"MSC": 0, "CSA": 0}
            for slot in range(4):
                seen[allocate(coin, EQUAL, {WHOLE: seen}, seed=SEED, label=f"trial {trial}", slot=slot).arm] += 1
            differences[seen["MSC"] - seen["CSA"]] += 1

        for difference, chance in exact_differences(coin, 4).items():
            spread = sqrt(trials * chance * (1 - chance))
            assert abs(differences[difference] - trials * chance) < 4 * spread

    @pytest.mark.parametrize("method", [BiasedCoin(p=Fraction(2, 3)), Urn(alpha=1, beta=1)])
    @pytest.mark.parametrize("counts", [{}, {"site": {"MSC": 0, "CSA": 0}}, {WHOLE: EQUAL, "site": EQUAL}])
    def test_a_method_of_one_stratum_takes_the_counts_of_one(
        self, method: Dynamic, counts: dict[str, dict[str, int]]
    ) -> None:
        with pytest.raises(ValueError, match="one stratum"):
            odds(method, EQUAL, counts)
