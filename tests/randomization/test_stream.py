"""What is drawn from the seed: the bytes, uniform numbers of any range, and the commitment."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from itertools import islice, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.randomization.stream import below, secret_stream, seed_commitment, slot_stream

SEED = bytes(range(32))


class TestTheStream:
    def test_it_is_hmac_sha256_of_the_label_and_a_counter(self) -> None:
        first, second = (hmac.new(SEED, b"RA|S01" + bytes(7) + bytes([n]), hashlib.sha256).digest() for n in (0, 1))

        assert bytes(islice(secret_stream(SEED, "RA|S01"), 64)) == first + second

    def test_a_label_is_utf_8(self) -> None:
        digest = hmac.new(SEED, "再障|01".encode() + bytes(8), hashlib.sha256).digest()

        assert bytes(islice(secret_stream(SEED, "再障|01"), 32)) == digest

    def test_a_slot_has_a_stream_of_its_own(self) -> None:
        assert bytes(islice(slot_stream(SEED, "RA|01", 7), 32)) == bytes(islice(secret_stream(SEED, "RA|01#7"), 32))

    def test_slots_are_counted_from_0(self) -> None:
        with pytest.raises(ValueError, match="slots"):
            slot_stream(SEED, "RA|01", -1)

    @pytest.mark.parametrize("length", [0, 16, 31, 33])
    def test_a_seed_of_another_length_is_refused(self, length: int) -> None:
        with pytest.raises(ValueError, match="seed"):
            secret_stream(bytes(length), "RA|01")


class TestADraw:
    @pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 100, 255, 256])
    def test_every_number_is_drawn_from_equally_many_bytes(self, n: int) -> None:
        """All 256 bytes are tried: an accepted one is followed by a marker that is then still there."""
        drawn = Counter(below(iter([byte]), n) for byte in range(256 - 256 % n))

        assert set(drawn) == set(range(n))
        assert len(set(drawn.values())) == 1

    @pytest.mark.parametrize("n", [3, 5, 6, 100, 255])
    def test_bytes_over_the_last_whole_multiple_are_rejected(self, n: int) -> None:
        for byte in range(256 - 256 % n, 256):
            assert below(iter([byte, 2]), n) == 2

    @pytest.mark.parametrize("n", [257, 300, 1000, 65_535, 65_536])
    def test_a_larger_range_is_drawn_from_two_bytes_equally(self, n: int) -> None:
        drawn = Counter(
            below(iter(pair), n)
            for pair in product(range(256), repeat=2)
            if int.from_bytes(bytes(pair), "big") < 65_536 - 65_536 % n
        )

        assert set(drawn) == set(range(n))
        assert len(set(drawn.values())) == 1

    def test_a_rejected_pair_is_read_anew_as_a_whole(self) -> None:
        stream = iter([255, 255, 1, 2, 9])

        assert below(stream, 300) == (256 + 2) % 300
        assert next(stream) == 9

    def test_the_first_byte_weighs_most(self) -> None:
        assert below(iter([1, 0, 0]), 65_537) == 65_536

    @given(n=st.integers(1, 2**80), label=st.text(max_size=4))
    @settings(max_examples=80)
    def test_it_is_in_its_range_and_can_be_repeated(self, n: int, label: str) -> None:
        drawn = below(secret_stream(SEED, label), n)

        assert 0 <= drawn < n
        assert drawn == below(secret_stream(SEED, label), n)

    @pytest.mark.parametrize("n", [0, -1])
    def test_there_is_nothing_below_zero(self, n: int) -> None:
        with pytest.raises(ValueError, match="one number at least"):
            below(iter([0]), n)


class TestTheCommitment:
    def test_it_is_the_published_one(self) -> None:
        """Computed apart from this code for seed 00…1f and a nonce of 32 bytes 11."""
        published = "86542df86a43d90016be95203c16350466ab4bafe2d35fb17da314516a25324b"

        assert seed_commitment(SEED, b"\x11" * 32) == published

    @given(seed=st.binary(min_size=32, max_size=32), nonce=st.binary(min_size=32, max_size=32))
    @settings(max_examples=30)
    def test_it_binds_to_the_seed_and_to_the_nonce(self, seed: bytes, nonce: bytes) -> None:
        assert (seed_commitment(seed, nonce) == seed_commitment(SEED, nonce)) == (seed == SEED)
        assert (seed_commitment(SEED, nonce) == seed_commitment(SEED, seed)) == (nonce == seed)

    @pytest.mark.parametrize(("seed", "nonce"), [(31, 32), (32, 31), (33, 31)])
    def test_seed_and_nonce_cannot_run_into_each_other(self, seed: int, nonce: int) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            seed_commitment(bytes(seed), bytes(nonce))
