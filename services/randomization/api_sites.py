"""Sites and accrual over HTTP: where people are taken in, how many may be enrolled, and how the trial fills.

An administrator opens and closes sites. Caps are his and the statistician's, and that of all sites together is set by
who speaks for all of them. The balance of the arms is told to the statistician alone: who knows it may guess the next
arm (ICH E9 2.3.2).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from services.randomization import sites
from services.randomization.accrual import accrual, balance, site_list
from services.randomization.answers_sites import (
    Accrual,
    Balance,
    CappedEnrolment,
    OpenedOrClosedSite,
    Period,
    SiteList,
)
from services.randomization.commands import (
    CloseSite,
    LiftEnrolmentCap,
    OpenSite,
    SetEnrolmentCap,
    SiteClosure,
    SiteOpening,
)
from services.randomization.events import EnrolmentCapLifted, EnrolmentCapSet
from services.randomization.projections import PROJECTION
from services.randomization.questions import caps_at, site_states_at, subjects_at
from shared.call import Call, Reader, may_read, may_write
from shared.identity import Actor, Role
from shared.problems import FORBIDDEN, WRITE_CONFLICT, problem_responses
from shared.protocol.language import SiteId
from shared.service import recorded_event, service_router

router = service_router("randomization")

Administrator = Annotated[Call, may_write(Role.ADMIN)]
Planner = Annotated[Call, may_write(Role.ADMIN, Role.STATISTICIAN)]
StatisticianReader = Annotated[Call, may_read(Role.STATISTICIAN)]


@router.post(
    "/sites/{site}/opening",
    status_code=201,
    name="openSite",
    responses=problem_responses(sites.SITE_OPEN, WRITE_CONFLICT),
)
async def open_site(site: SiteId, body: SiteOpening, call: Administrator) -> OpenedOrClosedSite:
    """Record that the site takes people in from now on."""
    call.actor.require_site(site)
    outcome = await call.handle(sites.OPENING, OpenSite.about(body, site=site))
    return OpenedOrClosedSite(site=site, state="open", position=outcome.position)


@router.post(
    "/sites/{site}/closure",
    status_code=201,
    name="closeSite",
    responses=problem_responses(sites.SITE_CLOSED, WRITE_CONFLICT),
)
async def close_site(site: SiteId, body: SiteClosure, call: Administrator) -> OpenedOrClosedSite:
    """Record that the site takes nobody in any more. What is recorded of its subjects goes on."""
    call.actor.require_site(site)
    outcome = await call.handle(sites.CLOSURE, CloseSite.about(body, site=site))
    return OpenedOrClosedSite(site=site, state="closed", position=outcome.position)


@router.post(
    "/enrolment-cap",
    status_code=201,
    name="setEnrolmentCap",
    responses=problem_responses(sites.CAP_UNCHANGED, WRITE_CONFLICT),
)
async def set_enrolment_cap(body: SetEnrolmentCap, call: Planner) -> CappedEnrolment:
    """Set, raise or lower how many subjects may be enrolled, at a site or at all of them together.

    A cap below what is enrolled takes nobody out.
    """
    _require_scope(call.actor, body.site)
    outcome = await call.handle(sites.CAPPING, body)
    capped = recorded_event(outcome, EnrolmentCapSet)
    return CappedEnrolment(site=capped.site, cap=capped.cap, position=outcome.position)


@router.post(
    "/enrolment-cap/lifting",
    status_code=201,
    name="liftEnrolmentCap",
    responses=problem_responses(sites.NOT_CAPPED, WRITE_CONFLICT),
)
async def lift_enrolment_cap(body: LiftEnrolmentCap, call: Planner) -> CappedEnrolment:
    """Let as many subjects be enrolled as come, at a site or at all of them together."""
    _require_scope(call.actor, body.site)
    outcome = await call.handle(sites.LIFTING, body)
    lifted = recorded_event(outcome, EnrolmentCapLifted)
    return CappedEnrolment(site=lifted.site, cap=None, position=outcome.position)


def _require_scope(actor: Actor, site: str | None) -> None:
    """Raise FORBIDDEN unless the actor speaks for the site, or for all sites where none is named."""
    if site is not None:
        actor.require_site(site)
    elif actor.sites is not None:
        raise FORBIDDEN("The token does not speak for all sites.")


@router.get("/sites", name="listSites")
async def list_sites(call: Reader) -> SiteList:
    """State, cap and subjects of each site that the caller may see, and the cap of all sites together."""
    own = call.actor.sites
    known = [site.id for site in call.runtime.protocols.latest.sites.known if own is None or site.id in own]
    async with call.read(PROJECTION) as session:
        return site_list(
            await subjects_at(session, own),
            await site_states_at(session, own),
            await caps_at(session, own),
            known,
        )


@router.get("/balance", name="getBalance")
async def get_balance(call: StatisticianReader) -> Balance:
    """How many subjects each stratum has in each arm: for the statistician alone."""
    async with call.read(PROJECTION) as session:
        subjects = await subjects_at(session, call.actor.sites)
    return balance(subjects, call.runtime.protocols.arm_codes)


@router.get("/accrual", name="getAccrual")
async def get_accrual(
    call: Reader, by: Annotated[Period, Query(description="The length of a period.")] = "month"
) -> Accrual:
    """How many were screened, enrolled and randomized by each month or week, at the sites that the caller may see."""
    async with call.read(PROJECTION) as session:
        subjects = await subjects_at(session, call.actor.sites)
    return accrual(subjects, call.runtime.protocols.latest, by)
