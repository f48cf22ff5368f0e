"""What has happened to a subject on the way into the trial and out of it: this service's published language."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.randomization.eligibility import Findings
from shared.events import Event, upcaster
from shared.protocol.language import ArmCode, SiteId, SubjectId

Sex = Literal["F", "M", "U", "UNDIFFERENTIATED"]
"""CDISC controlled terminology for SEX."""

ErrorCause = Literal["ineligible", "consent-invalid", "unintended", "other"]
"""Why a subject should not have been randomized. `unintended`: nobody meant to randomize this person, or not yet."""


class SubjectScreened(Event, name="subject-screened", version=1, tags=("subject", "site")):
    """A person entered screening under a coded number, which is never used again."""

    subject: SubjectId
    site: SiteId
    birth_year: int
    sex: Sex


class SubjectRescreened(Event, name="subject-rescreened", version=1, tags=("subject", "site")):
    """A person who had failed screening as `rescreening_of` was screened again under the number `subject`."""

    subject: SubjectId
    site: SiteId
    rescreening_of: SubjectId

    def tags(self) -> tuple[str, ...]:
        """Those of the new number, and the earlier number too: it stands in the trail of both."""
        return (*super().tags(), f"subject:{self.rescreening_of}")


class InformedConsentObtained(Event, name="informed-consent-obtained", version=1, tags=("subject", "site")):
    """The subject signed a version of the consent form."""

    subject: SubjectId
    site: SiteId
    consent_version: str


class EligibilityAssessed(Event, name="eligibility-assessed", version=1, tags=("subject", "site")):
    """The criteria of the protocol were checked against the findings of screening."""

    subject: SubjectId
    site: SiteId
    findings: Findings
    eligible: bool
    stratum: str
    failed_criteria: tuple[str, ...]


class SubjectEnrolled(Event, name="subject-enrolled", version=1, tags=("subject", "site")):
    """A consenting, eligible subject entered the trial."""

    subject: SubjectId
    site: SiteId


class ArmDrawn(Event, name="arm-drawn", version=1):
    """How the arm of the allocation that follows was drawn, so that the draw can be repeated alone.

    It bears the tag of no subject or site: counts are those of all sites, by which a site could guess its next arm.
    `counts` are those of the earlier subjects by arm, at each factor's level for minimization, and otherwise of the
    stratum under the key `stratum`; `scores` are fractions as text (`"4/5"`); `draw` is the number of a ticket. The
    arms stand in no order of their own. A row of a list that was made beforehand is not drawn.
    """

    subject: SubjectId
    counts: dict[str, dict[ArmCode, int]]
    scores: dict[ArmCode, str]
    tickets: dict[ArmCode, int]
    draw: int


class SubjectRandomized(Event, name="subject-randomized", version=2, tags=("subject", "site", "stratum")):
    """The next slot, under a version of the scheme, was given to the subject, for good.

    Version 1 held the draw too, as `drawn`.
    """

    subject: SubjectId
    site: SiteId
    scheme: int
    stratum: str
    slot: int
    arm: ArmCode
    randomization_number: str


@upcaster("subject-randomized", 1)
def _without_the_draw(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "drawn"}


class SubjectWithdrawn(Event, name="subject-withdrawn", version=1, tags=("subject", "site")):
    """The subject left the treatment, or the study as a whole; what was recorded stays."""

    subject: SubjectId
    site: SiteId
    scope: Literal["treatment", "study"]


MethodName = Literal["simple", "permuted-blocks", "biased-coin", "urn", "minimization"]
"""The methods of `allocation`."""

Parameters = dict[str, int | str | dict[str, str]]
"""What a method is told; fractions as text (`"4/5"`)."""


class ArmShare(BaseModel):
    """An arm and its whole share of the allocation."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    code: ArmCode
    share: int


class RandomizationSchemeSealed(Event, name="randomization-scheme-sealed", version=1):
    """A scheme was settled before its first use. Seed and block sizes are committed to, and told by nobody (ICH E9).

    `factors` are those of the protocol, in the order of a stratum's levels, and `strata` those that the scheme uses.
    `parameters` tells all that the method is told but block sizes. `list_roots` holds the root over the first
    `list_length` rows of each stratum that could be named, where the method makes lists; `sealed` what is hidden but
    for the seed, for the services' own use.
    """

    id: str
    scheme: int
    method: MethodName
    parameters: Parameters
    arms: tuple[ArmShare, ...]
    factors: tuple[str, ...]
    strata: tuple[str, ...]
    list_length: int
    seed_commitment: str
    parameters_commitment: str
    list_roots: dict[str, str]
    sealed: str


class RandomizationSeedRevealed(Event, name="randomization-seed-revealed", version=1):
    """The secret of a scheme was made public: from now on everybody can recompute its lists."""

    scheme: int
    seed: str
    nonce: str
    block_sizes: tuple[int, ...]


class SubjectLostToFollowUp(Event, name="subject-lost-to-follow-up", version=1, tags=("subject", "site")):
    """The site can no longer reach the subject, whose end in the study is not known (CDISC NCOMPLT)."""

    subject: SubjectId
    site: SiteId
    last_contact_on: date | None


class ContactRegained(Event, name="contact-regained", version=1, tags=("subject", "site")):
    """The site has reached a subject again that was lost to follow-up, and follow-up goes on."""

    subject: SubjectId
    site: SiteId


# Errors of allocation. They are documented and never undone: the allocation stands, and its slot stays used (Yelland
# et al. 2015). `counted_in_balance` tells a method that balances over those allocated before, such as minimization,
# whether it goes on counting the subject; a list of permuted blocks does not ask.


class RandomizationMarkedInError(Event, name="randomization-marked-in-error", version=1, tags=("subject", "site")):
    """The subject should not have been randomized. It stays in the trial and in its arm (intention to treat)."""

    subject: SubjectId
    site: SiteId
    cause: ErrorCause
    counted_in_balance: bool


class StratumCorrected(Event, name="stratum-corrected", version=1, tags=("subject", "site")):
    """The subject was randomized in `stratum` and truly belongs to `stratum_corrected`, which analyses use.

    Where it is counted in balance, it counts at the corrected levels.
    """

    subject: SubjectId
    site: SiteId
    stratum: str
    stratum_corrected: str
    counted_in_balance: bool


class WrongTreatmentGiven(Event, name="wrong-treatment-given", version=1, tags=("subject", "site")):
    """The subject belongs to `arm` and was given the treatment of the arm `received`."""

    subject: SubjectId
    site: SiteId
    arm: ArmCode
    received: ArmCode
    counted_in_balance: bool


class SubjectRandomizedTwice(Event, name="subject-randomized-twice", version=1, tags=("subject", "site")):
    """One person was randomized under two numbers: the first, `duplicate_of`, is kept; the later one is disregarded."""

    subject: SubjectId
    site: SiteId
    duplicate_of: SubjectId
    counted_in_balance: bool

    def tags(self) -> tuple[str, ...]:
        """Those of the later subject, and the first subject too: it stands in the trail of both."""
        return (*super().tags(), f"subject:{self.duplicate_of}")


# Sites and accrual. A cap without a site is that of all sites together. `cap_before` tells a cap that is set first, by
# None, from one that is raised or lowered.


class SiteOpened(Event, name="site-opened", version=1, tags=("site",)):
    """The site takes people into screening and into the trial from now on."""

    site: SiteId


class SiteClosed(Event, name="site-closed", version=1, tags=("site",)):
    """The site takes nobody in any more; those who are in the trial go on."""

    site: SiteId


class EnrolmentCapSet(Event, name="enrolment-cap-set", version=1, tags=("site",)):
    """At most `cap` subjects may be enrolled, at the site or at all of them together."""

    site: SiteId | None
    cap: int
    cap_before: int | None


class EnrolmentCapLifted(Event, name="enrolment-cap-lifted", version=1, tags=("site",)):
    """The cap, at the site or at all of them together, is in effect no longer."""

    site: SiteId | None
    cap_before: int
