"""The rules of the way into the trial: consent → eligibility → enrolment → randomization, and out of it.

Pure functions: nothing here reads a clock, draws a number or touches a database. What the rules know of a subject, and
what bars any of them, stands in `subject`. The numbers of screening stand in `screening`, the loss of a subject in
`follow_up`, and what was wrong with an allocation in `allocation_errors`. A step needs the one before it on record, and
no order of their days: sites date what they enter late in part only, and consent is normally signed before there is a
screening number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from services.randomization.balance import (
    OF_BALANCE,
    Balance,
    counts_of,
    draw,
    dynamic_method,
)
from services.randomization.commands import (
    AssessEligibility,
    EnrolSubject,
    ObtainConsent,
    RandomizeSubject,
    WithdrawSubject,
)
from services.randomization.eligibility import assess
from services.randomization.events import (
    ArmDrawn,
    EligibilityAssessed,
    InformedConsentObtained,
    RandomizationSchemeSealed,
    SubjectEnrolled,
    SubjectRandomized,
    SubjectWithdrawn,
)
from services.randomization.scheme import (
    ABOUT_SCHEMES,
    SCHEME_OUTDATED,
    SCHEME_REVEALED,
    Schemes,
    Secret,
    listed,
    require_current,
    stratum_under,
)
from services.randomization.scheme import evolve as evolve_schemes
from services.randomization.sites import Room, about_room, evolve_room, require_room
from services.randomization.subject import Subject, evolve, require_active, subject_decider, subject_query
from shared.chronology import require_since_start
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import REASON_REQUIRED, WITHDRAWN, WRITE_CONFLICT, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

NOT_CONSENTED = refusal("not-consented", 409, "The subject has not given informed consent.")
NOT_ELIGIBLE = refusal("not-eligible", 409, "The subject has not been found eligible.")
ALREADY_ENROLLED = refusal("subject-already-enrolled", 409, "The subject is enrolled already.")
NOT_ENROLLED = refusal("not-enrolled", 409, "The subject has not been enrolled.")
ALREADY_RANDOMIZED = refusal("subject-already-randomized", 409, "The subject has been randomized already.")
ALLOCATION_LIST_DIFFERS = refusal(
    "allocation-list-differs", 409, "The scheme's list is not the one that earlier allocations were made by."
)


# The subject: one person's way into the trial.


def obtain_consent(command: ObtainConsent, subject: Subject) -> Sequence[Event]:
    """A first consent, or a later one to a new version of the form."""
    require_active(subject)
    return [
        InformedConsentObtained(subject=command.subject, site=site_of(command.subject), consent_version=command.version)
    ]


def assess_eligibility(protocol: Protocol, command: AssessEligibility, subject: Subject) -> Sequence[Event]:
    """Check the findings against the protocol. Procedures of screening need consent first (ICH E6(R3) 2.8.1).

    Before enrolment findings may be assessed again, with a reason; afterwards the assessment stands.
    """
    require_active(subject)
    if not subject.consented:
        raise NOT_CONSENTED()
    if subject.enrolled:
        raise ALREADY_ENROLLED()
    if subject.eligible is not None and command.reason is None:
        raise REASON_REQUIRED("The subject has been assessed before.")
    site = site_of(command.subject)
    findings = command.findings()
    age = protocol.civil_date(command.at, site).year - subject.birth_year
    assessment = assess(protocol.eligibility, findings, age=age, consented=subject.consented)
    return [
        EligibilityAssessed(
            subject=command.subject,
            site=site,
            findings=findings,
            eligible=assessment.eligible,
            stratum=protocol.stratum(diagnosis=findings.diagnosis, site=site),
            failed_criteria=assessment.failed_criteria,
        )
    ]


@dataclass(frozen=True, slots=True)
class Entrant:
    """A subject that is to be enrolled, and the room that there is for it."""

    id: str
    room: Room
    subject: Subject = field(default_factory=Subject)


def evolve_entrant(entrant: Entrant, recorded: Recorded) -> Entrant:
    """The room is that of everybody; everything else counts only for the one that is to be enrolled."""
    entrant = replace(entrant, room=evolve_room(entrant.room, recorded))
    if f"subject:{entrant.id}" in recorded.event.tags():
        return replace(entrant, subject=evolve(entrant.subject, recorded))
    return entrant


def enrol(protocol: Protocol, command: EnrolSubject, entrant: Entrant) -> Sequence[Event]:
    """Nobody enters the trial without consent and eligibility (ICH E6(R3) 2.8), nor over a cap or at a closed site."""
    subject = require_active(entrant.subject)
    if not subject.consented:
        raise NOT_CONSENTED()
    if not subject.eligible:
        raise NOT_ELIGIBLE()
    if subject.enrolled:
        raise ALREADY_ENROLLED()
    require_room(entrant.room)
    site = site_of(command.subject)
    require_since_start(protocol, site, command.at)
    return [SubjectEnrolled(subject=command.subject, site=site)]


def withdraw(command: WithdrawSubject, subject: Subject) -> Sequence[Event]:
    """Withdrawal from the treatment is not withdrawal from the study: follow-up goes on."""
    require_active(subject)
    if command.scope in subject.withdrawn_from:
        raise WITHDRAWN(f"The subject has withdrawn from the {command.scope} already.")
    return [SubjectWithdrawn(subject=command.subject, site=site_of(command.subject), scope=command.scope)]


def consent(protocol: Protocol) -> Decider[ObtainConsent, Subject]:
    """The rules of informed consent under a protocol."""
    return subject_decider(protocol, obtain_consent)


def eligibility(protocol: Protocol) -> Decider[AssessEligibility, Subject]:
    """The rules of assessment under a protocol."""
    return subject_decider(protocol, lambda command, subject: assess_eligibility(protocol, command, subject))


def enrolment(protocol: Protocol, counted: Collection[str | None] = ()) -> Decider[EnrolSubject, Entrant]:
    """The rules of enrolment under a protocol, where the enrolments of some sites, or of all (TRIAL), are capped."""

    def boundary(command: EnrolSubject) -> Query:
        return subject_query(command.subject) | about_room(site_of(command.subject), counted)

    return Decider(
        boundary=boundary,
        initial=lambda command: Entrant(command.subject, Room(site_of(command.subject), counted)),
        evolve=evolve_entrant,
        decide=lambda command, entrant: enrol(protocol, command, entrant),
    )


def withdrawal(protocol: Protocol) -> Decider[WithdrawSubject, Subject]:
    """The rules of withdrawal under a protocol."""
    return subject_decider(protocol, withdraw)


# Allocation: the subject, the schemes, the slots that each stratum has used, and whom a method of balance counts.


@dataclass(frozen=True, slots=True)
class Allocations:
    """A subject that asks for an arm, the schemes, what the slots of each stratum have given so far, and the balance.

    The last two are of all subjects. They belong to one fold, which changes them in place (see `Balance`).
    """

    id: str
    subject: Subject = field(default_factory=Subject)
    schemes: Schemes = field(default_factory=Schemes)
    given: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    balance: Balance = field(default_factory=Balance)

    def numbered(self, stratum: str) -> int:
        """How many subjects of a stratum have a randomization number, under whatever scheme."""
        return sum(len(arms) for (_, name), arms in self.given.items() if name == stratum)

    def used(self, scheme: RandomizationSchemeSealed, stratum: str) -> int:
        """How many slots are used up: minimization counts them over the whole trial, the others in the stratum."""
        if scheme.method != "minimization":
            return len(self.given.get((scheme.scheme, stratum), ()))
        return sum(len(arms) for (version, _), arms in self.given.items() if version == scheme.scheme)


def evolve_allocations(state: Allocations, recorded: Recorded) -> Allocations:
    """Slots and counts are those of all subjects; everything else, of the one that asks."""
    event = recorded.event
    if isinstance(event, SubjectRandomized):
        state.given.setdefault((event.scheme, event.stratum), []).append(event.arm)
    state.balance.add(event)
    if f"subject:{state.id}" in event.tags():
        return replace(state, subject=evolve(state.subject, recorded))
    return replace(state, schemes=evolve_schemes(state.schemes, recorded))


def randomize(
    protocol: Protocol,
    scheme: RandomizationSchemeSealed,
    secret: Secret,
    command: RandomizeSubject,
    state: Allocations,
) -> Sequence[Event]:
    """The next slot of the subject's stratum: irrevocable, and not knowable before (ICH E9 2.3.2)."""
    site = site_of(command.subject)
    subject = require_active(state.subject)
    require_since_start(protocol, site, command.at)
    if subject.arm is not None:
        raise ALREADY_RANDOMIZED(subject=command.subject, arm=subject.arm)
    if not subject.enrolled:
        raise NOT_ENROLLED()
    if subject.withdrawn_from:
        raise WITHDRAWN()
    if state.schemes.in_effect != scheme:
        raise WRITE_CONFLICT("Another scheme has just been sealed.")
    if scheme.scheme in state.schemes.revealed:
        raise SCHEME_REVEALED(scheme=scheme.scheme)
    require_current(protocol, scheme)
    stratum = stratum_under(scheme, subject.stratum)
    if stratum is None:
        raise SCHEME_OUTDATED("The subject was assessed under a protocol with other factors.", scheme=scheme.scheme)
    arm, draws = _arm(scheme, secret, stratum, state)
    number = "-".join([*stratum.split("|"), f"{state.numbered(stratum) + 1:03d}"])
    return [
        *draws,
        SubjectRandomized(
            subject=command.subject,
            site=site,
            scheme=scheme.scheme,
            stratum=stratum,
            slot=state.used(scheme, stratum),
            arm=arm,
            randomization_number=number.lstrip("-"),
        ),
    ]


def _arm(
    scheme: RandomizationSchemeSealed, secret: Secret, stratum: str, state: Allocations
) -> tuple[str, Sequence[ArmDrawn]]:
    """The next row of the stratum's list, or a draw under the counts, with the record of it."""
    method = dynamic_method(scheme)
    if method is not None:
        counts = counts_of(scheme, state.balance, stratum)
        slot = state.used(scheme, stratum)
        arm, drawn = draw(scheme, method, counts, seed=secret.seed, subject=state.id, stratum=stratum, slot=slot)
        return arm, [drawn]
    given = tuple(state.given.get((scheme.scheme, stratum), ()))
    rows = listed(scheme.arms, secret, stratum, len(given) + 1)
    if rows[:-1] != given:
        raise ALLOCATION_LIST_DIFFERS()
    return rows[-1], []


def allocation(
    protocol: Protocol, scheme: RandomizationSchemeSealed, secret: Secret
) -> Decider[RandomizeSubject, Allocations]:
    """The rules of allocation under a scheme and its secret.

    The boundary holds the schemes, and every allocation that could use a slot of the same stratum, or be counted: those
    of the site where sites are strata, all of them otherwise, and for minimization. Errors of allocation belong to it
    where subjects are counted.
    """
    dynamic = dynamic_method(scheme) is not None
    of_one_site = "site" in scheme.strata and scheme.method != "minimization"
    types = tuple(event.name for event in (OF_BALANCE if dynamic else (SubjectRandomized,)))

    def boundary(command: RandomizeSubject) -> Query:
        tags = (f"site:{site_of(command.subject)}",) if of_one_site else ()
        return subject_query(command.subject) | Query((QueryItem(types=types, tags=tags),)) | ABOUT_SCHEMES

    return Decider(
        boundary=boundary,
        initial=lambda command: Allocations(id=command.subject),
        evolve=evolve_allocations,
        decide=lambda command, state: randomize(protocol, scheme, secret, command, state),
    )
