"""By when an adverse event must be reported: to the sponsor within hours, to the authority within calendar days."""

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
    day_0 = aware_at.astimezone(ZoneInfo(protocol.sponsor.zone)).date()
    if is_fatal_or_life_threatening(protocol, grade=grade, seriousness_criteria=seriousness_criteria):
        authority_on = day_0 + timedelta(days=safety.authority_fatal_within_days)
        return Due(sponsor_by, authority_on, authority_on + timedelta(days=safety.fatal_follow_up_within_days))
    return Due(sponsor_by, day_0 + timedelta(days=safety.authority_within_days))


def is_fatal_or_life_threatening(protocol: Protocol, *, grade: int, seriousness_criteria: Collection[str]) -> bool:
    """Whether the faster clock runs: by a seriousness criterion, or by the grade that means death.

    CTCAE grade 4 alone does not: a neutrophil count can be grade 4 without a threat to life at the time of the event.
    """
    fatal = protocol.safety.fatal_or_life_threatening
    return grade >= protocol.safety.fatal_grade or not set(fatal).isdisjoint(seriousness_criteria)
