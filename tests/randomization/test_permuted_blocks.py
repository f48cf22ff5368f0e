"""Stratified permuted blocks: the published lists, and what holds for every list.

The vectors were computed apart from this code for seed 00…1f, block sizes {2, 4} and the arms MSC, CSA at 1:1.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import accumulate, islice, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.randomization.permuted_blocks import arms, blocks, draw_blocks

SEED = bytes(range(32))
EQUAL = {"MSC": 1, "CSA": 1}

PUBLISHED_SIZES = (2, 4)
PUBLISHED_LISTS = {
    "RA|S01": ((4, 4, 2, 4), "C C M M C M M C C M M C M C"),
    "RARS|S01": ((2, 4, 2, 4), "C M M M C C M C M C M C"),
}

seeds = st.binary(min_size=32, max_size=32)
labels = st.text(min_size=1, max_size=12)
ratios = st.dictionaries(st.sampled_from(["MSC", "CSA", "BSC"]), st.integers(1, 3), min_size=1)


@st.composite
def schemes(draw: st.DrawFn) -> tuple[list[int], dict[str, int]]:
    """Block sizes and the ratio that they are multiples of."""
    ratio = draw(ratios)
    rounds = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    return [sum(ratio.values()) * n for n in rounds], ratio


class TestPublishedVectors:
    @pytest.mark.parametrize("label", PUBLISHED_LISTS)
    def test_a_stratum_has_its_published_list(self, label: str) -> None:
        sizes, initials = PUBLISHED_LISTS[label]
        drawn = list(islice(blocks(SEED, label, PUBLISHED_SIZES, EQUAL), len(sizes)))

        assert tuple(len(block) for block in drawn) == sizes
        assert " ".join(arm[0] for block in drawn for arm in block) == initials

    def test_the_lists_as_canonical_json_have_the_published_digest(self) -> None:
        """Rows are [block, size, place in the block, arm], blocks and places counted from 1."""
        rows = {
            label: [
                [number, len(block), place, arm]
                for number, block in enumerate(islice(blocks(SEED, label, PUBLISHED_SIZES, EQUAL), len(sizes)), start=1)
                for place, arm in enumerate(block, start=1)
            ]
            for label, (sizes, _) in PUBLISHED_LISTS.items()
        }
        canonical = json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()

        assert len(canonical) == 389
        assert (
            hashlib.sha256(canonical).hexdigest() == "161b9f0f6d609e68969cb8e97395012b7a019080c2c5c6cebd9b2e092c857533"
        )


class TestTheDrawing:
    """All draws of a block, not a sample of them: a stream of the numbers themselves, all of them accepted."""

    def test_every_order_of_a_block_of_four_comes_of_equally_many_draws(self) -> None:
        drawn = Counter(
            next(draw_blocks(iter([0, fourth, third, second]), (4,), EQUAL))
            for fourth, third, second in product(range(4), range(3), range(2))
        )

        assert len(drawn) == 6
        assert set(drawn.values()) == {4}

    def test_every_order_of_unequal_arms_comes_of_equally_many_draws(self) -> None:
        drawn = Counter(
            next(draw_blocks(iter([0, third, second]), (3,), {"MSC": 2, "CSA": 1}))
            for third, second in product(range(3), range(2))
        )

        assert drawn == {("MSC", "MSC", "CSA"): 2, ("MSC", "CSA", "MSC"): 2, ("CSA", "MSC", "MSC"): 2}

    def test_the_size_is_drawn_first_and_each_comes_of_one_draw(self) -> None:
        """A place that is drawn for its own last one stays: the arms keep their order."""
        stay = [[1], [3, 2, 1], [5, 4, 3, 2, 1]]
        first = [next(draw_blocks(iter([size, *stay[size]]), (2, 4, 6), EQUAL)) for size in range(3)]

        assert first == [("MSC",) * half + ("CSA",) * half for half in (1, 2, 3)]


class TestEveryList:
    @given(seed=seeds, label=labels, scheme=schemes())
    @settings(max_examples=50)
    def test_each_complete_block_holds_the_arms_in_their_ratio(
        self, seed: bytes, label: str, scheme: tuple[list[int], dict[str, int]]
    ) -> None:
        sizes, ratio = scheme
        for block in islice(blocks(seed, label, sizes, ratio), 8):
            rounds = len(block) // sum(ratio.values())
            assert len(block) in sizes
            assert Counter(block) == {arm: share * rounds for arm, share in ratio.items()}

    @given(seed=seeds, label=labels, sizes=st.sampled_from([(2,), (4,), (2, 4), (4, 6), (2, 4, 6)]))
    @settings(max_examples=50)
    def test_two_arms_never_differ_by_more_than_half_of_the_largest_block(
        self, seed: bytes, label: str, sizes: tuple[int, ...]
    ) -> None:
        steps = (1 if arm == "MSC" else -1 for arm in islice(arms(seed, label, sizes, EQUAL), 60))

        assert max(abs(difference) for difference in accumulate(steps)) <= max(sizes) // 2

    @given(seed=seeds, label=labels, scheme=schemes(), slots=st.integers(0, 60))
    @settings(max_examples=50)
    def test_a_slot_has_the_same_arm_whenever_it_is_asked_for(
        self, seed: bytes, label: str, scheme: tuple[list[int], dict[str, int]], slots: int
    ) -> None:
        sizes, ratio = scheme
        longer = list(islice(arms(seed, label, sizes, ratio), slots + 1))

        assert list(islice(arms(seed, label, sizes, ratio), slots)) == longer[:-1]

    @given(seed=seeds, label=labels, other=labels)
    @settings(max_examples=50)
    def test_the_list_of_one_stratum_tells_nothing_of_another(self, seed: bytes, label: str, other: str) -> None:
        """Sixty-four slots agree by chance about once in 2^40 pairs of lists."""
        first = list(islice(arms(seed, label, (4, 6), EQUAL), 64))
        second = list(islice(arms(seed, other, (4, 6), EQUAL), 64))

        assert (first == second) == (label == other)

    def test_another_seed_gives_another_list(self) -> None:
        first = list(islice(arms(SEED, "RA|01", (4, 6), EQUAL), 64))
        second = list(islice(arms(SEED[::-1], "RA|01", (4, 6), EQUAL), 64))

        assert first != second

    def test_the_six_orders_of_a_block_of_four_are_equally_frequent(self) -> None:
        """χ² with 5 degrees of freedom stays under 20.5 (p = 0.001)."""
        drawn = Counter(islice(blocks(SEED, "RA|01", (4,), EQUAL), 60_000))
        expected = 10_000

        assert len(drawn) == 6
        assert sum((seen - expected) ** 2 / expected for seen in drawn.values()) < 20.5

    def test_block_sizes_are_drawn_equally_often(self) -> None:
        """Of 20 000 blocks about half have size 4: within four standard deviations (σ = 71)."""
        drawn = Counter(len(block) for block in islice(blocks(SEED, "RA|01", (4, 6), EQUAL), 20_000))

        assert set(drawn) == {4, 6}
        assert abs(drawn[4] - 10_000) < 4 * 71


class TestSchemesThatAreRefused:
    @pytest.mark.parametrize("size", [0, -2, 3, 5, 258])
    def test_a_block_that_cannot_hold_the_ratio(self, size: int) -> None:
        with pytest.raises(ValueError, match="multiple"):
            arms(SEED, "RA|01", (4, size), EQUAL)

    def test_a_list_without_block_sizes(self) -> None:
        with pytest.raises(ValueError, match="block size"):
            arms(SEED, "RA|01", (), EQUAL)

    @pytest.mark.parametrize("ratio", [{}, {"MSC": 0, "CSA": 1}, {"MSC": -1, "CSA": 1}])
    def test_an_arm_without_a_share(self, ratio: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="share"):
            arms(SEED, "RA|01", (4,), ratio)

    @pytest.mark.parametrize("length", [0, 16, 31, 33])
    def test_a_seed_of_another_length_than_32_bytes(self, length: int) -> None:
        with pytest.raises(ValueError, match="seed"):
            arms(bytes(length), "RA|01", (4,), EQUAL)
