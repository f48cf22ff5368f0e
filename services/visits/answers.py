"""What the calls of this service answer with, made from what was recorded or from a subject's calendar."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from services.visits.calendar import Calendar
from services.visits.ciclosporin import intervals
from services.visits.events import (
    CiclosporinAdvice,
    ProductInfused,
    StatusReason,
)
from services.visits.schedule import ItemState, State
from services.visits.second_dose import SecondDoseState
from services.visits.subject import Subject
from shared.answers import Written
from shared.protocol.language import AnalyteCode, ArmCode, Measurement, SubjectId


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


class ItemWindow(BaseModel):
    """The first and the last day on which an item may be done."""

    from_: Annotated[date, Field(serialization_alias="from")]
    to: date


class ScheduledItem(BaseModel):
    """One thing to be done for a subject, and how it stands. Days are civil days of the site."""

    code: str
    activity: str
    nominal_on: date
    window: ItemWindow
    state: State
    done_on: date | None
    position: Annotated[int | None, Field(description="Where in the log its doing stands.")]

    @classmethod
    def of(cls, state: ItemState, **more: Any) -> Self:  # noqa: ANN401 (the fields of a subclass)
        """An item of the plan as it stands."""
        item = state.item
        return cls(
            code=item.code,
            activity=item.activity,
            nominal_on=item.nominal_on,
            window=ItemWindow(from_=item.window.opens_on, to=item.window.closes_on),
            state=state.state,
            done_on=state.done_on,
            position=state.position,
            **more,
        )


class SubjectSchedule(BaseModel):
    """A subject's items as of a day, by nominal day."""

    subject: SubjectId
    arm: ArmCode
    day_0: Annotated[date, Field(description="The day of the first treatment; until then, that of randomization.")]
    started_late: Annotated[bool, Field(description="Treatment began later after randomization than allowed.")]
    as_of: date
    items: list[ScheduledItem]

    @classmethod
    def of(cls, calendar: Calendar, as_of: date) -> Self:
        """The schedule of one subject as of a day, past or future."""
        start = calendar.start()
        return cls(
            subject=calendar.subject.id,
            arm=calendar.arm,
            day_0=start.day_0,
            started_late=start.is_late,
            as_of=as_of,
            items=[ScheduledItem.of(item) for item in calendar.states(as_of)],
        )


class DueItem(ScheduledItem):
    """An item that is `due` (its window is open) or overdue (`missed`)."""

    subject: SubjectId

    @property
    def cursor(self) -> str:
        return f"{self.subject}/{self.nominal_on}/{self.code}"


class DueList(BaseModel):
    """One page, by subject and nominal day; `next` is the cursor of the page after, if any."""

    items: list[DueItem]
    next: str | None
