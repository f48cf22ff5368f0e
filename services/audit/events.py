"""What has happened to the trail itself: this service's published language."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from shared.events import Event
from shared.protocol.language import SiteId, SubjectId
from shared.signing import SignatureMeaning


class SignedRecord(BaseModel):
    """One signed record: its position, and its leaf hash in base64 as it was when it was signed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    position: int
    leaf_hash: str


class RecordsSigned(Event, name="records-signed", version=1):
    """A person signed records of the log. Signer and time stand in the event's own record (21 CFR 11.50, 11.70).

    The signature bears the tags of the subjects and sites that the records are about, so that it stands in their trail.
    """

    records: tuple[SignedRecord, ...]
    meaning: SignatureMeaning
    printed_name: str
    subjects: tuple[SubjectId, ...]
    sites: tuple[SiteId, ...]

    def tags(self) -> tuple[str, ...]:
        """`subject:` and `site:` of what was signed, and `signed:N` for each position N."""
        return (
            *(f"subject:{subject}" for subject in self.subjects),
            *(f"site:{site}" for site in self.sites),
            *(signed_tag(record.position) for record in self.records),
        )


def signed_tag(position: int) -> str:
    """The tag that every signature over the record at a position bears."""
    return f"signed:{position}"
