"""Which arm the next slot of a stratum gets: stratified permuted blocks of random sizes, drawn from a secret seed.

Each stratum has a list of its own, a pure function of the seed and of the stratum's name. It can be derived again
when the seed is revealed at database lock, and until then by nobody who does not hold the seed. ICH E9 §2.3.2 asks
for both: a schedule that is reproducible, and details of it (such as the block sizes) that the sites do not learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from services.randomization.odds import Ratio, require_shares
from services.randomization.stream import Stream, below, secret_stream

BLOCK_SIZE_MAX = 256  # so that every draw is one byte of the stream, as in the published lists


def arms(seed: bytes, label: str, block_sizes: Sequence[int], ratio: Ratio) -> Iterator[str]:
    """The endless list of arms of the stratum `label`, slot 0 first. Arguments and errors are those of `blocks`."""
    return chain.from_iterable(blocks(seed, label, block_sizes, ratio))


def blocks(seed: bytes, label: str, block_sizes: Sequence[int], ratio: Ratio) -> Iterator[tuple[str, ...]]:
    """The same list block by block, for its verification once the seed is revealed. Sites never see block borders.

    `seed` is 32 secret bytes, `label` the stratum's name (`RA|01`), `block_sizes` the sizes that are drawn from with
    equal chance, and `ratio` the arms in order with their integer shares (`{"MSC": 1, "CSA": 1}`). Every block holds
    the arms in that ratio, in an order drawn by Fisher–Yates from its end.

    Raises ValueError for a seed of another length, a share that is not positive, or a block size that is no
    multiple of the sum of the shares or is over 256.
    """
    return draw_blocks(secret_stream(seed, label), block_sizes, ratio)


def draw_blocks(stream: Stream, block_sizes: Sequence[int], ratio: Ratio) -> Iterator[tuple[str, ...]]:
    """The blocks that a stream of bytes makes. Arguments and errors are those of `blocks`."""
    require_shares(ratio)
    smallest = sum(ratio.values())
    if not 1 <= len(block_sizes) <= 256:
        raise ValueError("a list has from 1 to 256 block sizes")
    for size in block_sizes:
        if size <= 0 or size % smallest or size > BLOCK_SIZE_MAX:
            raise ValueError(f"block size {size} is no multiple of {smallest} up to {BLOCK_SIZE_MAX}")
    return _blocks(stream, tuple(block_sizes), dict(ratio))


def _blocks(stream: Stream, sizes: tuple[int, ...], ratio: dict[str, int]) -> Iterator[tuple[str, ...]]:
    while True:
        size = sizes[below(stream, len(sizes))]
        rounds = size // sum(ratio.values())
        block = [arm for arm, share in ratio.items() for _ in range(share * rounds)]
        for last in range(size - 1, 0, -1):
            drawn = below(stream, last + 1)
            block[last], block[drawn] = block[drawn], block[last]
        yield tuple(block)
