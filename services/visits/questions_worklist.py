"""What a work list asks of the read model: the dossiers of a site's subjects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.calendar import Calendar
from services.visits.evidence import Finding
from services.visits.partial_dates import latest
from services.visits.projections_views import Evaluation, Mark
from services.visits.questions_schedule import known_at_site
from services.visits.second_dose import AdverseEventSeen, EvaluationMade, SecondDoseFacts
from services.visits.subject import FIRST, SECOND
from services.visits.worklist import Dossier
from shared.protocol import Protocol


async def dossiers_at(session: AsyncSession, protocol: Protocol, site: str, on: date) -> list[Dossier]:
    """The dossiers of all randomized subjects of a site on a day there."""
    calendars = [known.calendar for known in await known_at_site(session, protocol, site)]
    subjects = [calendar.standing.id for calendar in calendars]
    evaluations = await evaluations_of(session, subjects)
    marks = await marks_of(session, subjects)
    return [
        _dossier(protocol, calendar, evaluations[calendar.standing.id], marks[calendar.standing.id], on)
        for calendar in calendars
    ]


async def evaluations_of(session: AsyncSession, subjects: Sequence[str]) -> dict[str, list[Evaluation]]:
    """The evaluations of some subjects, by subject, in the order of their recording."""
    question = select(Evaluation).where(col(Evaluation.subject).in_(subjects)).order_by(col(Evaluation.position))
    found: dict[str, list[Evaluation]] = defaultdict(list)
    for row in (await session.exec(question)).all():
        found[row.subject].append(row)
    return found


async def marks_of(session: AsyncSession, subjects: Sequence[str]) -> dict[str, list[Mark]]:
    """The marks of some subjects, by subject, in the order of their recording; what was nullified is none."""
    question = select(Mark).where(col(Mark.subject).in_(subjects), ~col(Mark.nullified)).order_by(col(Mark.position))
    found: dict[str, list[Mark]] = defaultdict(list)
    for row in (await session.exec(question)).all():
        found[row.subject].append(row)
    return found


def _dossier(
    protocol: Protocol, calendar: Calendar, evaluations: Sequence[Evaluation], marks: Sequence[Mark], on: date
) -> Dossier:
    subject = calendar.standing
    made = {
        each.timepoint: EvaluationMade(
            position=each.position,
            inputs=(),  # what it rests on decides nothing
            lineages=each.lineages,
            progression=each.progression,
            signed=each.by_investigator,
            outdated_by=each.outdated_by,
        )
        for each in evaluations
    }
    has_left = subject.died_at is not None or subject.withdrawn_from_study_at is not None
    rule = protocol.second_dose
    infusions = {int(mark.amount or 0): mark for mark in marks if mark.kind == "infusion"}
    first, second = infusions.get(FIRST), infusions.get(SECOND)
    return Dossier(
        subject=subject.id,
        day_0=calendar.start.day_0,
        on=on,
        items=calendar.states(on),
        evaluations=made,
        second_dose=SecondDoseFacts(
            arm=calendar.arm,
            first_infusion=first.position if first else None,
            second_infusion=second.position if second else None,
            evaluation=made.get(rule.timepoint) if rule else None,
            adverse_events=() if first is None else _adverse_events_since(protocol, subject.site, first, marks),
            left=Finding("left", ()) if has_left or subject.withdrawn_from_treatment_at else None,
        ),
        has_left=has_left,
    )


def _adverse_events_since(
    protocol: Protocol, site: str, first: Mark, marks: Sequence[Mark]
) -> tuple[AdverseEventSeen, ...]:
    """The adverse events that may have begun on the day of the first infusion or after it (`second_dose`)."""
    given_on = protocol.civil_date(first.at, site)

    def began_on_at_latest(mark: Mark) -> date:
        return protocol.civil_date(mark.at, site) if mark.onset_on is None else latest(mark.onset_on)

    return tuple(
        AdverseEventSeen(
            position=mark.position,
            grade=mark.grade or 0,
            serious=mark.serious is True,
            related=mark.related is True,
            infusion_reaction=mark.infusion_reaction is True,
        )
        for mark in marks
        if mark.kind == "adverse-event" and began_on_at_latest(mark) >= given_on
    )
