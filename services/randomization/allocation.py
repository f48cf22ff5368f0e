"""The methods of allocation by name: which there are, what each is told, and what it says of the next subject.

A method is data, so that a scheme can be sealed with it. Permuted blocks make a list of each stratum beforehand; the
other methods look at the counts when a subject comes, and draw. The arithmetic of each stands in its own module.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.randomization import biased_coin, minimization, permuted_blocks, urn
from services.randomization.minimization import Distance
from services.randomization.odds import Choice, Counts, Odds, Ratio, proportional
from services.randomization.stream import SEED_BYTES, below, slot_stream

WHOLE = "stratum"
"""The one key of the counts of a method that balances a stratum, or the trial, as a whole."""


class _Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Simple(_Parameters):
    """Every subject by the ratio alone."""

    name: Literal["simple"] = "simple"


class PermutedBlocks(_Parameters):
    """Lists of blocks, their sizes drawn with equal chance."""

    name: Literal["permuted-blocks"] = "permuted-blocks"
    block_sizes: tuple[int, ...]


class BiasedCoin(_Parameters):
    """Efron's coin; `p` is the chance of the arm that is behind."""

    name: Literal["biased-coin"] = "biased-coin"
    p: Fraction


class Urn(_Parameters):
    """Wei's urn UD(α, β)."""

    name: Literal["urn"] = "urn"
    alpha: int
    beta: int


class Minimization(_Parameters):
    """Pocock and Simon's method over weighted factors; `p` is the chance of the preferred arms."""

    name: Literal["minimization"] = "minimization"
    weights: Mapping[str, Fraction]
    distance: Distance = "range"
    p: Fraction


Dynamic = Simple | BiasedCoin | Urn | Minimization
"""The methods that look at the counts when a subject comes."""

Method = Annotated[PermutedBlocks | Dynamic, Field(discriminator="name")]
"""A method and its parameters, as a scheme holds them; fractions are written `"4/5"`."""


_METHOD: TypeAdapter[PermutedBlocks | Dynamic] = TypeAdapter(Method)


def method_named(name: str, parameters: Mapping[str, object]) -> PermutedBlocks | Dynamic:
    """The method of that name, fractions as text (`"4/5"`).

    Raises ValueError for a name that no method has, a parameter that is missing or wrong, and one that it has not.
    """
    try:
        return _METHOD.validate_python({**parameters, "name": name})
    except ValidationError as invalid:
        faults = (": ".join([*(str(part) for part in each["loc"]), each["msg"]]) for each in invalid.errors())
        raise ValueError("; ".join(faults)) from invalid


def odds(method: Dynamic, ratio: Ratio, counts: Mapping[str, Counts]) -> Odds:
    """The chances of the new subject's arms, before the draw.

    `counts` are those of the earlier subjects by arm: for minimization, of each factor at the new subject's level; for
    the coin and the urn those of its stratum under the one key `stratum`; simple randomization looks at none.
    Raises ValueError for counts, parameters or a ratio that the method is not defined for.
    """
    match method:
        case Simple():
            return proportional(ratio)
        case BiasedCoin(p=p):
            return biased_coin.odds(_whole(counts), ratio, p=p)
        case Urn(alpha=alpha, beta=beta):
            return urn.odds(_whole(counts), ratio, alpha=alpha, beta=beta)
        case Minimization(weights=weights, distance=distance, p=p):
            return minimization.odds(counts, ratio, weights=weights, p=p, distance=distance)


def allocate(
    method: Dynamic, ratio: Ratio, counts: Mapping[str, Counts], *, seed: bytes, label: str, slot: int
) -> Choice:
    """The arm of the subject that takes `slot` of the list `label`: a draw from the seed under the odds of the counts.

    Arguments and errors are those of `odds` and of `slot_stream`. To repeat it without the seed:
    `odds(method, ratio, counts).choose(draw)`.
    """
    chances = odds(method, ratio, counts)
    return chances.choose(below(slot_stream(seed, label, slot), chances.total))


def require_defined(method: PermutedBlocks | Dynamic, ratio: Ratio) -> None:
    """Raises ValueError if the method is not defined for its parameters or for the ratio: asked before it is sealed."""
    nobody = dict.fromkeys(ratio, 0)
    match method:
        case PermutedBlocks(block_sizes=block_sizes):
            permuted_blocks.blocks(bytes(SEED_BYTES), "", block_sizes, ratio)
        case Minimization(weights=weights):
            odds(method, ratio, dict.fromkeys(weights, nobody))
        case _:
            odds(method, ratio, {WHOLE: nobody})


def _whole(counts: Mapping[str, Counts]) -> Counts:
    if counts.keys() != {WHOLE}:
        raise ValueError(f"the method looks at one stratum, under the key {WHOLE!r}")
    return counts[WHOLE]
