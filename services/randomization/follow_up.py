"""Who is lost to follow-up: a randomized subject that cannot be reached and whose end in the study is not known.

To be lost is not to have withdrawn: nobody has refused anything. Whoever is reached again is followed again, and both
stand in the log. A death or the last evaluation is a known end, and who has one is not lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.randomization.commands import LoseSubject, RegainContact
from services.randomization.events import ContactRegained, SubjectLostToFollowUp
from services.randomization.subject import Subject, require_active, require_randomized, subject_decider
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    SubjectEvaluated,
)
from shared.chronology import require_not_before
from shared.decision import Decider
from shared.events import Event
from shared.problems import refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

LOST = refusal("subject-lost", 409, "The subject is lost to follow-up already.")
NOT_LOST = refusal("subject-not-lost", 409, "The subject is not lost to follow-up.")
DIED = refusal("subject-died", 409, "The subject has died.")
COMPLETED = refusal("subject-completed", 409, "The subject has completed the study.")
LAST_CONTACT_IMPLAUSIBLE = refusal(
    "last-contact-implausible", 422, "The last contact with a subject is not after its loss."
)


def lose(protocol: Protocol, command: LoseSubject, subject: Subject) -> Sequence[Event]:
    """A loss, and the last day of contact where it is known: not after the loss, nor before the study's start."""
    require_active(subject)
    require_randomized(subject)
    if subject.died:
        raise DIED()
    if subject.completed:
        raise COMPLETED()
    if subject.lost:
        raise LOST()
    site = site_of(command.subject)
    if command.last_contact_on is not None:
        lost_on = protocol.civil_date(command.at, site)
        if command.last_contact_on > lost_on:
            raise LAST_CONTACT_IMPLAUSIBLE(latest=lost_on.isoformat())
        require_not_before(command.last_contact_on, "study-start", protocol.starts_on)
    return [
        SubjectLostToFollowUp(subject=command.subject, site=site, last_contact_on=command.last_contact_on),
    ]


def regain_contact(command: RegainContact, subject: Subject) -> Sequence[Event]:
    """A contact takes the loss back, and the subject stands where it stood before."""
    require_active(subject)
    if not subject.lost:
        raise NOT_LOST()
    return [ContactRegained(subject=command.subject, site=site_of(command.subject))]


def loss_to_follow_up(protocol: Protocol) -> Decider[LoseSubject, Subject]:
    """The rules of a loss under a protocol."""
    return subject_decider(
        protocol,
        lambda command, subject: lose(protocol, command, subject),
        AdverseEventReported,
        AdverseEventFollowedUp,
        AdverseEventNullified,
        SubjectEvaluated,
    )


def contact(protocol: Protocol) -> Decider[RegainContact, Subject]:
    """The rules of a contact after a loss under a protocol."""
    return subject_decider(protocol, regain_contact)
