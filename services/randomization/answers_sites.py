"""What the calls about sites, balance and accrual answer with."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.randomization.answers import Status
from shared.protocol.language import ArmCode, SiteId

SiteStateCode = Literal["open", "closed"]

Period = Literal["month", "week"]


class OpenedOrClosedSite(BaseModel):
    """The site, and whether it takes people in from now on."""

    site: SiteId
    state: SiteStateCode
    position: int


class CappedEnrolment(BaseModel):
    """The cap that is in effect from now on, null where there is none; without a site, that of all together."""

    site: SiteId | None
    cap: int | None
    position: int


class SiteSummary(BaseModel):
    """A site's state, its cap, and how many subjects it has."""

    site: SiteId
    state: SiteStateCode
    since: Annotated[datetime | None, Field(description="Null where neither opening nor closure is on record.")]
    reason: str | None
    cap: int | None
    enrolled: Annotated[int, Field(description="Ever enrolled, as the cap counts them.")]
    subjects: Annotated[dict[Status, int], Field(description="By where they stand now; the sum is all screened.")]


class SiteList(BaseModel):
    """The sites that the caller may see and something is known of, in the order of their numbers."""

    trial_cap: Annotated[int | None, Field(description="Of all sites together; null where there is none.")]
    items: list[SiteSummary]


class StratumBalance(BaseModel):
    """Subjects by arm that were allocated in a stratum under a version of the scheme."""

    scheme: int
    stratum: Annotated[str, Field(description="The one that was used, whatever has been corrected since.")]
    arms: dict[ArmCode, int]


class Balance(BaseModel):
    """Allocations by version of the scheme, stratum and arm; errors of allocation take none away."""

    arms: Annotated[dict[ArmCode, int], Field(description="Over all strata.")]
    items: list[StratumBalance]


class SiteAccrual(BaseModel):
    """How many subjects a site had by the end of a period, all earlier ones included."""

    site: SiteId
    period_start: Annotated[date, Field(description="By the site's calendar; a week begins on Monday (ISO 8601).")]
    screened: int
    enrolled: int
    randomized: int


class Accrual(BaseModel):
    """Each site's periods from its first screening to the last step into the trial, without gaps."""

    by: Period
    items: list[SiteAccrual]
