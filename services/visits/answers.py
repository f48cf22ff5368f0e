"""What the calls of this service answer with, made from what was recorded."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field

from services.visits.ciclosporin import intervals
from services.visits.events import (
    CiclosporinAdvice,
    ProductInfused,
    StatusReason,
)
from services.visits.second_dose import SecondDoseState
from services.visits.subject import Subject
from shared.answers import Written
from shared.protocol.language import AnalyteCode, Measurement, SubjectId


class InfusedProduct(Written):
    """What the infused volume amounts to, and whether that is outside the protocol's tolerance."""

    dose_number: int
    cells: Annotated[Measurement, Field(description="Viable cells.")]
    cells_per_kg: Measurement
    deviation: bool

    @classmethod
    def of(cls, infused: ProductInfused, position: int) -> Self:
        """The infusion that was recorded."""
        return cls.model_validate({**dict(infused), "position": position}, extra="ignore")


class PreparedDose(BaseModel):
    """The viable cells to give, and the volume of the product that holds them."""

    cells: Measurement
    volume_mL: Measurement  # noqa: N815 (the unit's own case)


class CiclosporinDoseHeld(BaseModel):
    """A daily dose and when it held; without an end it holds still. 0 is an interruption."""

    mg_per_kg_per_day: Measurement
    from_: Annotated[datetime, Field(serialization_alias="from")]
    to: datetime | None
    position: int


class CiclosporinAdviceItem(BaseModel):
    """What a result calls for; `none` where it no longer does. A dose to be reduced is to lie between the two named."""

    analyte: AnalyteCode
    collected_at: datetime
    advice: CiclosporinAdvice
    ground: str
    repeat_by: date | None
    mg_per_kg_per_day_min: Measurement | None
    mg_per_kg_per_day_max: Measurement | None
    inputs: list[int]


class CiclosporinCourse(BaseModel):
    """The daily doses of a subject in the order of time, and what its results call for, the latest last."""

    subject: SubjectId
    doses: list[CiclosporinDoseHeld]
    advice: list[CiclosporinAdviceItem]

    @classmethod
    def of(cls, subject: str, known: Subject) -> Self:
        """What the log knows of it."""
        return cls(
            subject=subject,
            doses=[
                CiclosporinDoseHeld(
                    mg_per_kg_per_day=each.dose.mg_per_kg_per_day,
                    from_=each.dose.at,
                    to=each.until,
                    position=each.dose.position,
                )
                for each in intervals(known.ciclosporin)
            ],
            advice=[
                CiclosporinAdviceItem.model_validate(dict(advised), extra="ignore")
                for advised in sorted(known.ciclosporin_advice.values(), key=lambda each: each.collected_at)
            ],
        )


class SecondDose(BaseModel):
    """Whether the subject may be given a second infusion, and why."""

    subject: SubjectId
    state: SecondDoseState
    because: list[StatusReason]
