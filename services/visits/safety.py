"""By when an adverse event must be reported: to the sponsor within hours, to the authority within calendar days.

What becomes known later starts clocks of its own and never stops or moves one that runs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Due:
    """The reports that an adverse event calls for; None where none is called for.

    The sponsor's is an instant. The authority's are civil dates in the sponsor's zone, the last day on which the report
    is in time; the follow-up is the complete report after a fatal or life-threatening case.
    """

    sponsor_by: datetime | None = None
    authority_on: date | None = None
    follow_up_on: date | None = None


def due(
    protocol: Protocol,
    *,
    aware_at: datetime,
    grade: int,
    serious: bool,
    related: bool,
    expected: bool = False,
    seriousness_criteria: Collection[str] = (),
) -> Due:
    """The reporting clocks of one adverse event, from the sponsor's awareness (day 0), as of what is known now.

    Serious events go to the sponsor within 24 h (EU CTR Art. 41). Suspected unexpected ones go to the authority within
    7 days when fatal or life-threatening, else within 15 (ICH E2A; 21 CFR 312.32(c)); an event not known to be expected
    is unexpected. An upgrade to fatal has a clock of its own: ask again with the awareness of the upgrade.
    """
    safety = protocol.safety
    if not serious:
        return Due()
    sponsor_by = aware_at + timedelta(hours=safety.sponsor_within_hours)
    if not related or expected:
        return Due(sponsor_by=sponsor_by)
    day_0 = sponsor_day(protocol, aware_at)
    if is_fatal_or_life_threatening(protocol, grade=grade, seriousness_criteria=seriousness_criteria):
        authority_on = day_0 + timedelta(days=safety.authority_fatal_within_days)
        return Due(sponsor_by, authority_on, authority_on + timedelta(days=safety.fatal_follow_up_within_days))
    return Due(sponsor_by, day_0 + timedelta(days=safety.authority_within_days))


@dataclass(frozen=True, slots=True)
class Assessment:
    """How an adverse event is judged; the grade is by CTCAE."""

    grade: int
    serious: bool
    seriousness_criteria: tuple[str, ...]
    related: bool
    expected: bool


def due_after_follow_up(
    protocol: Protocol, before: Assessment, after: Assessment, *, aware_at: datetime, authority_told_of: bool
) -> Due:
    """The reports that a follow-up calls for, from its own awareness, beside those that were due before.

    An upgrade starts every clock of what the event is now: to serious, to suspected and unexpected, or to fatal or
    life-threatening (ICH E2A). What else becomes known of a case that has gone or is to go to the authority goes there
    within 15 days (21 CFR 312.32(d)), a downgrade too.
    """
    if _is_upgrade(protocol, before, after):
        return due(
            protocol,
            aware_at=aware_at,
            grade=after.grade,
            serious=after.serious,
            related=after.related,
            expected=after.expected,
            seriousness_criteria=after.seriousness_criteria,
        )
    if authority_told_of:
        days = timedelta(days=protocol.safety.follow_up_within_days)
        return Due(follow_up_on=sponsor_day(protocol, aware_at) + days)
    return Due()


def _is_upgrade(protocol: Protocol, before: Assessment, after: Assessment) -> bool:
    """Whether the event has become something that a clock of its own runs for."""
    was, now = _reportable_as(protocol, before), _reportable_as(protocol, after)
    return any(is_now and not has_been for has_been, is_now in zip(was, now, strict=True))


def _reportable_as(protocol: Protocol, event: Assessment) -> tuple[bool, bool, bool]:
    """Whether it is serious; whether suspected and unexpected besides; whether fatal or life-threatening besides."""
    criteria = event.seriousness_criteria
    return (
        event.serious,
        event.serious and event.related and not event.expected,
        event.serious and is_fatal_or_life_threatening(protocol, grade=event.grade, seriousness_criteria=criteria),
    )


def sponsor_day(protocol: Protocol, at: datetime) -> date:
    """The date on the sponsor's calendar, in which days of reporting are counted."""
    return at.astimezone(ZoneInfo(protocol.sponsor.zone)).date()


def is_late(protocol: Protocol, at: datetime, *, due_by: datetime | None, due_on: date | None) -> bool:
    """Whether a report at an instant would be late for its clock: after the instant, or after the day as a whole."""
    if due_by is not None:
        return at > due_by
    return due_on is not None and sponsor_day(protocol, at) > due_on


def is_fatal_or_life_threatening(protocol: Protocol, *, grade: int, seriousness_criteria: Collection[str]) -> bool:
    """Whether the faster clock runs: by a seriousness criterion, or by the grade that means death.

    CTCAE grade 4 alone does not: a neutrophil count can be grade 4 without a threat to life at the time of the event.
    """
    fatal = protocol.safety.fatal_or_life_threatening
    return grade >= protocol.safety.fatal_grade or not set(fatal).isdisjoint(seriousness_criteria)
