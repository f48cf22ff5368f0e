"""Whom a method that looks at the counts has counted when the next subject comes, and the draw that it then makes.

Counted are the subjects who were allocated under the scheme before, each at the levels that it truly has: an error of
allocation may correct them, or say that the subject is counted no longer (deploy/decisions/0026).
"""

from __future__ import annotations

from collections import Counter
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
class Place:
    """Where a subject is counted: `stratum` is the scheme's that was used, `corrected` the true one of the protocol."""

    scheme: int
    stratum: str
    arm: str
    corrected: str | None = None

    def stratum_in(self, scheme: RandomizationSchemeSealed) -> str:
        """The stratum of its scheme that it truly belongs to.

        A correction under a protocol of other factors than the scheme's tells nothing of the scheme's levels.
        """
        corrected = None if self.corrected is None else stratum_under(scheme, self.corrected)
        return self.stratum if corrected is None else corrected


class Balance:
    """How many subjects are counted at each place, and which.

    It belongs to one fold, which changes it in place: a copy at each event would cost the square of the trial.
    """

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._subjects: Counter[Place] = Counter()

    def add(self, event: Event) -> None:
        """One more event. Whom any error takes out of the counts, no later one takes in again."""
        match event:
            case SubjectRandomized(subject=subject, scheme=scheme, stratum=stratum, arm=arm):
                self._put(subject, Place(scheme, stratum, arm))
            case (
                RandomizationMarkedInError(subject=subject, counted_in_balance=False)
                | StratumCorrected(subject=subject, counted_in_balance=False)
                | WrongTreatmentGiven(subject=subject, counted_in_balance=False)
                | SubjectRandomizedTwice(subject=subject, counted_in_balance=False)
            ):
                self._take(subject)
            case StratumCorrected(subject=subject, stratum_corrected=corrected):
                if (place := self._take(subject)) is not None:
                    self._put(subject, replace(place, corrected=corrected))
            case _:
                pass

    def counted(self, scheme: RandomizationSchemeSealed) -> list[tuple[str, str, int]]:
        """True stratum, arm, and how many who were allocated under the scheme are counted there."""
        return [
            (place.stratum_in(scheme), place.arm, subjects)
            for place, subjects in self._subjects.items()
            if place.scheme == scheme.scheme and subjects
        ]

    def _put(self, subject: str, place: Place) -> None:
        self._places[subject] = place
        self._subjects[place] += 1

    def _take(self, subject: str) -> Place | None:
        place = self._places.pop(subject, None)
        if place is not None:
            self._subjects[place] -= 1
        return place


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
    counted = balance.counted(scheme)
    if scheme.method != "minimization":
        return {WHOLE: _by_arm(scheme, ((arm, seen) for place, arm, seen in counted if place == stratum))}
    return {
        factor: _by_arm(scheme, ((arm, seen) for place, arm, seen in counted if place.split("|")[number] == level))
        for number, (factor, level) in enumerate(zip(scheme.strata, stratum.split("|"), strict=True))
    }


def _by_arm(scheme: RandomizationSchemeSealed, counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    by_arm = dict.fromkeys(ratio_of(scheme.arms), 0)
    for arm, seen in counted:
        by_arm[arm] += seen
    return by_arm


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
