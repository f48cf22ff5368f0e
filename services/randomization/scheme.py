"""The rules of a randomization scheme: sealed before it is used, never edited, revealed once and then never used again.

Of a scheme the log tells the method and its parameters, the arms and their ratio, the strata, and commitments to what
the sites must not learn: the seed and the block sizes (ICH E9 §2.3.2). These lie outside the log, see `vault`. A new
version takes effect for later subjects; allocations name the version that they were made under.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product

from services.randomization.allocation import method_named, require_defined
from services.randomization.commands import (
    AnyScheme,
    BlockedScheme,
    DynamicScheme,
    MinimizationScheme,
    RevealSeed,
    Scheme,
    SealScheme,
)
from services.randomization.commitment import list_root, parameters_commitment
from services.randomization.events import ArmShare, Parameters, RandomizationSchemeSealed, RandomizationSeedRevealed
from services.randomization.permuted_blocks import arms
from services.randomization.stream import seed_commitment
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import INVALID, refusal
from shared.protocol import Protocol

UNKNOWN_SCHEME = refusal("unknown-scheme", 404, "No scheme of that version has been sealed.")
SCHEME_OUTDATED = refusal(
    "scheme-outdated",
    409,
    "The protocol has other arms or factors of strata than when the scheme was sealed; a statistician seals a new one.",
)
SCHEME_REVEALED = refusal("scheme-revealed", 409, "The seed of the scheme has been revealed.")

ABOUT_SCHEMES = Query((QueryItem(types=(RandomizationSchemeSealed.name, RandomizationSeedRevealed.name)),))


@dataclass(frozen=True, slots=True)
class Secret:
    """What of a scheme lies outside the log until it is revealed. No text of this object tells any of it."""

    seed: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    block_sizes: tuple[int, ...] = field(repr=False)

    @property
    def parameters(self) -> dict[str, object]:
        """The hidden parameters, as they are committed to and revealed."""
        return {"block_sizes": list(self.block_sizes)}


@dataclass(frozen=True, slots=True)
class Schemes:
    """The schemes that have been sealed, in order, and what has been revealed, by version."""

    sealed: tuple[RandomizationSchemeSealed, ...] = ()
    revealed: Mapping[int, RandomizationSeedRevealed] = field(default_factory=dict)

    @property
    def in_effect(self) -> RandomizationSchemeSealed | None:
        """The scheme that the next allocation is made under."""
        return self.sealed[-1] if self.sealed else None

    def require(self, version: int) -> RandomizationSchemeSealed:
        """The scheme of a version. Raises UNKNOWN_SCHEME."""
        if not 1 <= version <= len(self.sealed):
            raise UNKNOWN_SCHEME(version=version)
        return self.sealed[version - 1]


def evolve(schemes: Schemes, recorded: Recorded) -> Schemes:
    """The schemes after one more event."""
    match recorded.event:
        case RandomizationSchemeSealed() as sealed:
            return replace(schemes, sealed=(*schemes.sealed, sealed))
        case RandomizationSeedRevealed(scheme=version) as revealed:
            return replace(schemes, revealed={**schemes.revealed, version: revealed})
        case _:
            return schemes


def default_scheme(protocol: Protocol) -> BlockedScheme:
    """The protocol's own scheme."""
    return BlockedScheme(
        method="permuted-blocks",
        ratio={arm.code: arm.ratio for arm in protocol.arms},
        strata=tuple(factor.name for factor in protocol.allocation.strata),
        block_sizes=protocol.allocation.block_sizes,
    )


def checked(protocol: Protocol, scheme: Scheme) -> Scheme:
    """The scheme, in the order of the protocol's arms and factors.

    Raises INVALID where it does not fit them, and where its method is not defined for its parameters.
    """
    codes, factors = protocol.arm_codes, [factor.name for factor in protocol.allocation.strata]
    if set(scheme.ratio) != set(codes):
        raise INVALID(f"ratio: names each arm of the protocol once: {', '.join(codes)}")
    if not set(scheme.strata) <= set(factors) or len(set(scheme.strata)) != len(scheme.strata):
        raise INVALID(f"strata: are factors of the protocol: {', '.join(factors)}")
    order = {
        "ratio": {code: scheme.ratio[code] for code in codes},
        "strata": tuple(name for name in factors if name in scheme.strata),
    }
    scheme = scheme.model_copy(update=order)
    if isinstance(scheme, BlockedScheme):
        _require_whole_blocks(scheme)
    else:
        _require_defined(scheme)
    return scheme


def _require_whole_blocks(scheme: BlockedScheme) -> None:
    shares = sum(scheme.ratio.values())
    if any(size % shares for size in scheme.block_sizes):
        raise INVALID(f"block_sizes: each is a multiple of the ratio's sum, {shares}")


def _require_defined(scheme: DynamicScheme) -> None:
    if isinstance(scheme, MinimizationScheme) and scheme.weights.keys() != set(scheme.strata):
        raise INVALID("weights: name each factor of the strata once")
    try:
        require_defined(method_named(scheme.method, _published(scheme)), scheme.ratio)
    except ValueError as undefined:
        raise INVALID(f"{scheme.method}: {undefined}") from undefined


def _published(scheme: Scheme) -> Parameters:
    """What the method is told, but block sizes: an extension of the body that all schemes have."""
    if isinstance(scheme, BlockedScheme):
        return {}
    return scheme.model_dump(mode="json", exclude={*AnyScheme.model_fields, "method"})


def committed(protocol: Protocol, scheme: Scheme, id: str, secret: Secret, sealed: str) -> SealScheme:  # noqa: A002
    """The command to seal a scheme whose secret is known here: what of it is published, and the rest as a seal."""
    shares = tuple(ArmShare(code=code, share=share) for code, share in scheme.ratio.items())
    return SealScheme(
        occurred_at=scheme.occurred_at,
        reason=scheme.reason,
        id=id,
        method=scheme.method,
        parameters=_published(scheme),
        arms=shares,
        factors=tuple(factor.name for factor in protocol.allocation.strata),
        strata=scheme.strata,
        list_length=scheme.list_length if isinstance(scheme, BlockedScheme) else 0,
        seed_commitment=seed_commitment(secret.seed, secret.nonce),
        parameters_commitment=parameters_commitment(secret.nonce, secret.parameters),
        list_roots=_roots(protocol, scheme, shares, secret) if isinstance(scheme, BlockedScheme) else {},
        sealed=sealed,
    )


def _roots(protocol: Protocol, scheme: BlockedScheme, shares: Sequence[ArmShare], secret: Secret) -> dict[str, str]:
    """By strata that can be named beforehand; one of a site that is named by nobody has no root, but a list."""
    levels = {factor.name: factor.levels or scheme.sites for factor in protocol.allocation.strata}
    strata = ("|".join(chosen) for chosen in product(*(levels[name] for name in scheme.strata)))
    return {
        stratum: list_root(secret.seed, stratum, listed(shares, secret, stratum, scheme.list_length))
        for stratum in strata
    }


def listed(shares: Sequence[ArmShare], secret: Secret, stratum: str, length: int) -> tuple[str, ...]:
    """The first rows of a stratum's list."""
    return tuple(islice(arms(secret.seed, stratum, secret.block_sizes, ratio_of(shares)), length))


def ratio_of(shares: Sequence[ArmShare]) -> dict[str, int]:
    """The arms with their shares, in the order in which the scheme lists them: tickets are numbered by it."""
    return {each.code: each.share for each in shares}


def stratum_under(scheme: RandomizationSchemeSealed, stratum: str) -> str | None:
    """The stratum of a scheme that a subject of a stratum of the protocol belongs to: `RA` of `RA|01`.

    None where that names other factors than the protocol had when the scheme was sealed.
    """
    levels = stratum.split("|") if stratum else []
    if len(levels) != len(scheme.factors):
        return None
    by_factor = dict(zip(scheme.factors, levels, strict=True))
    return "|".join(by_factor[name] for name in scheme.strata)


def require_current(protocol: Protocol, scheme: RandomizationSchemeSealed) -> None:
    """Raise SCHEME_OUTDATED where the protocol was amended in what the scheme allocates by."""
    factors = tuple(factor.name for factor in protocol.allocation.strata)
    if scheme.factors != factors or {arm.code for arm in scheme.arms} != set(protocol.arm_codes):
        raise SCHEME_OUTDATED(scheme=scheme.scheme)


def seal(command: SealScheme, schemes: Schemes) -> Sequence[Event]:
    """The next version. It takes effect for later subjects; those before keep theirs."""
    if command.only_first and schemes.sealed:
        return []
    return [
        RandomizationSchemeSealed(
            scheme=len(schemes.sealed) + 1,
            **command.model_dump(exclude={"occurred_at", "reason", "only_first", "arms"}),
            arms=command.arms,
        )
    ]


def reveal(command: RevealSeed, schemes: Schemes) -> Sequence[Event]:
    """The seed becomes public, and no arm can be allocated under it any more."""
    schemes.require(command.scheme)
    if command.scheme in schemes.revealed:
        raise SCHEME_REVEALED(scheme=command.scheme)
    return [
        RandomizationSeedRevealed(
            scheme=command.scheme, seed=command.seed, nonce=command.nonce, block_sizes=command.block_sizes
        )
    ]


SEALING: Decider[SealScheme, Schemes] = Decider(lambda _: ABOUT_SCHEMES, lambda _: Schemes(), evolve, seal)
REVEALING: Decider[RevealSeed, Schemes] = Decider(lambda _: ABOUT_SCHEMES, lambda _: Schemes(), evolve, reveal)
