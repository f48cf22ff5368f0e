"""One subject's way into the trial, as events and commands; used by the tests of several modules."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from services.randomization.commands import AssessEligibility, Scheme
from services.randomization.eligibility import Findings
from services.randomization.events import (
    EligibilityAssessed,
    InformedConsentObtained,
    RandomizationSchemeSealed,
    RandomizationSeedRevealed,
    SubjectEnrolled,
    SubjectRandomized,
    SubjectScreened,
)
from services.randomization.scheme import Schemes, Secret, checked, committed, default_scheme, seal
from services.visits.events import AdverseEventReported, SubjectEvaluated
from shared.protocol import load_protocol

FINDINGS: dict[str, Any] = {
    "diagnosis": "RA",
    "marrow_blasts_pct": Decimal("2.5"),
    "blood_blasts_pct": Decimal(0),
    "ring_sideroblasts_pct": Decimal(3),
    "ecog": 1,
    "ejection_fraction_pct": Decimal(60),
    "creatinine_umol_L": Decimal(80),
    "hiv": "negative",
    "pregnancy": "not-applicable",
    "active_infection": False,
    "psychiatric_condition": False,
    "other_trial_within_4_weeks": False,
}


def screened(subject: str = "01-001", birth_year: int = 1960) -> SubjectScreened:
    return SubjectScreened(subject=subject, site=subject[:2], birth_year=birth_year, sex="F")


def consented(subject: str = "01-001") -> InformedConsentObtained:
    return InformedConsentObtained(subject=subject, site=subject[:2], consent_version="1.0")


def assessed(subject: str = "01-001", *, diagnosis: str = "RA", eligible: bool = True) -> EligibilityAssessed:
    return EligibilityAssessed(
        subject=subject,
        site=subject[:2],
        findings=Findings(**(FINDINGS | {"diagnosis": diagnosis})),
        eligible=eligible,
        stratum=f"{diagnosis}|{subject[:2]}",
        failed_criteria=() if eligible else ("hiv",),
    )


def enrolled(subject: str = "01-001") -> SubjectEnrolled:
    return SubjectEnrolled(subject=subject, site=subject[:2])


def randomized(subject: str, slot: int, arm: str = "MSC", stratum: str = "RA|01") -> SubjectRandomized:
    """An allocation by a list."""
    return SubjectRandomized(
        subject=subject,
        site=subject[:2],
        scheme=1,
        stratum=stratum,
        slot=slot,
        arm=arm,
        randomization_number=f"{stratum.replace('|', '-')}-{slot + 1:03d}",
    )


def ready_to_randomize(
    subject: str = "01-001",
) -> tuple[SubjectScreened, InformedConsentObtained, EligibilityAssessed, SubjectEnrolled]:
    return screened(subject), consented(subject), assessed(subject), enrolled(subject)


def assess(subject: str = "01-001", **findings: object) -> AssessEligibility:
    """The command of an assessment whose findings differ from the eligible example in some members."""
    return AssessEligibility(subject=subject, **(FINDINGS | findings))


SECRET = Secret(seed=bytes(range(32)), nonce=b"\x11" * 32, block_sizes=(4, 6))


def sealed(
    scheme: int = 1, secret: Secret = SECRET, strata: tuple[str, ...] = ("diagnosis", "site"), **ratio: int
) -> RandomizationSchemeSealed:
    """A version of the protocol's scheme, its lists for site 01 committed to; other shares where they are given."""
    protocol = load_protocol()
    body = default_scheme(protocol).model_copy(
        update={"strata": strata, "sites": ("01",), "block_sizes": secret.block_sizes, "list_length": 40}
    )
    if ratio:
        body = body.model_copy(update={"ratio": ratio})
    return sealed_as(scheme, body, secret)


def sealed_as(scheme: int, body: Scheme, secret: Secret = SECRET) -> RandomizationSchemeSealed:
    """A version of a scheme that a statistician describes."""
    protocol = load_protocol()
    command = committed(protocol, checked(protocol, body), f"scheme-{scheme}", secret, "v1.c2VhbGVk")
    (event,) = seal(command, Schemes())
    assert isinstance(event, RandomizationSchemeSealed)
    return event.model_copy(update={"scheme": scheme})


def revealed(scheme: int = 1, secret: Secret = SECRET) -> RandomizationSeedRevealed:
    return RandomizationSeedRevealed(
        scheme=scheme, seed=secret.seed.hex(), nonce=secret.nonce.hex(), block_sizes=secret.block_sizes
    )


def evaluated(subject: str = "01-001", *, final: bool) -> SubjectEvaluated:
    """An evaluation, of the last timepoint or of one before it."""
    return SubjectEvaluated(
        subject=subject,
        site=subject[:2],
        timepoint="M12" if final else "M3",
        rule_set="iwg-2006",
        lineages={},
        computed={},
        remissions={},
        grounds={},
        progression=False,
        findings=(),
        response="SD",
        inputs=(),
        final=final,
    )


def fatal_event(subject: str = "01-001") -> AdverseEventReported:
    """An adverse event that the subject died of."""
    return AdverseEventReported(
        subject=subject,
        site=subject[:2],
        term="Sepsis",
        grade=5,
        serious=True,
        seriousness_criteria=("death",),
        related=False,
        expected=False,
        infusion_reaction=False,
        fatal=True,
        onset_on=None,
        outcome="fatal",
        action_taken=None,
        aware_at=datetime(2026, 1, 1, tzinfo=UTC),
        sponsor_by=None,
        authority_on=None,
        follow_up_on=None,
    )
