"""What is to be done for whom: a subject's schedule as of a day, and what is due or overdue at a site."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.calendar import Calendar, read_calendars
from services.visits.projections import Subject
from services.visits.schedule import ItemState, State
from shared.protocol import ArmCode, Protocol, SubjectId

SUBJECTS_AT_ONCE = 50


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


class SubjectSchedule(BaseModel):
    """A subject's items as of a day, by nominal day."""

    subject: SubjectId
    arm: ArmCode
    day_0: Annotated[date, Field(description="The day of the first treatment; until then, that of randomization.")]
    started_late: Annotated[bool, Field(description="Treatment began later after randomization than allowed.")]
    as_of: date
    items: list[ScheduledItem]


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


CURSOR = r"^[0-9]{2}-[0-9]{3}/[0-9]{4}-[0-9]{2}-[0-9]{2}/[A-Z][A-Z0-9-]{0,11}$"
"""How the cursor of a due item is written."""


def subject_schedule(calendar: Calendar, as_of: date) -> SubjectSchedule:
    """The schedule of one subject as of a day, past or future."""
    start = calendar.start()
    return SubjectSchedule(
        subject=calendar.subject.id,
        arm=calendar.arm,
        day_0=start.day_0,
        started_late=start.is_late,
        as_of=as_of,
        items=[ScheduledItem(**_described(item)) for item in calendar.states(as_of)],
    )


async def due_at_site(
    session: AsyncSession, protocol: Protocol, site: str, on: date, after: str | None, limit: int
) -> DueList:
    """What is due or overdue at a site on a day, from a cursor on; subjects are gone through until the page is full."""
    first = (after or "").partition("/")[0]
    question = select(Subject.id).where(col(Subject.site) == site, col(Subject.id) >= first)
    ids = (await session.exec(question.order_by(col(Subject.id)))).all()
    found: list[DueItem] = []
    for start in range(0, len(ids), SUBJECTS_AT_ONCE):
        for calendar in await read_calendars(session, protocol, ids[start : start + SUBJECTS_AT_ONCE]):
            items = sorted(_due(calendar, on), key=lambda item: item.cursor)
            found += [item for item in items if after is None or item.cursor > after]
            if len(found) > limit:
                return DueList(items=found[:limit], next=found[limit - 1].cursor)
    return DueList(items=found, next=None)


def _due(calendar: Calendar, on: date) -> Iterator[DueItem]:
    for item in calendar.states(on):
        if item.state in {"due", "missed"}:
            yield DueItem(subject=calendar.subject.id, **_described(item))


def _described(state: ItemState) -> dict[str, Any]:
    item = state.item
    return {
        "code": item.code,
        "activity": item.activity,
        "nominal_on": item.nominal_on,
        "window": ItemWindow(from_=item.window.opens_on, to=item.window.closes_on),
        "state": state.state,
        "done_on": state.done_on,
        "position": state.position,
    }
