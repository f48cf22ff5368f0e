"""What a swimmer plot asks of the read model: the courses of a page of subjects, the longest on study first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Date, SQLColumnExpression, and_, case, cast, func, literal, or_
from sqlalchemy import select as select_columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits import swimmer
from services.visits.projections import Subject
from services.visits.projections_views import Evaluation, Mark, Participation
from services.visits.questions_responses import IS_PARTICIPATION, counted_at
from services.visits.questions_worklist import evaluations_of, marks_of
from services.visits.swimmer import SEVERE, AdverseEvent, Course, Dose, Transfusion
from shared.protocol import Protocol

Place = tuple[int, str]
"""Where a subject stands in the order of a plot: its days on study, and its number."""

CivilDateOf = Callable[[SQLColumnExpression[Any]], ColumnElement[date]]


async def courses_after(
    session: AsyncSession,
    protocol: Protocol,
    sites: Collection[str] | None,
    as_of: date,
    after: Place | None,
    limit: int,
) -> tuple[list[Course], Place | None]:
    """The next subjects of some sites (None: of all), and the place of the last where more follow.

    They are sorted by days on study as of a day, the most first, then by number.
    """
    on = _civil_date(protocol)
    days = _days_on_study(protocol, on, as_of)
    question = (
        select_columns(days, col(Subject.id))
        .join(Participation, IS_PARTICIPATION)
        .where(*counted_at(sites), on(col(Subject.randomized_at)) <= as_of)
        .order_by(days.desc(), col(Subject.id))
        .limit(limit + 1)
    )
    if after is not None:
        question = question.where(or_(days < after[0], and_(days == after[0], col(Subject.id) > after[1])))
    found = (await (await session.connection()).execute(question)).all()
    page = [(int(on_study), str(subject)) for on_study, subject in found[:limit]]
    courses = await _courses(session, [subject for _, subject in page])
    return courses, page[-1] if len(found) > limit else None


def _civil_date(protocol: Protocol) -> CivilDateOf:
    """The date on the calendar of the row's site, as the database reckons it."""
    zones = {site.id: site.zone for site in protocol.sites.known}
    default = literal(protocol.sites.default_zone)
    zone = case(zones, value=col(Subject.site), else_=default) if zones else default

    def on(at: SQLColumnExpression[Any]) -> ColumnElement[date]:
        return cast(func.timezone(zone, at), Date)

    return on


def _days_on_study(protocol: Protocol, on: CivilDateOf, as_of: date) -> ColumnElement[int]:
    """Days from day 0 to the end of the time on study, but to a day at most, as `swimmer.lane` reckons them."""
    first_dose = (
        select_columns(func.min(col(Mark.at)))
        .where(col(Mark.subject) == col(Subject.id), col(Mark.kind).in_(("infusion", "ciclosporin")))
        .where(col(Mark.amount) > 0, on(col(Mark.at)) <= as_of)
        .scalar_subquery()
    )
    completed = (
        select_columns(func.min(col(Evaluation.at)))
        .where(col(Evaluation.subject) == col(Subject.id), col(Evaluation.final))
        .scalar_subquery()
    )
    from_treatment = [arm.code for arm in protocol.arms if arm.anchor != "randomization"]
    randomized = col(Subject.randomized_at)
    began = case((col(Subject.arm).in_(from_treatment), func.coalesce(first_dose, randomized)), else_=randomized)
    withdrew, lost = col(Subject.withdrawn_from_study_at), col(Participation.lost_at)
    ended = func.least(col(Subject.died_at), withdrew, lost, completed)
    return func.greatest(0, func.least(on(ended), literal(as_of, Date)) - on(began))


async def _courses(session: AsyncSession, subjects: Sequence[str]) -> list[Course]:
    """What is known of some subjects, in the order given."""
    question = select(Subject, Participation).join(Participation, IS_PARTICIPATION)
    found = (await session.exec(question.where(col(Subject.id).in_(subjects)))).all()
    rows = {row.id: (row, participation.lost_at) for row, participation in found}
    evaluations, marks = await evaluations_of(session, subjects), await marks_of(session, subjects)
    return [_course(*rows[subject], evaluations[subject], marks[subject]) for subject in subjects]


def _course(row: Subject, lost_at: datetime | None, evaluations: Sequence[Evaluation], marks: Sequence[Mark]) -> Course:
    if row.arm is None or row.randomized_at is None:
        raise LookupError(f"{row.id} takes part and is not randomized")
    return Course(
        subject=row.id,
        site=row.site,
        arm=row.arm,
        randomized_at=row.randomized_at,
        left_treatment_at=row.withdrawn_from_treatment_at,
        ends={
            "died": row.died_at,
            "withdrawn": row.withdrawn_from_study_at,
            "lost-to-follow-up": lost_at,
            "completed": min((each.at for each in evaluations if each.final), default=None),
        },
        doses=[
            Dose(mark.at, mark.kind, mark.amount or Decimal(0), mark.position)
            for mark in marks
            if mark.kind == "infusion" or mark.kind == "ciclosporin"
        ],
        evaluations=[
            swimmer.Evaluation(
                at=each.at,
                timepoint=each.timepoint,
                response=each.response,
                lineages=each.lineages,
                progression=each.progression,
                outdated=each.outdated_by is not None,
                position=each.position,
            )
            for each in evaluations
        ],
        transfusions=[
            Transfusion(mark.at, mark.component, int(mark.amount or 0), mark.position)
            for mark in marks
            if mark.component is not None
        ],
        adverse_events=[
            AdverseEvent(mark.at, mark.grade, mark.serious is True, mark.position, mark.onset_on)
            for mark in marks
            if mark.grade is not None and mark.grade >= SEVERE
        ],
    )
