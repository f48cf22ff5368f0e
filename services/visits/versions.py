"""Under which version of the protocol this service decides about a subject: that which the subject follows.

What people record is judged by the version that the subject followed on the day of it; what follows from it for the
future, by the version that it follows since its last move; and an evaluation, for ever by the version that it was made
under.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import TypeVar

from services.randomization.events import InformedConsentObtained, SubjectScreened
from services.visits.commands import AboutSubject
from services.visits.events import SubjectEvaluated
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.protocol import Protocols
from shared.protocol.language import site_of
from shared.protocol.versions import Entry, Version
from shared.versioned_rules import Read, Rules, under_version

C = TypeVar("C", bound=AboutSubject)
S = TypeVar("S")


def evolve_entry(entry: Entry, recorded: Recorded) -> Entry:
    """What says which versions a subject follows, after one more event about it."""
    match recorded.event:
        case SubjectScreened():
            return entry.screened(recorded.occurred_at)
        case InformedConsentObtained(consent_version=version):
            return entry.signing(version, recorded.occurred_at, recorded.position)
        case _:
            return entry


def following(protocols: Protocols, rules: Rules[C, S]) -> Decider[C, Read]:
    """Rules about what happened to a subject: those of the version that it followed on the day of the command."""

    def applies(command: C, read: Sequence[Recorded]) -> Version:
        site = site_of(command.subject)
        return protocols.of(site, reduce(evolve_entry, read, Entry()), protocols.civil_date(command.at, site))

    return under_version(protocols, rules, applies)


def following_on(protocols: Protocols, rules: Rules[C, S]) -> Decider[C, Read]:
    """Rules about what is to come for a subject: those of the version that it has moved to last."""

    def applies(command: C, read: Sequence[Recorded]) -> Version:
        return protocols.followed(site_of(command.subject), reduce(evolve_entry, read, Entry()))[-1].version

    return under_version(protocols, rules, applies)


def reviewing(protocols: Protocols, rules: Rules[C, S]) -> Decider[C, Read]:
    """Rules about evaluations that were made: of each, those of the version that it was made under."""
    under = following_on(protocols, rules)

    def decide(command: C, read: Read) -> Sequence[Event]:
        made_under = dict.fromkeys(_version_of(each) for each in read.events if _is_evaluation(each))
        events: list[Event] = []
        for number in made_under:
            known = [each for each in read.events if not _is_evaluation(each) or _version_of(each) == number]
            rule = rules(protocols.version(number).readable)
            events += rule.decide(command, reduce(rule.evolve, known, rule.initial(command)))
        return events

    return replace(under, decide=decide)


def _is_evaluation(recorded: Recorded) -> bool:
    return isinstance(recorded.event, SubjectEvaluated)


def _version_of(recorded: Recorded) -> str:
    """The version of the protocol that something was recorded under."""
    return str(recorded.document["protocol"])
