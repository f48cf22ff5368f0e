"""What a work list asks of the read model: the dossiers of so many of a site's subjects at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

from sqlalchemy import exists
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.calendar import Calendar
from services.visits.events import ReportKind
from services.visits.evidence import Finding
from services.visits.partial_dates import latest
from services.visits.projections import Collected, SafetyReport
from services.visits.projections_views import Advice, Evaluation, Mark, is_signed
from services.visits.questions_schedule import calendars_from
from services.visits.second_dose import AdverseEventSeen, EvaluationMade, SecondDoseFacts
from services.visits.subject import FIRST, SECOND
from services.visits.worklist import Dossier, OpenAdvice, OpenReport
from shared.protocol import Protocol, Protocols
from shared.protocol.language import site_of

SUBJECTS_AT_ONCE = 50
"""A work list is in order of urgency among so many: what a page costs does not hang on how many a site has."""


async def dossiers_from(
    session: AsyncSession, protocols: Protocols, protocol: Protocol, site: str, on: date, first: str
) -> tuple[list[Dossier], str | None]:
    """The dossiers on a day of the next subjects of a site, from a number on, and the number to go on from, if any.

    Each subject's calendar is that of the versions that it follows; its tasks are told by the site's, `protocol`.
    """
    calendars, following = await calendars_from(session, protocols, first, SUBJECTS_AT_ONCE, [site])
    subjects = [calendar.standing.id for calendar in calendars]
    reports, advice = await _reports_of(session, protocol, subjects), await _advice_of(session, protocol, subjects)
    evaluations, signed = await evaluations_of(session, subjects), await _signed_of(session, protocol, subjects)
    marks = await marks_of(session, subjects)
    dossiers = []
    for calendar in calendars:
        subject = calendar.standing.id
        dossier = _dossier(protocol, calendar, evaluations[subject], signed, marks[subject], on)
        dossiers.append(replace(dossier, reports=reports[subject], advice=advice[subject]))
    return dossiers, following


async def _reports_of(
    session: AsyncSession, protocol: Protocol, subjects: Sequence[str]
) -> dict[str, list[OpenReport]]:
    """The reports whose clocks run, by subject."""
    question = select(SafetyReport).where(col(SafetyReport.subject).in_(subjects), col(SafetyReport.ended_at).is_(None))
    found: dict[str, list[OpenReport]] = defaultdict(list)
    for row in (await session.exec(question)).all():
        aware_on = protocol.civil_date(row.aware_at, row.site)
        due_on = row.due_on if row.due_by is None else protocol.civil_date(row.due_by, row.site)
        report: ReportKind = row.report  # type: ignore[assignment]  # a column of text
        found[row.subject].append(OpenReport(report, aware_on, due_on or aware_on, row.started_by))
    return found


async def _advice_of(session: AsyncSession, protocol: Protocol, subjects: Sequence[str]) -> dict[str, list[OpenAdvice]]:
    """The advice that stands, by subject, unless a dose was ordered or the analyte collected after its specimen."""
    dosed = exists().where(
        col(Mark.subject) == col(Advice.subject),
        col(Mark.kind) == "ciclosporin",
        col(Mark.at) > col(Advice.collected_at),
    )
    repeated = exists().where(
        col(Collected.subject) == col(Advice.subject),
        col(Collected.analyte) == col(Advice.analyte),
        col(Collected.at) > col(Advice.collected_at),
        col(Collected.stands),
    )
    question = select(Advice).where(col(Advice.subject).in_(subjects), col(Advice.advice) != "none", ~dosed, ~repeated)
    found: dict[str, list[OpenAdvice]] = defaultdict(list)
    for row in (await session.exec(question)).all():
        on = protocol.civil_date(row.at, site_of(row.subject))
        found[row.subject].append(OpenAdvice(row.analyte, on, row.repeat_by or on, row.position))
    return found


async def evaluations_of(session: AsyncSession, subjects: Sequence[str]) -> dict[str, list[Evaluation]]:
    """The evaluations of some subjects, by subject, in the order of their recording."""
    question = select(Evaluation).where(col(Evaluation.subject).in_(subjects)).order_by(col(Evaluation.position))
    found: dict[str, list[Evaluation]] = defaultdict(list)
    for row in (await session.exec(question)).all():
        found[row.subject].append(row)
    return found


async def _signed_of(session: AsyncSession, protocol: Protocol, subjects: Sequence[str]) -> frozenset[int]:
    """The positions of those evaluations of some subjects that are signed."""
    question = select(Evaluation.position).where(col(Evaluation.subject).in_(subjects), is_signed(protocol))
    return frozenset((await session.exec(question)).all())


async def marks_of(session: AsyncSession, subjects: Sequence[str]) -> dict[str, list[Mark]]:
    """The marks of some subjects, by subject, in the order of their recording; what was nullified is none."""
    question = select(Mark).where(col(Mark.subject).in_(subjects), ~col(Mark.nullified)).order_by(col(Mark.position))
    found: dict[str, list[Mark]] = defaultdict(list)
    for row in (await session.exec(question)).all():
        found[row.subject].append(row)
    return found


def _dossier(
    protocol: Protocol,
    calendar: Calendar,
    evaluations: Sequence[Evaluation],
    signed: Collection[int],
    marks: Sequence[Mark],
    on: date,
) -> Dossier:
    subject = calendar.standing
    made = {
        each.timepoint: EvaluationMade(
            position=each.position,
            inputs=(),  # what it rests on decides nothing
            lineages=each.lineages,
            progression=each.progression,
            signed=each.position in signed,
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
