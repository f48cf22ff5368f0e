"""What the table of responses asks of the read model: how many stand how, counted by the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, String, func, true, type_coerce
from sqlalchemy import select as select_columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from services.visits.events import LineageStatus, OverallResponse
from services.visits.projections import Subject
from services.visits.projections_views import Evaluation, Participation, is_signed
from services.visits.response_table import Tally
from shared.protocol import Protocol

Q = TypeVar("Q", bound=Select[*tuple[Any, ...]])

ARM = type_coerce(col(Subject.arm), String)
"""The arm; all who take part have one."""

IS_PARTICIPATION = col(Participation.subject) == col(Subject.id)


def counted_at(sites: Collection[str] | None) -> list[ColumnElement[bool]]:
    """Which subjects count: those of some sites (None: of all), but for second numbers of one person."""
    counted: list[ColumnElement[bool]] = [col(Participation.duplicate_of).is_(None)]
    return counted if sites is None else [*counted, col(Subject.site).in_(sites)]


async def randomized_by_arm(session: AsyncSession, sites: Collection[str] | None) -> dict[str, int]:
    """How many subjects count in each arm, whether evaluated or not."""
    question = (
        select_columns(col(Subject.arm), func.count())
        .join(Participation, IS_PARTICIPATION)
        .where(*counted_at(sites))
        .group_by(col(Subject.arm))
    )
    return {arm: n for arm, n in await (await session.connection()).execute(question) if arm is not None}


async def tallies_of(
    session: AsyncSession, protocol: Protocol, sites: Collection[str] | None
) -> dict[tuple[str, str], Tally]:
    """How the subjects that count stand, by timepoint and arm."""
    connection = await session.connection()
    by = (col(Evaluation.timepoint), ARM, col(Evaluation.response), col(Evaluation.outdated_by).is_(None))
    unsigned_of = func.count().filter(~is_signed(protocol))
    responses: dict[tuple[str, str], dict[OverallResponse, int]] = defaultdict(dict)
    outdated: dict[tuple[str, str], int] = defaultdict(int)
    unsigned: dict[tuple[str, str], int] = defaultdict(int)
    question = _evaluations(select_columns(*by, func.count(), unsigned_of), sites).group_by(*by)
    for timepoint, arm, response, holds, n, not_signed in await connection.execute(question):
        if holds:
            responses[timepoint, arm][response] = n
            unsigned[timepoint, arm] += not_signed
        else:
            outdated[timepoint, arm] += n
    lineages = await _lineages(session, sites)
    return {
        key: Tally(responses[key], lineages.get(key, {}), outdated[key], unsigned[key])
        for key in {*responses, *outdated}
    }


Lineages = dict[str, dict[LineageStatus, int]]


async def _lineages(session: AsyncSession, sites: Collection[str] | None) -> dict[tuple[str, str], Lineages]:
    """How many hold which status in each lineage; an evaluation that is outdated tells none."""
    lineage = func.jsonb_each_text(col(Evaluation.lineages)).table_valued("key", "value").render_derived()
    by = (col(Evaluation.timepoint), ARM, lineage.c.key, lineage.c.value)
    question = _evaluations(select_columns(*by, func.count()), sites).join(lineage, true())
    question = question.where(col(Evaluation.outdated_by).is_(None)).group_by(*by)
    found: dict[tuple[str, str], Lineages] = {}
    for timepoint, arm, code, status, n in await (await session.connection()).execute(question):
        found.setdefault((timepoint, arm), {}).setdefault(code, {})[status] = n
    return found


def _evaluations(question: Q, sites: Collection[str] | None) -> Q:
    """Of the evaluations of the subjects that count."""
    return (
        question.select_from(Evaluation)
        .join(Subject, col(Subject.id) == col(Evaluation.subject))
        .join(Participation, IS_PARTICIPATION)
        .where(*counted_at(sites))
    )
