"""How a version of the protocol gets into the log: its document, and from when it is in effect at which site.

Two events of one append. What every decision has to have seen, that there is an amendment, is small; the document is
read once by each process.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from shared.events import Event
from shared.eventstore.model import Query, QueryItem
from shared.protocol.language import SiteId


class ProtocolDocumentPublished(Event, name="protocol-document-published", version=1, tags=("study",)):
    """The whole document of a version, as TOML, so that the log explains itself. The digest is that of its UTF-8."""

    study: str
    protocol_version: str
    sha256: str
    document: str


class ProtocolAmended(Event, name="protocol-amended", version=1, tags=("study",)):
    """A version of the protocol is in effect from a day on, at some sites from another.

    `consent_version` is the form that subjects sign to go on under it. Nothing that was decided before is decided anew.
    """

    study: str
    protocol_version: str
    sha256: str
    effective_on: date
    sites: Mapping[SiteId, date]
    consent_version: str
    summary: str


def about_amendments(study: str) -> Query:
    """That there are amendments, and from when they are in effect: what a decision has to have seen."""
    return Query((QueryItem(types=(ProtocolAmended.name,), tags=(f"study:{study}",)),))


def about_versions(study: str) -> Query:
    """The amendments and their documents."""
    types = (ProtocolDocumentPublished.name, ProtocolAmended.name)
    return Query((QueryItem(types=types, tags=(f"study:{study}",)),))
