"""Under which version of the protocol this service decides about a subject: that which the subject follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from services.randomization.commands import AboutSubject
from services.randomization.events import InformedConsentObtained, SubjectScreened
from shared.decision import Decider
from shared.events import Recorded
from shared.protocol import Protocols
from shared.protocol.language import site_of
from shared.protocol.versions import Entry, Version
from shared.versioned_rules import Read, Rules, under_version

C = TypeVar("C", bound=AboutSubject)
S = TypeVar("S")


def following(protocols: Protocols, rules: Rules[C, S]) -> Decider[C, Read]:
    """Rules about one subject: those of the version of the protocol that it follows on the day of the command."""

    def applies(command: C, read: Sequence[Recorded]) -> Version:
        site = site_of(command.subject)
        return protocols.of(site, entry_of(command.subject, read), protocols.civil_date(command.at, site))

    return under_version(protocols, rules, applies)


def entry_of(subject: str, read: Sequence[Recorded]) -> Entry:
    """What of some events says which version of the protocol a subject follows."""
    entry = Entry()
    for recorded in read:
        match recorded.event:
            case SubjectScreened(subject=number) if number == subject:
                entry = entry.screened(recorded.occurred_at)
            case InformedConsentObtained(subject=number, consent_version=version) if number == subject:
                entry = entry.signing(version, recorded.occurred_at, recorded.position)
    return entry
