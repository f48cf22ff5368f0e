"""Which arm the next slot of a stratum gets: stratified permuted blocks of random sizes, drawn from a secret seed.

Each stratum has a list of its own, a pure function of the seed and of the stratum's name. It can be derived again
when the seed is revealed at database lock, and until then by nobody who does not hold the seed. ICH E9 §2.3.2 asks
for both: a schedule that is reproducible, and details of it (such as the block sizes) that the sites do not learn.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count

SEED_BYTES = 32
BLOCK_SIZE_MAX = 256  # a draw is one byte of the stream, so it tells at most 256 outcomes apart


def arms(seed: bytes, label: str, block_sizes: Sequence[int], ratio: Mapping[str, int]) -> Iterator[str]:
    """The endless list of arms of the stratum `label`, slot 0 first. Arguments and errors are those of `blocks`."""
    return chain.from_iterable(blocks(seed, label, block_sizes, ratio))


def blocks(seed: bytes, label: str, block_sizes: Sequence[int], ratio: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """The same list block by block, for its verification once the seed is revealed. Sites never see block borders.

    `seed` is 32 secret bytes, `label` the stratum's name (`RA|01`), `block_sizes` the sizes that are drawn from with
    equal chance, and `ratio` the arms in order with their integer shares (`{"MSC": 1, "CSA": 1}`). Every block holds
    the arms in that ratio, in an order drawn by Fisher–Yates from its end.

    Raises ValueError for a seed of another length, a share that is not positive, or a block size that is no
    multiple of the sum of the shares or is over 256.
    """
    _check_seed(seed)
    if not ratio or any(share <= 0 for share in ratio.values()):
        raise ValueError("every arm has a positive whole share")
    smallest = sum(ratio.values())
    if not 1 <= len(block_sizes) <= 256:
        raise ValueError("a list has from 1 to 256 block sizes")
    for size in block_sizes:
        if size <= 0 or size % smallest or size > BLOCK_SIZE_MAX:
            raise ValueError(f"block size {size} is no multiple of {smallest} up to {BLOCK_SIZE_MAX}")
    return _draw_blocks(_stream(seed, label), tuple(block_sizes), dict(ratio))


def _draw_blocks(stream: Iterator[int], sizes: tuple[int, ...], ratio: dict[str, int]) -> Iterator[tuple[str, ...]]:
    while True:
        size = sizes[_below(stream, len(sizes))]
        rounds = size // sum(ratio.values())
        block = [arm for arm, share in ratio.items() for _ in range(share * rounds)]
        for last in range(size - 1, 0, -1):
            drawn = _below(stream, last + 1)
            block[last], block[drawn] = block[drawn], block[last]
        yield tuple(block)


def _stream(seed: bytes, label: str) -> Iterator[int]:
    """The bytes of HMAC-SHA256(seed, label ‖ uint64BE(counter)) for the counter 0, 1, 2 …"""
    prefix = label.encode()
    for counter in count():
        yield from hmac.digest(seed, prefix + counter.to_bytes(8, "big"), "sha256")


def _below(stream: Iterator[int], n: int) -> int:
    """A uniform draw of 0 … n − 1, n at most 256.

    Bytes from the last whole multiple of n on are rejected: to fold them back would favour the low values.
    """
    limit = 256 - 256 % n
    return next(byte for byte in stream if byte < limit) % n


def _check_seed(seed: bytes) -> None:
    if len(seed) != SEED_BYTES:
        raise ValueError(f"the seed has {SEED_BYTES} bytes, not {len(seed)}")
