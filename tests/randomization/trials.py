"""Trials under the methods that look at the counts, as events; used by the tests of several modules."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from services.randomization import domain
from services.randomization.commands import (
    BiasedCoinScheme,
    DynamicScheme,
    MinimizationScheme,
    RandomizeSubject,
    SimpleScheme,
    UrnScheme,
)
from services.randomization.events import (
    ArmDrawn,
    RandomizationMarkedInError,
    RandomizationSchemeSealed,
    StratumCorrected,
    SubjectRandomized,
    SubjectRandomizedTwice,
    WrongTreatmentGiven,
)
from services.randomization.scheme import Secret
from shared.events import Event
from shared.protocol import load_protocol
from tests.randomization.examples import SECRET, assessed, consented, enrolled, screened
from tests.scenario import given

PROTOCOL = load_protocol()
DYNAMIC_SECRET = Secret(SECRET.seed, SECRET.nonce, ())
EVEN = {"MSC": 1, "CSA": 1}
BOTH = ("diagnosis", "site")

DYNAMIC_SCHEMES: dict[str, DynamicScheme] = {
    "simple": SimpleScheme(method="simple", ratio={"MSC": 2, "CSA": 1}, strata=("diagnosis",)),
    "biased-coin": BiasedCoinScheme(method="biased-coin", ratio=EVEN, strata=BOTH, p=Fraction(2, 3)),
    "urn": UrnScheme(method="urn", ratio=EVEN, strata=("site",), alpha=1, beta=2),
    "minimization": MinimizationScheme(
        method="minimization",
        ratio={"MSC": 2, "CSA": 1},
        strata=BOTH,
        weights={"diagnosis": Fraction(1), "site": Fraction(1, 2)},
        distance="variance",
        p=Fraction(4, 5),
    ),
}
"""A scheme of each method that looks at the counts."""


def allocated(
    scheme: RandomizationSchemeSealed, history: Sequence[Event], subject: str, diagnosis: str = "RA"
) -> tuple[ArmDrawn, SubjectRandomized]:
    """The subject's draw and allocation after a history."""
    way = (screened(subject), consented(subject), assessed(subject, diagnosis=diagnosis), enrolled(subject))
    rules = domain.allocation(PROTOCOL, scheme, DYNAMIC_SECRET)
    drawn, event = given(*history, *way).when(rules, RandomizeSubject(subject=subject)).events
    assert isinstance(drawn, ArmDrawn)
    assert isinstance(event, SubjectRandomized)
    return drawn, event


def errors_of(subject: str, *, counted: bool) -> list[Event]:
    """Each error of allocation of a subject whose true stratum is RARS."""
    of: dict[str, Any] = {"subject": subject, "site": subject[:2], "counted_in_balance": counted}
    return [
        RandomizationMarkedInError(**of, cause="ineligible"),
        StratumCorrected(**of, stratum="RA|01", stratum_corrected=f"RARS|{subject[:2]}"),
        WrongTreatmentGiven(**of, arm="MSC", received="CSA"),
        SubjectRandomizedTwice(**of, duplicate_of=f"{subject[:2]}-900"),
    ]
