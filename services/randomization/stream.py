"""What is drawn from a secret seed: a stream of bytes for every label, and uniform whole numbers from it.

HMAC-SHA256 in counter mode, and rejection in place of rounding: every number has exactly the same chance, and whoever
holds the seed can repeat a draw with the standard library of any language. Nobody else can tell the next byte.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from itertools import count, islice

SEED_BYTES = 32
NONCE_BYTES = 32

Stream = Iterator[int]
"""Bytes without an end, each from 0 to 255."""


def secret_stream(seed: bytes, label: str) -> Stream:
    """The bytes of HMAC-SHA256(seed, label ‖ uint64BE(counter)) for the counter 0, 1, 2 …, `label` as UTF-8.

    Raises ValueError for a seed that has not 32 bytes.
    """
    _require_length("seed", seed, SEED_BYTES)
    return _digests(seed, label.encode())


def slot_stream(seed: bytes, label: str, slot: int) -> Stream:
    """The stream of one allocation alone: that of the label `label#slot`, slots counted from 0.

    A method that looks at the counts draws from another range at each allocation. With a stream for each, one draw can
    be repeated without those before it. Raises ValueError as `secret_stream`, and for a negative slot.
    """
    if slot < 0:
        raise ValueError("slots are counted from 0")
    return secret_stream(seed, f"{label}#{slot}")


def below(stream: Stream, n: int) -> int:
    """A uniform draw of 0 … n − 1.

    A number of w bytes is read, most significant byte first, w the least (but one) with 256^w ≥ n. Numbers from the
    last whole multiple of n on are rejected and read anew: to fold them back would favour the low values. The draw is
    the rest of the division by n. Raises ValueError for an n under 1.
    """
    if n < 1:
        raise ValueError("a draw is from one number at least")
    if n <= 256:  # the same rule, in the form that lists of blocks are quick with
        limit = 256 - 256 % n
        return next(byte for byte in stream if byte < limit) % n
    width = ((n - 1).bit_length() + 7) // 8
    limit = 256**width - 256**width % n
    while True:
        number = int.from_bytes(islice(stream, width), "big")
        if number < limit:
            return number % n


def seed_commitment(seed: bytes, nonce: bytes) -> str:
    """What is published before the first allocation: SHA-256("rand-seed-v1" ‖ 0x00 ‖ nonce ‖ seed), in hex.

    It binds to the seed and tells nothing of it; both are shown at the reveal. Raises ValueError for a seed or a nonce
    that has not 32 bytes.
    """
    _require_length("seed", seed, SEED_BYTES)
    _require_length("nonce", nonce, NONCE_BYTES)
    return hashlib.sha256(b"rand-seed-v1\0" + nonce + seed).hexdigest()


def _digests(seed: bytes, prefix: bytes) -> Stream:
    for counter in count():
        yield from hmac.digest(seed, prefix + counter.to_bytes(8, "big"), "sha256")


def _require_length(name: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise ValueError(f"the {name} has {length} bytes, not {len(value)}")
