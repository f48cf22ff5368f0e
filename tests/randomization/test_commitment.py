"""What is committed to cannot be changed, and tells nothing before it is opened."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.randomization.commitment import list_root, parameters_commitment

SEED = bytes(range(32))
NONCE = b"\x11" * 32
ARMS = st.lists(st.sampled_from(["MSC", "CSA"]), max_size=40)


def test_parameters_are_committed_to_in_one_form() -> None:
    canonical = b'{"block_sizes":[4,6]}'
    expected = hashlib.sha256(b"rand-parameters-v1\0" + NONCE + canonical).hexdigest()
    assert parameters_commitment(NONCE, {"block_sizes": [4, 6]}) == expected


def test_the_root_of_one_row_is_its_salted_leaf_and_that_of_none_the_empty_hash() -> None:
    assert list_root(SEED, "RA|01", []) == hashlib.sha256().hexdigest()
    assert list_root(SEED, "RA|01", ["MSC"]) != list_root(bytes(32), "RA|01", ["MSC"])


def test_a_tree_is_split_at_the_largest_power_of_two() -> None:
    """RFC 9162 §2.1.1: the root of three is that of the first two, with that of the third."""
    two = bytes.fromhex(list_root(SEED, "RA", ["MSC", "CSA"]))
    three = bytes.fromhex(list_root(SEED, "RA", ["MSC", "CSA", "CSA"]))
    thirds = {hashlib.sha256(b"\x01" + two + third).digest() for third in _leaves("RA", 2, "CSA")}
    assert three in thirds


def _leaves(stratum: str, slot: int, arm: str) -> set[bytes]:
    """The leaf of a row, found independently of the code under test."""
    salt = hmac.new(SEED, b"rand-row-salt-v1\0" + stratum.encode() + slot.to_bytes(8, "big"), "sha256").digest()
    row = f'{{"arm":"{arm}","slot":{slot},"stratum":"{stratum}"}}'.encode()
    return {hashlib.sha256(b"\x00" + row + salt).digest()}


@given(ARMS, st.data())
def test_any_other_list_has_another_root(arms: list[str], data: st.DataObject) -> None:
    other = data.draw(ARMS)
    assert (list_root(SEED, "RA", arms) == list_root(SEED, "RA", other)) == (arms == other)


@pytest.mark.parametrize("stratum", ["RA|02", "RARS|01", "RA"])
def test_each_stratum_has_a_root_of_its_own(stratum: str) -> None:
    assert list_root(SEED, stratum, ["MSC", "CSA"]) != list_root(SEED, "RA|01", ["MSC", "CSA"])
