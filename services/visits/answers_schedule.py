"""What the calls about schedules answer with, made from a subject's calendar."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from services.visits.calendar import Calendar
from services.visits.item_state import Cancelled, Done, ItemState, State
from services.visits.visit_numbers import Visit, VisitNumbers
from shared.protocol.language import ArmCode, SubjectId

VisitNum = Annotated[Decimal, Field(description="SDTM VISITNUM: whole for a planned visit.", examples=["13", "13.01"])]


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
    visitnum: VisitNum
    missed_at: Annotated[datetime | None, Field(description="When its miss was recorded; stays when it is done late.")]
    missed_position: Annotated[int | None, Field(description="Where in the log its miss stands.")]
    cancelled_because: Annotated[
        Cancelled | None, Field(description="`amended`: the version that the subject moved to does not have it.")
    ]
    protocol_version: Annotated[str, Field(description="The version of the protocol that plans it.")]

    @classmethod
    def of(cls, state: ItemState, numbers: VisitNumbers, **more: Any) -> Self:  # noqa: ANN401 (the fields of a subclass)
        """An item of the plan as it stands."""
        item, miss = state.item, state.miss
        return cls(
            code=item.code,
            activity=item.activity,
            nominal_on=item.nominal_on,
            window=ItemWindow(from_=item.window.opens_on, to=item.window.closes_on),
            state=state.state,
            done_on=state.done_on,
            position=state.position,
            visitnum=Decimal(numbers.of_item(item)),
            missed_at=miss.recorded_at if miss else None,
            missed_position=miss.position if miss else None,
            cancelled_because=state.cancelled,
            protocol_version=item.version,
            **more,
        )


class PlannedVisit(BaseModel):
    """Items of one nominal day, which a subject may come for once."""

    visitnum: VisitNum
    nominal_on: date
    items: Annotated[list[str], Field(description="Their codes.")]

    @classmethod
    def of(cls, visit: Visit) -> Self:
        """A visit of the plan."""
        return cls(visitnum=visit.number, nominal_on=visit.nominal_on, items=list(visit.codes))


class UnscheduledActivity(BaseModel):
    """Something that was done and that no item of the plan claims."""

    activity: str
    done_on: date
    position: Annotated[int, Field(description="Where in the log it stands.")]
    visitnum: Annotated[VisitNum, Field(description="That of the planned visit before it, and a hundredth a visit.")]

    @classmethod
    def of(cls, done: Done, number: Decimal) -> Self:
        """An activity on an unscheduled visit of that number."""
        return cls(activity=done.activity, done_on=done.done_on, position=done.position, visitnum=number)


class SubjectSchedule(BaseModel):
    """A subject's items as of a day, by nominal day."""

    subject: SubjectId
    arm: ArmCode
    day_0: Annotated[date, Field(description="The day of the first treatment; until then, that of randomization.")]
    started_late: Annotated[bool, Field(description="Treatment began later after randomization than allowed.")]
    as_of: date
    protocol_version: Annotated[str, Field(description="The version of the protocol that the subject followed then.")]
    items: list[ScheduledItem]
    visits: Annotated[list[PlannedVisit], Field(description="The items by visit.")]
    unscheduled: list[UnscheduledActivity]

    @classmethod
    def of(cls, calendar: Calendar, as_of: date) -> Self:
        """The schedule of one subject as of a day, past or future: as known today, of that day."""
        start, states, unscheduled = calendar.start, calendar.states(as_of), calendar.unscheduled(as_of)
        numbers, items = VisitNumbers.of(calendar.protocols.readable), [state.item for state in states]
        on_days = numbers.unscheduled((done.done_on for done in unscheduled), items)
        return cls(
            subject=calendar.standing.id,
            arm=calendar.arm,
            day_0=start.day_0,
            started_late=start.is_late,
            as_of=as_of,
            protocol_version=calendar.protocol_on(as_of).version,
            items=[ScheduledItem.of(state, numbers) for state in states],
            visits=[PlannedVisit.of(visit) for visit in numbers.visits(items)],
            unscheduled=[UnscheduledActivity.of(done, on_days[done.done_on]) for done in unscheduled],
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
