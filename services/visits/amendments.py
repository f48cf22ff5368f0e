"""Which document may become a later version of the protocol: whole, of this study, later, and fit for who is in.

It is never edited afterwards. Who follows it, and from when, stands in `shared/protocol/versions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.randomization.events import SubjectRandomized, WrongTreatmentGiven
from services.visits.commands_protocol import AmendProtocol
from shared.chronology import require_not_before
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import refusal
from shared.protocol import Protocol, ProtocolDocumentError, Protocols, parse_protocol
from shared.protocol.amendment import ProtocolAmended, ProtocolDocumentPublished, about_amendments
from shared.protocol.versions import VERSION_UNREADABLE, Version, digest_of, version_order

DOCUMENT_INVALID = refusal("protocol-document-invalid", 422, "The document breaks rules of protocol documents.")
OTHER_STUDY = refusal("protocol-of-another-study", 409, "The document is that of another study.")
NOT_LATER = refusal("protocol-version-not-later", 409, "The version is not later than the last one.")
START_CHANGED = refusal("study-start-changed", 409, "The study has started: no amendment changes when.")
ARM_IN_USE = refusal("arm-in-use", 409, "Subjects are in an arm that the version drops or treats otherwise.")

REFUSALS = (DOCUMENT_INVALID, OTHER_STUDY, NOT_LATER, START_CHANGED, ARM_IN_USE)


IN_USE = (SubjectRandomized.name, WrongTreatmentGiven.name)
"""What says that an arm has subjects."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where the last amendment stands in the log, and the arms that subjects are in, or were treated by in error."""

    amended_at: int = 0
    arms: frozenset[str] = frozenset()


def evolve_published(published: Published, recorded: Recorded) -> Published:
    """What is published after one more event."""
    match recorded.event:
        case ProtocolAmended():
            return replace(published, amended_at=recorded.position)
        case SubjectRandomized(arm=arm) | WrongTreatmentGiven(received=arm) if arm not in published.arms:
            return replace(published, arms=published.arms | {arm})
        case _:
            return published


def amend(protocols: Protocols, command: AmendProtocol, published: Published) -> Sequence[Event]:
    """The document and its dates. Raises one of REFUSALS, OUT_OF_ORDER for an effect before the study's start."""
    if published.amended_at > protocols.position:
        raise VERSION_UNREADABLE(headers={"Retry-After": "1"}, position=published.amended_at)
    protocol = _required_amendment(protocols, command, published)
    for day in (command.effective_on, *command.sites.values()):
        require_not_before(day, "study-start", protocol.starts_on)
    about = {
        "study": protocol.study_id,
        "protocol_version": protocol.version,
        "sha256": digest_of(command.document),
    }
    return [
        ProtocolDocumentPublished(**about, document=command.document),
        ProtocolAmended(
            **about,
            effective_on=command.effective_on,
            sites=command.sites,
            consent_version=command.consent_version,
            summary=command.summary,
        ),
    ]


def _required_amendment(protocols: Protocols, command: AmendProtocol, published: Published) -> Protocol:
    protocol = read_document(command.document)
    last = protocols.versions[-1]
    if protocol.study_id != protocols.study_id:
        raise OTHER_STUDY(study_id=protocols.study_id)
    if version_order(protocol.version) <= version_order(last.number):
        raise NOT_LATER(last=last.number)
    if protocol.starts_on != protocols.first.starts_on:
        raise START_CHANGED(starts_on=protocols.first.starts_on.isoformat())
    before = {arm.code: (arm.treatment, arm.anchor) for each in protocols.readable for arm in each.arms}
    after = {arm.code: (arm.treatment, arm.anchor) for arm in protocol.arms}
    if lost := sorted(code for code in published.arms if after.get(code) != before[code]):
        raise ARM_IN_USE(arms=lost)
    return protocol


def read_document(document: str) -> Protocol:
    """The protocol of a document. Raises DOCUMENT_INVALID with the line, the key and the rule of each fault."""
    try:
        return parse_protocol(document)
    except ProtocolDocumentError as error:
        faults = [fault._asdict() for fault in error.faults]
        raise DOCUMENT_INVALID(str(error).partition("\n")[0], faults=faults) from error


def candidate_of(command: AmendProtocol, events: Sequence[Event]) -> Version:
    """The version that these events would publish."""
    protocol = read_document(command.document)
    amended = next(event for event in events if isinstance(event, ProtocolAmended))
    return Version(
        number=amended.protocol_version,
        document=command.document,
        protocol=protocol,
        effective_on=amended.effective_on,
        sites=amended.sites,
        consent_version=amended.consent_version,
        summary=amended.summary,
    )


def amending(protocols: Protocols) -> Decider[AmendProtocol, Published]:
    """The rules of amendments, after the versions that there are."""
    about = about_amendments(protocols.study_id) | Query((QueryItem(types=IN_USE),))
    return Decider(
        boundary=lambda _: about,
        initial=lambda _: Published(),
        evolve=evolve_published,
        decide=lambda command, published: amend(protocols, command, published),
        protocol_version=lambda _, __: protocols.versions[-1].number,
    )
