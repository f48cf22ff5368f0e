"""What a subject's calendar rests on: its standing, what staff did, what laboratories collected, what was missed.

The read model and the rule of missed items keep the same facts: which event says what is settled here, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.labs.events import LabReportRecorded
from services.randomization.events import (
    InformedConsentObtained,
    SubjectRandomized,
    SubjectScreened,
    SubjectWithdrawn,
)
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    CiclosporinDosed,
    InfusionSafetyChecked,
    ItemMissed,
    ProductInfused,
    SecondDoseEligible,
    SecondDoseIneligible,
    SubjectEvaluated,
    SymptomsScored,
)
from services.visits.item_state import Miss
from services.visits.schedule import DateWindow
from shared.events import Event, Recorded
from shared.protocol.versions import Signed


class Kind(StrEnum):
    """What site staff do for a subject."""

    INFUSION = "infusion"
    SAFETY_LOOK = "safety-look"
    CICLOSPORIN = "ciclosporin"
    SYMPTOMS = "symptoms"
    EVALUATION = "evaluation"


@dataclass(frozen=True, slots=True)
class Standing:
    """What bears on the whole of a subject's schedule. Instants are when it happened, not when it was recorded.

    `replanned_by` is the position of the last event that may have changed what is planned, or taken back what was done.
    """

    id: str
    site: str
    screened_at: datetime | None = None
    arm: str | None = None
    randomized_at: datetime | None = None
    withdrawn_from_treatment_at: datetime | None = None
    withdrawn_from_study_at: datetime | None = None
    died_at: datetime | None = None
    may_have_second_dose: bool | None = None
    second_dose_decided_at: datetime | None = None
    replanned_by: int = 0


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that site staff did for a subject; `which` week, timepoint, dose or look it was, where that matters."""

    kind: str
    which: str
    at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class Specimen:
    """A specimen's result; `stands` is false for one that was not obtainable, deleted or of another patient."""

    analyte: str
    at: datetime
    position: int
    stands: bool


EVENTS: tuple[type[Event], ...] = (
    SubjectScreened,
    InformedConsentObtained,
    SubjectRandomized,
    SubjectWithdrawn,
    ProductInfused,
    InfusionSafetyChecked,
    CiclosporinDosed,
    SymptomsScored,
    AdverseEventReported,
    AdverseEventFollowedUp,
    AdverseEventNullified,
    SubjectEvaluated,
    SecondDoseEligible,
    SecondDoseIneligible,
    LabReportRecorded,
    ItemMissed,
)
"""The events that a calendar rests on."""


FIRST_COUNTS = ("died_at",)
"""Fields that keep their first value until it is taken back: several reports may tell of one death."""


def change_of_standing(recorded: Recorded) -> dict[str, Any]:
    """The fields of a standing that an event changes, with their new values; none for most events."""
    at, replanned = recorded.occurred_at, {"replanned_by": recorded.position}
    match recorded.event:
        case SubjectRandomized(arm=arm):
            return replanned | {"randomized_at": at, "arm": arm}
        case SubjectWithdrawn(scope="treatment"):
            return replanned | {"withdrawn_from_treatment_at": at}
        case SubjectWithdrawn():
            return replanned | {"withdrawn_from_study_at": at}
        case AdverseEventReported(fatal=True) | AdverseEventFollowedUp(fatal=True):
            return replanned | {"died_at": at}
        case AdverseEventFollowedUp(death_retracted=True) | AdverseEventNullified(death_retracted=True):
            return replanned | {"died_at": None}
        case SecondDoseEligible():
            return replanned | {"may_have_second_dose": True, "second_dose_decided_at": at}
        case SecondDoseIneligible():
            return replanned | {"may_have_second_dose": False, "second_dose_decided_at": at}
        case ProductInfused():
            return replanned
        case LabReportRecorded(results=results) if any(each.supersedes is not None for each in results):
            return replanned
        case _:
            return {}


def deed_of(recorded: Recorded) -> Deed | None:
    """What site staff did, as an event tells it; None for an event of another kind."""

    def deed(kind: Kind, which: object = "") -> Deed:
        return Deed(kind.value, str(which), recorded.occurred_at, recorded.position)

    match recorded.event:
        case ProductInfused(dose_number=number):
            return deed(Kind.INFUSION, number)
        case InfusionSafetyChecked(look=look):
            return deed(Kind.SAFETY_LOOK, look)
        case CiclosporinDosed(mg_per_kg_per_day=dose) if dose:  # none a day is an interruption, and begins nothing
            return deed(Kind.CICLOSPORIN)
        case SymptomsScored(week=week):
            return deed(Kind.SYMPTOMS, week)
        case SubjectEvaluated(timepoint=timepoint):
            return deed(Kind.EVALUATION, timepoint)
        case _:
            return None


def specimens_of(recorded: Recorded) -> dict[str, Specimen]:
    """What a report says of specimens, by the key of the result; empty for any other event."""
    if not isinstance(recorded.event, LabReportRecorded):
        return {}
    return {
        result.key: Specimen(result.code, result.collected_at, recorded.position, result.value is not None)
        for result in recorded.event.results
        if result.current
    }


@dataclass(frozen=True, slots=True)
class Followed:
    """A subject as far as its calendar is concerned; `standing` is None for one that nobody has screened."""

    standing: Standing | None = None
    deeds: tuple[Deed, ...] = ()
    specimens: Mapping[str, Specimen] = field(default_factory=dict)
    misses: tuple[Miss, ...] = ()
    signed: tuple[Signed, ...] = ()


def evolve(followed: Followed, recorded: Recorded) -> Followed:
    """The subject after one more event."""
    match recorded.event:
        case SubjectScreened(subject=subject, site=site):
            return replace(followed, standing=Standing(subject, site, recorded.occurred_at))
        case InformedConsentObtained(consent_version=version):
            signed = Signed(version, recorded.occurred_at, recorded.position)
            return replace(followed, signed=(*followed.signed, signed))
        case ItemMissed(code=code, opens_on=opens_on, closes_on=closes_on):
            miss = Miss(code, DateWindow(opens_on, closes_on), recorded.recorded_at, recorded.position)
            return replace(followed, misses=(*followed.misses, miss))
    if followed.standing is not None and (change := change_of_standing(recorded)):
        kept = [name for name in FIRST_COUNTS if change.get(name) and getattr(followed.standing, name)]
        change = {name: value for name, value in change.items() if name not in kept}
        followed = replace(followed, standing=replace(followed.standing, **change))
    if (deed := deed_of(recorded)) is not None:
        return replace(followed, deeds=(*followed.deeds, deed))
    if specimens := specimens_of(recorded):
        return replace(followed, specimens={**followed.specimens, **specimens})
    return followed
