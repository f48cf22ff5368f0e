"""What is published of a secret allocation list before it is used, so that nobody can change it afterwards.

A commitment binds whoever made it and tells nothing until it is opened. Committed to are the seed
(`stream.seed_commitment`), the parameters that the sites must not learn (such as block sizes), and each stratum's list
row by row, as the root of a Merkle tree: to disclose one row discloses no other. Everything here needs the standard
library alone, as its verifier does.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

_PARAMETERS = b"rand-parameters-v1\0"
_SALT = b"rand-row-salt-v1\0"


def parameters_commitment(nonce: bytes, parameters: Mapping[str, object]) -> str:
    """SHA-256("rand-parameters-v1" ‖ 0x00 ‖ nonce ‖ canonical JSON), in hexadecimal digits."""
    return hashlib.sha256(_PARAMETERS + nonce + _canonical(parameters)).hexdigest()


def list_root(seed: bytes, stratum: str, arms: Sequence[str]) -> str:
    """The root of the tree over a stratum's rows (RFC 9162 §2.1.1), in hexadecimal digits."""
    return _root([_leaf(seed, stratum, slot, arm) for slot, arm in enumerate(arms)]).hex()


def _leaf(seed: bytes, stratum: str, slot: int, arm: str) -> bytes:
    """SHA-256(0x00 ‖ row ‖ salt): without the salt of its row a leaf could be guessed, there being so few arms."""
    row = _canonical({"arm": arm, "slot": slot, "stratum": stratum})
    salt = hmac.digest(seed, _SALT + stratum.encode() + slot.to_bytes(8, "big"), "sha256")
    return hashlib.sha256(b"\x00" + row + salt).digest()


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256().digest()
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _root(leaves[:left]) + _root(leaves[left:])).digest()


def _canonical(value: Mapping[str, object]) -> bytes:
    """JSON with sorted names and no spaces (RFC 8785, for texts and whole numbers)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
