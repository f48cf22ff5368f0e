"""How the trial fills: the state of each site, the balance of the arms, and who came in by which month or week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, timedelta

from services.randomization.answers_sites import (
    Accrual,
    Balance,
    Period,
    SiteAccrual,
    SiteList,
    SiteSummary,
    StratumBalance,
)
from services.randomization.projections import TRIAL_SCOPE, EnrolmentCap, SiteState, Subject
from shared.protocol import Protocol


def site_list(
    subjects: Collection[Subject], states: Collection[SiteState], caps: Collection[EnrolmentCap], known: Collection[str]
) -> SiteList:
    """Every site that is known, has a state, a cap or a subject. One that nothing is recorded of is open."""
    state_of = {row.site: row for row in states}
    cap_of = {row.scope: row.cap for row in caps}
    sites = {*known, *state_of, *cap_of, *(subject.site for subject in subjects)} - {TRIAL_SCOPE}
    items = [
        _summary(site, state_of.get(site), cap_of.get(site), [each for each in subjects if each.site == site])
        for site in sorted(sites)
    ]
    return SiteList(trial_cap=cap_of.get(TRIAL_SCOPE), items=items)


def _summary(site: str, state: SiteState | None, cap: int | None, subjects: Collection[Subject]) -> SiteSummary:
    return SiteSummary.model_validate(
        {
            "site": site,
            "state": "open" if state is None else state.state,
            "since": None if state is None else state.since,
            "reason": None if state is None else state.reason,
            "cap": cap,
            "enrolled": sum(subject.enrolled_at is not None for subject in subjects),
            "subjects": Counter(subject.status for subject in subjects),
        }
    )


def balance(subjects: Collection[Subject], arms: Collection[str]) -> Balance:
    """How many were allocated to each arm, in each stratum that was used, under each version of the scheme."""
    allocated = Counter((each.allocated_under, each.allocated_in, each.arm) for each in subjects if each.arm)
    strata = sorted(
        {(scheme, stratum) for scheme, stratum, _ in allocated if scheme is not None and stratum is not None}
    )
    items = [
        StratumBalance(scheme=scheme, stratum=stratum, arms={arm: allocated[scheme, stratum, arm] for arm in arms})
        for scheme, stratum in strata
    ]
    return Balance(arms={arm: sum(item.arms[arm] for item in items) for arm in arms}, items=items)


def accrual(subjects: Collection[Subject], protocol: Protocol, by: Period) -> Accrual:
    """Cumulative counts by site and period, in the civil dates of the site."""
    by_site: dict[str, list[Subject]] = {}
    for subject in subjects:
        by_site.setdefault(subject.site, []).append(subject)
    return Accrual(
        by=by, items=[item for site in sorted(by_site) for item in _of_site(site, by_site[site], protocol, by)]
    )


def _of_site(site: str, subjects: Collection[Subject], protocol: Protocol, by: Period) -> Iterator[SiteAccrual]:
    """One item a period from the site's first step on, each with what the earlier ones held."""

    def by_period(instants: Iterable[datetime | None]) -> Counter[date]:
        return Counter(_period_start(protocol.civil_date(at, site), by) for at in instants if at is not None)

    steps = {
        "screened": by_period(subject.screened_at for subject in subjects),
        "enrolled": by_period(subject.enrolled_at for subject in subjects),
        "randomized": by_period(subject.randomized_at for subject in subjects),
    }
    starts = {start for counts in steps.values() for start in counts}
    totals = dict.fromkeys(steps, 0)
    start, last = min(starts), max(starts)
    while start <= last:
        totals = {step: total + steps[step][start] for step, total in totals.items()}
        yield SiteAccrual(site=site, period_start=start, **totals)
        start = _next_period(start, by)


def _period_start(on: date, by: Period) -> date:
    return on.replace(day=1) if by == "month" else on - timedelta(days=on.weekday())


def _next_period(start: date, by: Period) -> date:
    return _period_start(start + timedelta(days=31), "month") if by == "month" else start + timedelta(weeks=1)
