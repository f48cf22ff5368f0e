"""What is recorded of an error of allocation: it is documented and never undone.

A subject that should not have been randomized, was randomized in a wrong stratum, was given the treatment of another
arm or had been randomized before stays allocated, and its slot stays used: to correct such an error, or to allocate
anew, would let what is known of the subject choose the arm (Yelland et al., Clin Trials 2015;12:418). What is true is
recorded beside what was done. An error may be found at any time, also after the subject has left or died.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.randomization.commands import (
    CorrectStratum,
    MarkRandomizationInError,
    MarkRandomizedTwice,
    RecordWrongTreatment,
)
from services.randomization.events import (
    RandomizationMarkedInError,
    StratumCorrected,
    SubjectRandomizedTwice,
    WrongTreatmentGiven,
)
from services.randomization.subject import Subject, evolve, require_randomized, subject_decider, subject_query
from shared.chronology import require_since_start
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.problems import refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

ERROR_ON_RECORD = refusal("allocation-error-on-record", 409, "This error of the subject's allocation is on record.")
STRATUM_UNCHANGED = refusal("stratum-unchanged", 409, "The subject is on record in this stratum already.")
TREATMENT_AS_ALLOCATED = refusal("treatment-as-allocated", 409, "The treatment is that of the subject's own arm.")
UNKNOWN_ARM = refusal("unknown-arm", 422, "The protocol has no such arm.")
OTHER_SITE = refusal("subject-of-another-site", 409, "The other subject is of another site.")
NOT_THE_LATER = refusal(
    "not-the-later-randomization", 409, "The subject was not randomized after the other: the first is kept."
)
DUPLICATE_OF_DUPLICATE = refusal(
    "duplicate-of-a-duplicate", 409, "The other subject is itself one who was randomized twice; name the first."
)


def mark_in_error(command: MarkRandomizationInError, subject: Subject) -> Sequence[Event]:
    """It should not have happened, and why; once for each cause."""
    require_randomized(subject)
    if command.cause in subject.in_error:
        raise ERROR_ON_RECORD(cause=command.cause)
    return [
        RandomizationMarkedInError(
            subject=command.subject,
            site=site_of(command.subject),
            cause=command.cause,
            counted_in_balance=command.counted_in_balance,
        )
    ]


def correct_stratum(protocol: Protocol, command: CorrectStratum, subject: Subject) -> Sequence[Event]:
    """The stratum that was used and the true one; a correction may itself be corrected, also back to the first."""
    require_randomized(subject)
    site = site_of(command.subject)
    factors = (factor.name for factor in protocol.allocation.strata)
    assessed = dict(zip(factors, (subject.stratum_corrected or subject.stratum).split("|"), strict=False))
    stratum = protocol.stratum(**(assessed | {"diagnosis": command.diagnosis, "site": site}))
    if stratum == (subject.stratum_corrected or subject.stratum):
        raise STRATUM_UNCHANGED(stratum=stratum)
    return [
        StratumCorrected(
            subject=command.subject,
            site=site,
            stratum=subject.stratum_used,
            stratum_corrected=stratum,
            counted_in_balance=command.counted_in_balance,
        )
    ]


def record_wrong_treatment(protocol: Protocol, command: RecordWrongTreatment, subject: Subject) -> Sequence[Event]:
    """The arm stays, and what was given in its place is on record; it may happen more than once."""
    arm = require_randomized(subject)
    if command.received not in protocol.arm_codes:
        raise UNKNOWN_ARM(arms=list(protocol.arm_codes))
    if command.received == arm:
        raise TREATMENT_AS_ALLOCATED(arm=arm)
    return [
        WrongTreatmentGiven(
            subject=command.subject,
            site=site_of(command.subject),
            arm=arm,
            received=command.received,
            counted_in_balance=command.counted_in_balance,
        )
    ]


def randomization_in_error(protocol: Protocol) -> Decider[MarkRandomizationInError, Subject]:
    """The rules of a randomization that should not have been, under a protocol."""
    return subject_decider(protocol, mark_in_error)


def stratum_correction(protocol: Protocol) -> Decider[CorrectStratum, Subject]:
    """The rules of a corrected stratum under a protocol."""
    return subject_decider(protocol, lambda command, subject: correct_stratum(protocol, command, subject))


def wrong_treatment(protocol: Protocol) -> Decider[RecordWrongTreatment, Subject]:
    """The rules of a treatment of another arm under a protocol."""
    return subject_decider(protocol, lambda command, subject: record_wrong_treatment(protocol, command, subject))


# One person under two numbers: the rule has to have seen both.


@dataclass(frozen=True, slots=True)
class Pair:
    """A subject, and the one that it is said to be."""

    ids: tuple[str, str]
    subject: Subject = field(default_factory=Subject)
    first: Subject = field(default_factory=Subject)


def evolve_pair(pair: Pair, recorded: Recorded) -> Pair:
    """Either of the two after one more event, or both."""
    tags = recorded.event.tags()
    if f"subject:{pair.ids[0]}" in tags:
        pair = replace(pair, subject=evolve(pair.subject, recorded))
    if f"subject:{pair.ids[1]}" in tags:
        pair = replace(pair, first=evolve(pair.first, recorded))
    return pair


def mark_randomized_twice(protocol: Protocol, command: MarkRandomizedTwice, pair: Pair) -> Sequence[Event]:
    """The first randomization in the log's order is kept and the later one marked, so that no two name each other.

    Both are of one site: staff of a site learn nothing of the subjects of others.
    """
    require_randomized(pair.subject)
    site = site_of(command.subject)
    if site_of(command.duplicate_of) != site:
        raise OTHER_SITE()
    require_randomized(pair.first)
    if pair.subject.duplicate_of is not None:
        raise ERROR_ON_RECORD(duplicate_of=pair.subject.duplicate_of)
    if pair.first.duplicate_of is not None:
        raise DUPLICATE_OF_DUPLICATE(duplicate_of=pair.first.duplicate_of)
    if (pair.subject.allocated or 0) <= (pair.first.allocated or 0):
        raise NOT_THE_LATER()
    require_since_start(protocol, site, command.at)
    return [
        SubjectRandomizedTwice(
            subject=command.subject,
            site=site,
            duplicate_of=command.duplicate_of,
            counted_in_balance=command.counted_in_balance,
        )
    ]


def duplicate_randomization(protocol: Protocol) -> Decider[MarkRandomizedTwice, Pair]:
    """The rules of one person's second randomization under a protocol."""
    return Decider(
        boundary=lambda command: subject_query(command.subject) | subject_query(command.duplicate_of),
        initial=lambda command: Pair(ids=(command.subject, command.duplicate_of)),
        evolve=evolve_pair,
        decide=lambda command, pair: mark_randomized_twice(protocol, command, pair),
    )
