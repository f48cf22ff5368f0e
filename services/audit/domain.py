"""The rules of the trail: who sees which record, who may sign, and when a signature is superseded.

Pure functions: nothing here reads a clock or touches a database.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from services.audit.commands import SignRecords
from services.audit.events import RecordsSigned, SignedRecord, signed_tag
from shared.decision import Decider
from shared.events import Event
from shared.eventstore.model import Query, QueryItem, StoredEvent
from shared.identity import Actor
from shared.problems import FORBIDDEN, refusal
from shared.signing import changes_tag, require_fresh_authentication

UNKNOWN_POSITION = refusal("unknown-position", 404, "The log holds no event at this position.")
UNKNOWN_TREE_SIZE = refusal("unknown-tree-size", 404, "The tree of the log has not reached this size.")
UNKNOWN_SIGNATURE = refusal("unknown-signature", 404, "No signature stands at this position.")

WIDE_TAGS = ("subject:", "site:", "stratum:", "key:")
"""Tags that many facts share; any other names one thing, as `order:` does a laboratory's order."""


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """What the rules need to know of one event of the log, of whatever type."""

    position: int
    leaf_hash: bytes
    type: str
    tags: frozenset[str]
    reason: str | None

    def named(self, kind: str) -> frozenset[str]:
        """The values of its tags of a kind: the subjects, or the sites, that it is about."""
        prefix = f"{kind}:"
        return frozenset(tag.removeprefix(prefix) for tag in self.tags if tag.startswith(prefix))

    @property
    def things(self) -> frozenset[str]:
        """Those of its tags that name one thing."""
        return frozenset(tag for tag in self.tags if not tag.startswith(WIDE_TAGS))


def logged(stored: StoredEvent) -> LoggedRecord:
    """What the rules need to know of a stored event."""
    record = orjson.loads(stored.record)
    return LoggedRecord(
        position=stored.position,
        leaf_hash=stored.leaf_hash,
        type=stored.type,
        tags=frozenset(stored.tags),
        reason=record["reason"],
    )


def require_visible(actor: Actor, tags: frozenset[str]) -> None:
    """Raise FORBIDDEN where the actor speaks for some sites, and the record is about none of them."""
    if actor.sites is not None and tags.isdisjoint(f"site:{site}" for site in actor.sites):
        raise FORBIDDEN("The record is about no site that the token speaks for.")


def sign(actor: Actor, known: Mapping[int, LoggedRecord], command: SignRecords) -> Sequence[Event]:
    """Bind the actor's name and a meaning to records and their leaf hashes (21 CFR 11.50, 11.70)."""
    require_fresh_authentication(actor, command.at)
    positions = sorted(set(command.positions))
    if unknown := [position for position in positions if position not in known]:
        raise UNKNOWN_POSITION(positions=unknown)
    records = [known[position] for position in positions]
    for record in records:
        require_visible(actor, record.tags)
    return [
        RecordsSigned(
            records=tuple(
                SignedRecord(position=record.position, leaf_hash=base64.b64encode(record.leaf_hash).decode())
                for record in records
            ),
            meaning=command.meaning,
            printed_name=actor.name,
            subjects=tuple(sorted(frozenset[str]().union(*(record.named("subject") for record in records)))),
            sites=tuple(sorted(frozenset[str]().union(*(record.named("site") for record in records)))),
        )
    ]


def signing(actor: Actor, known: Mapping[int, LoggedRecord]) -> Decider[SignRecords, None]:
    """The rules of signing for an actor, over the records at the positions that the command names.

    What is recorded never changes, so the decision rests on nothing that could change meanwhile; signatures over the
    same records only stand in line.
    """

    def boundary(command: SignRecords) -> Query:
        return Query(tuple(QueryItem((RecordsSigned.name,), (signed_tag(each),)) for each in set(command.positions)))

    return Decider(
        boundary=boundary,
        initial=lambda _: None,
        evolve=lambda state, _: state,
        decide=lambda command, _: sign(actor, known, command),
    )


def supersedes(later: LoggedRecord, signed: LoggedRecord) -> bool:
    """Whether an event that was recorded after a signature changes what a signed record says.

    It does when it says so itself, by a tag that names the record; or when it is of the same type and about the same
    subject, and names the same thing by a further tag, as a laboratory does that corrects its own report, or gives a
    reason, as whoever changes an earlier fact must, unless both name things and no common one. What merely goes on,
    such as the next week's symptoms, supersedes nothing. A signature is never changed.
    """
    if changes_tag(signed.position) in later.tags:
        return True
    if later.type != signed.type or later.type == RecordsSigned.name:
        return False
    if later.named("subject").isdisjoint(signed.named("subject")):
        return False
    if later.things & signed.things:
        return True
    return later.reason is not None and not (later.things and signed.things)


def superseding(signed: Sequence[LoggedRecord], later: Sequence[LoggedRecord]) -> list[int]:
    """The positions of those later events that change a signed record; empty while the signature is valid."""
    return [event.position for event in later if any(supersedes(event, record) for record in signed)]
