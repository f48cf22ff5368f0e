"""The versions of the protocol as a process knows them: read from the log at its start, and followed from there."""

from __future__ import annotations

import asyncio

import structlog

from shared.events import decode
from shared.eventstore.model import EventLog, StoredEvent
from shared.protocol import Protocol, ProtocolDocumentError, parse_protocol
from shared.protocol.amendment import ProtocolAmended, ProtocolDocumentPublished, about_versions
from shared.protocol.versions import Protocols, Version, digest_of

RETRY_AFTER_S = 0.5

_log = structlog.get_logger("marrow.protocol")


class ProtocolFollower:
    """Keeps the versions up with the log.

    A document that this process cannot read, as when a newer release has published it, stays a version without
    content: what would have to be decided under it is refused, everything else goes on.
    """

    def __init__(self, log: EventLog, beginning: Protocols) -> None:
        self._log = log
        self._documents: dict[str, str] = {}
        self._position = 0
        self.protocols = beginning

    async def catch_up(self) -> int:
        """Read what the log holds by now; the position that is reached."""
        read = await self._log.read(about_versions(self.protocols.study_id), after=self._position)
        self._take(read.events, read.head)
        return read.head

    async def run(self) -> None:
        """Follow the log until cancelled."""
        while True:
            try:
                async for result in self._log.follow(about_versions(self.protocols.study_id), after=self._position):
                    self._take(result.events, result.head)
            except Exception as error:
                _log.error("following the protocol retries", exc_info=error)
                await asyncio.sleep(RETRY_AFTER_S)

    def _take(self, events: list[StoredEvent], head: int) -> None:
        for stored in events:
            if stored.position <= self._position:
                continue  # another has read it meanwhile
            match decode(stored).event:
                case ProtocolDocumentPublished(sha256=digest, document=document):
                    self._documents[digest] = document
                case ProtocolAmended() as amended:
                    self.protocols = self.protocols.amended(self._version(amended, stored.position))
        self._position = max(self._position, head)

    def _version(self, amended: ProtocolAmended, position: int) -> Version:
        document = self._documents.get(amended.sha256, "")
        return Version(
            number=amended.protocol_version,
            document=document,
            protocol=_read(document, amended),
            effective_on=amended.effective_on,
            sites=amended.sites,
            consent_version=amended.consent_version,
            summary=amended.summary,
            position=position,
        )


def _read(document: str, amended: ProtocolAmended) -> Protocol | None:
    """The protocol of a document; None where it cannot be read here, or is not what the amendment names."""
    try:
        protocol = parse_protocol(document, name=f"protocol {amended.protocol_version}")
    except ProtocolDocumentError as error:
        _log.error("a version of the protocol cannot be read", version=amended.protocol_version, exc_info=error)
        return None
    if digest_of(document) != amended.sha256 or protocol.version != amended.protocol_version:
        _log.error("a document is not that of its version", version=amended.protocol_version)
        return None
    return protocol
