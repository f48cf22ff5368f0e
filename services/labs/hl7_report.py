"""Decides what of a laboratory message leaves the world of HL7 v2: sender, coded identifiers, orders, observations.

No name, birth date, address or other part of the patient's demographics has a place here. Notes and free-text values
are kept as they were sent: what they say may identify, and who stores them must seal them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from services.labs.dtm import Timestamp
from services.labs.numerics import Number, ReferenceRange
from services.labs.units import LOINC_SYSTEMS


@dataclass(frozen=True, slots=True)
class Coding:
    """One code with its text and coding system, "" where a part was not sent."""

    code: str
    text: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class Coded:
    """A coded element (CE, CWE): the primary coding first, then the alternates, and the original text."""

    codings: tuple[Coding, ...] = ()
    original_text: str = ""

    @property
    def code(self) -> str:
        return self.codings[0].code if self.codings else ""

    @property
    def text(self) -> str:
        """The text of the first coding that has one, else the original text."""
        return next((coding.text for coding in self.codings if coding.text), self.original_text)

    @property
    def loinc(self) -> str | None:
        """The LOINC code, from whichever triple says that it is one."""
        return next((coding.code for coding in self.codings if coding.system in LOINC_SYSTEMS), None)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(system, code) of each coding, as `units.identify` takes them."""
        return tuple((coding.system, coding.code) for coding in self.codings)


@dataclass(frozen=True, slots=True)
class Identifier:
    """One repetition of PID-3 (CX): the identifier, its assigning authority (name and OID) and its type code."""

    value: str
    authority: str = ""
    authority_id: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class EntityIdentifier:
    """An order or specimen number (EI) and the namespace that makes it unique."""

    value: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """What MSH says of the message; application and facility are the namespace parts of MSH-3 and MSH-4."""

    sending_application: str
    sending_facility: str
    sent_at: Timestamp | None
    message_type: str
    trigger_event: str
    control_id: str


@dataclass(frozen=True, slots=True)
class Value:
    """One repetition of OBX-5: as sent, as plain text, and the number or the code that it states, if it does."""

    sent: str
    text: str
    number: Number | None = None
    coded: Coded | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One OBX. `sequence` is its place among the OBX of the message, for ERR locations; OBX-1 is not unique.

    `about` says what was observed: the order's results, the specimen's state or the patient. `is_null` marks an
    explicit null value (`""`), which is not the same as none sent.
    """

    sequence: int
    about: Literal["result", "specimen", "patient"]
    value_type: str
    code: Coded
    sub_id: str
    values: tuple[Value, ...]
    is_null: bool
    unit: Coded
    reference_range: ReferenceRange
    flags: tuple[str, ...]
    status: str
    observed_at: Timestamp | None
    analysed_at: Timestamp | None
    method: Coded
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Specimen:
    """One SPM: number, kind, and when it was taken and received."""

    identifier: EntityIdentifier
    kind: Coded
    collected_at: Timestamp | None
    received_at: Timestamp | None


@dataclass(frozen=True, slots=True)
class Order:
    """One OBR with its results; `filler` is OBR-3, the laboratory's own number, `reported_at` OBR-22."""

    sequence: int
    placer: EntityIdentifier
    filler: EntityIdentifier
    code: Coded
    observed_at: Timestamp | None
    received_at: Timestamp | None
    reported_at: Timestamp | None
    status: str
    specimens: tuple[Specimen, ...]
    observations: tuple[Observation, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the message that was not understood: where, why, and the text where it can name no person."""

    where: str
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A laboratory message as read. `unread` lists what was not understood; nothing is dropped in silence."""

    header: Header
    identifiers: tuple[Identifier, ...]
    orders: tuple[Order, ...]
    other_observations: tuple[Observation, ...]
    specimens: tuple[Specimen, ...]
    notes: tuple[str, ...]
    unread: tuple[Unread, ...]

    def results(self) -> Iterator[tuple[Order, Observation]]:
        """Every observation that is a result, with its order, in the order of the message."""
        for order in self.orders:
            for observation in order.observations:
                if observation.about == "result":
                    yield order, observation
