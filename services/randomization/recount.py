"""Decides what the counts, the odds and the draw of an allocation should have been, from the records of an export.

It is written beside `balance`, not with it: a verifier that shared the code which allocated would share its faults. It
needs the standard library alone, and of this project the arithmetic of the methods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from services.randomization import biased_coin, minimization, urn
from services.randomization.odds import Odds, proportional
from services.randomization.stream import below, slot_stream

Record = Mapping[str, Any]
"""The data of an event, as its record holds it."""

ALLOCATION = "subject-randomized"
DRAW = "arm-drawn"
CORRECTION = "stratum-corrected"
OF_BALANCE = (
    ALLOCATION,
    CORRECTION,
    "randomization-marked-in-error",
    "wrong-treatment-given",
    "subject-randomized-twice",
)
"""The types of events that counts are made of."""


class Recount:
    """How many subjects each arm had in each stratum, or at each level of minimization's factors, event by event."""

    def __init__(self, schemes: Mapping[int, Record]) -> None:
        self._schemes = schemes
        self._places: dict[str, tuple[int, str, str]] = {}
        self._subjects: Counter[tuple[int, str, str, str]] = Counter()

    def add(self, kind: str, data: Record) -> None:
        """One more event. A subject that is counted no longer has no place, and never gets another."""
        if kind == ALLOCATION:
            self._put(data["subject"], (data["scheme"], data["stratum"], data["arm"]))
        elif (place := self._places.pop(data["subject"], None)) is not None:
            self._count(place, -1)
            if data["counted_in_balance"]:
                self._put(data["subject"], self._corrected(place, data) if kind == CORRECTION else place)

    def counts(self, version: int, stratum: str) -> dict[str, dict[str, int]]:
        """What the method looks at for a new subject of a stratum of the scheme: by factor, or of the stratum."""
        arms = [each["code"] for each in self._schemes[version]["arms"]]
        return {
            key: {arm: self._subjects[version, key, level, arm] for arm in arms}
            for key, level in self._looked_at(version, stratum)
        }

    def _looked_at(self, version: int, stratum: str) -> list[tuple[str, str]]:
        """The factors with the stratum's levels; of a method that looks at the stratum as a whole, the stratum."""
        scheme = self._schemes[version]
        if scheme["method"] != "minimization":
            return [("stratum", stratum)]
        return list(zip(scheme["strata"], stratum.split("|"), strict=True))

    def _put(self, subject: str, place: tuple[int, str, str]) -> None:
        self._places[subject] = place
        self._count(place, 1)

    def _count(self, place: tuple[int, str, str], subjects: int) -> None:
        version, stratum, arm = place
        for key, level in self._looked_at(version, stratum):
            self._subjects[version, key, level, arm] += subjects

    def _corrected(self, place: tuple[int, str, str], correction: Record) -> tuple[int, str, str]:
        """The true place; the old one where the protocol's factors were others by then than the scheme's."""
        version, _, arm = place
        scheme = self._schemes[version]
        names, levels = scheme["factors"], correction["stratum_corrected"].split("|")
        if len(names) != len(levels):
            return place
        by_factor = dict(zip(names, levels, strict=True))
        return version, "|".join(by_factor[name] for name in scheme["strata"]), arm


def difference(
    scheme: Record,
    seed: bytes | None,
    allocation: Record,
    drawn: Record,
    counts: Mapping[str, Mapping[str, int]],
) -> str:
    """The first member of a recorded draw that is not what the counts and the seed give; empty where all is the same.

    Without the seed the number drawn is taken as recorded, and everything else is recomputed.
    """
    odds = _odds(scheme, counts)
    number = drawn["draw"] if seed is None else _number(scheme, seed, allocation, odds)
    if not 0 <= number < odds.total:
        return f"draw {number} of {odds.total} tickets"
    scores = {arm: str(score) for arm, score in odds.scores.items()}
    for name, recorded, recomputed in (
        ("counts", drawn["counts"], counts),
        ("scores", drawn["scores"], scores),
        ("tickets", drawn["tickets"], odds.tickets),
        ("draw", drawn["draw"], number),
        ("arm", allocation["arm"], odds.choose(number).arm),
    ):
        if recorded != recomputed:
            return f"{name} {recorded} instead of {recomputed}"
    return ""


_fraction = cache(Fraction)
"""The parameters of a scheme are read for each of its allocations."""


def _odds(scheme: Record, counts: Mapping[str, Mapping[str, int]]) -> Odds:
    ratio = {each["code"]: each["share"] for each in scheme["arms"]}
    told = scheme["parameters"]
    match scheme["method"]:
        case "simple":
            return proportional(ratio)
        case "biased-coin":
            return biased_coin.odds(counts["stratum"], ratio, p=_fraction(told["p"]))
        case "urn":
            return urn.odds(counts["stratum"], ratio, alpha=told["alpha"], beta=told["beta"])
        case "minimization":
            weights = {factor: _fraction(weight) for factor, weight in told["weights"].items()}
            return minimization.odds(counts, ratio, weights=weights, p=_fraction(told["p"]), distance=told["distance"])
        case unknown:
            raise ValueError(f"there is no method {unknown}")


def _number(scheme: Record, seed: bytes, allocation: Record, odds: Odds) -> int:
    """The draw of the slot; minimization has one stream for the trial."""
    label = "" if scheme["method"] == "minimization" else allocation["stratum"]
    return below(slot_stream(seed, label, allocation["slot"]), odds.total)
