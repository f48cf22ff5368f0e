"""What is asked of the read model: a subject, a page of them, all that is counted; and of the log, what is capped."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.randomization.answers import SubjectDetail
from services.randomization.projections import (
    TRIAL_SCOPE,
    AllocationError,
    Consent,
    EnrolmentCap,
    SiteState,
    Subject,
)
from services.randomization.sites import ABOUT_CAPS, Caps, evolve_caps
from shared.events import decode
from shared.eventstore.model import EventLog
from shared.problems import UNKNOWN_SUBJECT


async def capped_scopes(log: EventLog) -> frozenset[str | None]:
    """The sites that a cap is in effect for, and TRIAL where there is one for all of them; by the log itself."""
    caps: Caps = {}
    for stored in (await log.read(ABOUT_CAPS)).events:
        caps = evolve_caps(caps, decode(stored))
    return frozenset(caps)


async def subject_of(session: AsyncSession, subject: str) -> Subject:
    """The row of a subject. Raises UNKNOWN_SUBJECT."""
    row = await session.get(Subject, subject)
    if row is None:
        raise UNKNOWN_SUBJECT()
    return row


async def detail_of(session: AsyncSession, subject: str) -> SubjectDetail:
    """Where a subject stands, its consents and the errors of its allocation. Raises UNKNOWN_SUBJECT."""
    row = await subject_of(session, subject)
    consents = select(Consent).where(Consent.subject == subject).order_by(col(Consent.position))
    errors = select(AllocationError).where(AllocationError.subject == subject).order_by(col(AllocationError.position))
    duplicates = select(Subject.id).where(Subject.duplicate_of == subject).order_by(col(Subject.id))
    return SubjectDetail.of_record(
        row,
        consents=(await session.exec(consents)).all(),
        errors=(await session.exec(errors)).all(),
        duplicates=(await session.exec(duplicates)).all(),
    )


async def errors_at(session: AsyncSession, sites: Collection[str] | None) -> list[AllocationError]:
    """The errors of allocation at some sites (None: at all), in the order of their recording."""
    question = select(AllocationError).order_by(col(AllocationError.position))
    if sites is not None:
        question = question.where(col(AllocationError.site).in_(sites))
    return list((await session.exec(question)).all())


async def subjects_at(session: AsyncSession, sites: Collection[str] | None) -> list[Subject]:
    """All subjects of some sites (None: of all)."""
    question = select(Subject)
    if sites is not None:
        question = question.where(col(Subject.site).in_(sites))
    return list((await session.exec(question)).all())


async def site_states_at(session: AsyncSession, sites: Collection[str] | None) -> list[SiteState]:
    """Which of some sites (None: of all) are open or closed, where that is on record."""
    question = select(SiteState)
    if sites is not None:
        question = question.where(col(SiteState.site).in_(sites))
    return list((await session.exec(question)).all())


async def caps_at(session: AsyncSession, sites: Collection[str] | None) -> list[EnrolmentCap]:
    """The caps of some sites (None: of all), and that of all sites together."""
    question = select(EnrolmentCap)
    if sites is not None:
        question = question.where(col(EnrolmentCap.scope).in_([*sites, TRIAL_SCOPE]))
    return list((await session.exec(question)).all())


async def page_of_subjects(
    session: AsyncSession,
    sites: Collection[str] | None,
    *,
    site: str | None,
    status: str | None,
    arm: str | None,
    after: str | None,
    limit: int,
) -> list[Subject]:
    """Subjects of some sites (None: of all) that match the filters, by number from a cursor on, at most `limit`."""
    question = select(Subject).order_by(col(Subject.id)).limit(limit)
    if sites is not None:
        question = question.where(col(Subject.site).in_(sites))
    for column, wanted in ((Subject.site, site), (Subject.status, status), (Subject.arm, arm)):
        if wanted is not None:
            question = question.where(col(column) == wanted)
    if after is not None:
        question = question.where(col(Subject.id) > after)
    return list((await session.exec(question)).all())
