"""Which version of the protocol applies: at a site on a day, and to a subject by the consent forms that it has signed.

A subject enters under the version that is in effect at its site, and moves to a later one by signing the form that goes
with it, once that version is in effect there. Nobody moves by the passing of time (ICH E6(R3) 2.8.2: new information
is consented to).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

from shared.problems import refusal
from shared.protocol.model import Protocol

VERSION_UNREADABLE = refusal(
    "protocol-version-unreadable",
    503,
    "This process has not read, or cannot read, the version of the protocol that applies; nothing was decided.",
)
UNKNOWN_VERSION = refusal("unknown-protocol-version", 404, "The protocol has no such version.")


def version_order(version: str) -> tuple[int, ...]:
    """Where a version stands among others: 1.10 is later than 1.9."""
    return tuple(int(part) for part in version.split("."))


def digest_of(document: str) -> str:
    """The SHA-256 of a document's UTF-8, in hexadecimal."""
    return sha256(document.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Version:
    """A published version: what it says, from when it is in effect, and the form that is signed for it.

    `protocol` is None where this process cannot read the document. `position` is that of its record in the log, 0 for
    the version that the trial began with.
    """

    number: str
    document: str
    protocol: Protocol | None
    effective_on: date
    sites: Mapping[str, date] = field(default_factory=dict)
    consent_version: str | None = None
    summary: str = ""
    position: int = 0

    @property
    def sha256(self) -> str:
        return digest_of(self.document)

    def effective_at(self, site: str | None) -> date:
        """The first day on which it is in effect at a site; without one, where nothing else is said."""
        return self.effective_on if site is None else self.sites.get(site, self.effective_on)

    @property
    def readable(self) -> Protocol:
        """What the version says. Raises VERSION_UNREADABLE: no decision is made under a document that is not read."""
        if self.protocol is None:
            raise VERSION_UNREADABLE(headers={"Retry-After": "1"}, version=self.number)
        return self.protocol


@dataclass(frozen=True, slots=True)
class Signed:
    """A consent form that a subject signed: its version, when, and where that stands in the log."""

    version: str
    at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What of a subject says which versions it follows; `screened_at` is None for one that nobody has screened."""

    screened_at: datetime | None = None
    signed: tuple[Signed, ...] = ()

    def screened(self, at: datetime) -> Entry:
        """The entry of a subject that was screened then."""
        return replace(self, screened_at=at)

    def signing(self, version: str, at: datetime, position: int) -> Entry:
        """The entry after one more form."""
        return replace(self, signed=(*self.signed, Signed(version, at, position)))


@dataclass(frozen=True, slots=True)
class Followed:
    """A version that a subject follows, from which day on (None: from its entry), and what last made it so."""

    version: Version
    since: date | None
    position: int

    @property
    def protocol(self) -> Protocol:
        return self.version.readable


@dataclass(frozen=True, slots=True)
class Protocols:
    """The published versions of a trial's protocol, from the first on; each is later than the one before."""

    versions: tuple[Version, ...]

    @classmethod
    def beginning(cls, protocol: Protocol, document: str = "") -> Protocols:
        """The version that the trial begins with: in effect everywhere from the study's start."""
        return cls((Version(protocol.version, document, protocol, protocol.starts_on),))

    def amended(self, version: Version) -> Protocols:
        """These and a later version."""
        return Protocols((*self.versions, version))

    @property
    def first(self) -> Protocol:
        return self.versions[0].readable

    @property
    def latest(self) -> Protocol:
        """The last version that can be read, in effect or not."""
        return self.readable[-1]

    @property
    def readable(self) -> tuple[Protocol, ...]:
        """What the versions say that this process can read."""
        return tuple(version.protocol for version in self.versions if version.protocol is not None)

    @property
    def arm_codes(self) -> tuple[str, ...]:
        """The arms of any version, in the documents' order."""
        return tuple(dict.fromkeys(code for protocol in self.readable for code in protocol.arm_codes))

    @property
    def study_id(self) -> str:
        return self.first.study_id

    @property
    def position(self) -> int:
        """Where the last amendment stands in the log."""
        return self.versions[-1].position

    def version(self, number: str) -> Version:
        """The version of that number. Raises UNKNOWN_VERSION."""
        for version in self.versions:
            if version.number == number:
                return version
        raise UNKNOWN_VERSION(versions=[version.number for version in self.versions])

    def zone(self, site: str) -> ZoneInfo:
        """The civil zone of a site, by the latest document that can be read: a matter of place, not of version."""
        return self.latest.zone(site)

    def civil_date(self, at: datetime, site: str) -> date:
        """The date on the site's wall calendar at an instant (which bears an offset)."""
        return at.astimezone(self.zone(site)).date()

    def in_effect(self, day: date, site: str | None = None) -> Version:
        """The latest version that is in effect at a site on a day; before any is, the first."""
        effective = (version for version in reversed(self.versions) if version.effective_at(site) <= day)
        return next(effective, self.versions[0])

    def followed(self, site: str, entry: Entry) -> tuple[Followed, ...]:
        """The versions that a subject has followed and follows, in the order in which it moved to them.

        A form that was signed before its version was in effect at the site moves nobody.
        """
        entered_on = date.min if entry.screened_at is None else self.civil_date(entry.screened_at, site)
        entered = self.in_effect(entered_on, site)
        course = [Followed(entered, None, entered.position)]
        later = self.versions[self.versions.index(entered) + 1 :]
        moves = [move for version in later if (move := self._move(site, entry, version)) is not None]
        for move in sorted(moves, key=lambda each: (each.since or date.min, self.versions.index(each.version))):
            if self.versions.index(move.version) > self.versions.index(course[-1].version):
                if course[-1].since == move.since:
                    course.pop()
                course.append(move)
        return tuple(course)

    def _move(self, site: str, entry: Entry, version: Version) -> Followed | None:
        days = [(self.civil_date(each.at, site), each.position) for each in entry.signed if _is_of(version, each)]
        valid = [(day, position) for day, position in days if day >= version.effective_at(site)]
        if not valid:
            return None
        day, position = min(valid)
        return Followed(version, day, max(position, version.position))

    def of(self, site: str, entry: Entry, day: date) -> Version:
        """The version that a subject follows on a day."""
        return followed_on(self.followed(site, entry), day).version


def _is_of(version: Version, signed: Signed) -> bool:
    return signed.version == version.consent_version


def followed_on(course: Sequence[Followed], day: date) -> Followed:
    """What of a subject's course is followed on a day."""
    return next(each for each in reversed(course) if each.since is None or each.since <= day)
