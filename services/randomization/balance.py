"""Whom a method that looks at the counts has counted when the next subject comes, and the draw that it then makes.

Counted are the subjects who were allocated under the scheme before, each at the levels that it truly has: an error of
allocation may correct them, or say that the subject is counted no longer (deploy/decisions/0026).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from services.randomization.allocation import WHOLE, Dynamic, PermutedBlocks, allocate, method_named
from services.randomization.events import (
    ArmDrawn,
    RandomizationMarkedInError,
    RandomizationSchemeSealed,
    StratumCorrected,
    SubjectRandomized,
    SubjectRandomizedTwice,
    WrongTreatmentGiven,
)
from services.randomization.scheme import ratio_of, stratum_under
from shared.events import Event

OF_BALANCE = (
    SubjectRandomized,
    RandomizationMarkedInError,
    StratumCorrected,
    WrongTreatmentGiven,
    SubjectRandomizedTwice,
)
"""What the counts are made of."""


@dataclass(frozen=True, slots=True)
class Allocated:
    """A subject as it is counted: `stratum` is the scheme's that was used, `corrected` the true one of the protocol."""

    scheme: int
    stratum: str
    arm: str
    corrected: str | None = None
    counted: bool = True

    def stratum_in(self, scheme: RandomizationSchemeSealed) -> str:
        """The stratum of its scheme that it truly belongs to."""
        return self.stratum if self.corrected is None else stratum_under(scheme, self.corrected)


Balance = Mapping[str, Allocated]
"""The allocated subjects by their numbers."""


def evolve_balance(balance: Balance, event: Event) -> Balance:
    """The balance after one more event. Whom any error takes out of the counts, no later one takes in again."""
    match event:
        case SubjectRandomized(subject=subject, scheme=scheme, stratum=stratum, arm=arm):
            return {**balance, subject: Allocated(scheme, stratum, arm)}
        case StratumCorrected(subject=subject, stratum_corrected=corrected) if subject in balance:
            balance = {**balance, subject: replace(balance[subject], corrected=corrected)}
        case _:
            pass
    match event:
        case (
            RandomizationMarkedInError(subject=subject, counted_in_balance=False)
            | StratumCorrected(subject=subject, counted_in_balance=False)
            | WrongTreatmentGiven(subject=subject, counted_in_balance=False)
            | SubjectRandomizedTwice(subject=subject, counted_in_balance=False)
        ) if subject in balance:
            return {**balance, subject: replace(balance[subject], counted=False)}
        case _:
            return balance


def dynamic_method(scheme: RandomizationSchemeSealed) -> Dynamic | None:
    """The method with its parameters; None where it makes lists and looks at no counts."""
    if scheme.method == "permuted-blocks":
        return None
    method = method_named(scheme.method, scheme.parameters)
    return None if isinstance(method, PermutedBlocks) else method


def counts_of(scheme: RandomizationSchemeSealed, balance: Balance, stratum: str) -> dict[str, dict[str, int]]:
    """The earlier subjects by arm, as `allocation.odds` takes them for a new subject of a stratum of the scheme.

    For minimization: over the whole trial, at each of the subject's levels. Otherwise: in its stratum.
    """
    counted = [
        (each.stratum_in(scheme), each.arm)
        for each in balance.values()
        if each.scheme == scheme.scheme and each.counted
    ]
    if scheme.method != "minimization":
        return {WHOLE: _by_arm(scheme, (arm for place, arm in counted if place == stratum))}
    return {
        factor: _by_arm(scheme, (arm for place, arm in counted if place.split("|")[number] == level))
        for number, (factor, level) in enumerate(zip(scheme.strata, stratum.split("|"), strict=True))
    }


def _by_arm(scheme: RandomizationSchemeSealed, arms: Iterable[str]) -> dict[str, int]:
    seen = dict.fromkeys(ratio_of(scheme.arms), 0)
    for arm in arms:
        seen[arm] += 1
    return seen


def draw(
    scheme: RandomizationSchemeSealed,
    method: Dynamic,
    counts: Mapping[str, Mapping[str, int]],
    *,
    seed: bytes,
    subject: str,
    stratum: str,
    slot: int,
) -> tuple[str, ArmDrawn]:
    """The arm of the subject that takes a slot, and how it was drawn.

    Draws are those of the stratum's stream. Minimization has one for the trial, that of the stratum without a name.
    """
    label = "" if scheme.method == "minimization" else stratum
    choice = allocate(method, ratio_of(scheme.arms), counts, seed=seed, label=label, slot=slot)
    return choice.arm, ArmDrawn(
        subject=subject,
        counts={key: dict(seen) for key, seen in counts.items()},
        scores={arm: str(score) for arm, score in choice.odds.scores.items()},
        tickets=dict(choice.odds.tickets),
        draw=choice.draw,
    )
