"""Under which version of the protocol a rule decides: found from what the decision itself has read.

A rule is made for one protocol. Here it is made for the one that applies, inside the decision: the amendments belong to
what must have been read, so that no process ever decides under a version that another has replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

from shared.decision import C, Decider, S
from shared.events import Event, Recorded
from shared.eventstore.model import Query
from shared.protocol import Protocol
from shared.protocol.amendment import ProtocolAmended, about_amendments
from shared.protocol.versions import VERSION_UNREADABLE, Protocols, Version

Rules = Callable[[Protocol], Decider[C, S]]
"""The rules about one kind of command, for a protocol. What they must have seen is the same for every version."""

Applies = Callable[[C, Sequence[Recorded]], Version]
"""The version that applies to a command, by what has been read for it."""


@dataclass(slots=True)
class Read:
    """What a decision has read: the events that its rules are about, and where the last amendment stands."""

    events: list[Recorded] = field(default_factory=list)
    amended_at: int = 0


def evolve_read(read: Read, recorded: Recorded) -> Read:
    """One more event, in place."""
    if isinstance(recorded.event, ProtocolAmended):
        read.amended_at = recorded.position
    else:
        read.events.append(recorded)
    return read


def under_version(protocols: Protocols, rules: Rules[C, S], applies: Applies[C]) -> Decider[C, Read]:
    """The rules of the version that applies; the record says which it was.

    Raises VERSION_UNREADABLE where the log has an amendment that this process has not read yet, or cannot read.
    """
    about = about_amendments(protocols.study_id)

    def boundary(command: C) -> Query:
        return rules(protocols.first).boundary(command) | about

    def version(command: C, read: Read) -> Version:
        if read.amended_at > protocols.position:
            raise VERSION_UNREADABLE(headers={"Retry-After": "1"}, position=read.amended_at)
        return applies(command, read.events)

    def decide(command: C, read: Read) -> Sequence[Event]:
        under = rules(version(command, read).readable)
        return under.decide(command, reduce(under.evolve, read.events, under.initial(command)))

    return Decider(
        boundary=boundary,
        initial=lambda _: Read(),
        evolve=evolve_read,
        decide=decide,
        protocol_version=lambda command, read: version(command, read).number,
    )


def at_site(protocols: Protocols, rules: Rules[C, S], site: str) -> Decider[C, Read]:
    """Rules about no one subject: those of the version that is in effect at the site on the day of the command."""

    def applies(command: C, _: Sequence[Recorded]) -> Version:
        return protocols.in_effect(protocols.civil_date(command.at, site), site)

    return under_version(protocols, rules, applies)
