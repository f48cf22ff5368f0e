"""Sites open and close, caps bound the enrolment: by what the log says, for whoever comes in, and for nobody else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.randomization import domain, screening
from services.randomization.commands import (
    CloseSite,
    EnrolSubject,
    LiftEnrolmentCap,
    OpenSite,
    RescreenSubject,
    ScreenSubject,
    SetEnrolmentCap,
)
from services.randomization.events import (
    EnrolmentCapLifted,
    EnrolmentCapSet,
    SiteClosed,
    SiteOpened,
    SubjectEnrolled,
    SubjectWithdrawn,
)
from services.randomization.sites import (
    CAP_REACHED,
    CAP_UNCHANGED,
    CAPPING,
    CLOSURE,
    LIFTING,
    NOT_CAPPED,
    OPENING,
    SITE_CLOSED,
    SITE_OPEN,
    TRIAL,
)
from shared.chronology import OUT_OF_ORDER
from shared.events import Event
from shared.problems import WRITE_CONFLICT
from shared.protocol import load_protocol
from tests.randomization.examples import assessed, consented, enrolled, ready_to_randomize, screened
from tests.scenario import DAY_0, At, given

PROTOCOL = load_protocol()
SCREENING = screening.screening(PROTOCOL)
S = "01-001"
READY = (screened(S), consented(S), assessed(S))
"""Who lacks nothing but the enrolment."""

WHY = "the steering committee decided so"
SCREEN = ScreenSubject(site="01", birth_year=1960, sex="F")
OPEN, CLOSE = OpenSite(site="01", reason=WHY), CloseSite(site="01", reason=WHY)
ENROL = EnrolSubject(subject=S)
OPENED, CLOSED, CLOSED_ELSEWHERE = SiteOpened(site="01"), SiteClosed(site="01"), SiteClosed(site="02")


def cap(site: str | None, number: int, before: int | None = None) -> EnrolmentCapSet:
    return EnrolmentCapSet(site=site, cap=number, cap_before=before)


def capped(site: str | None, number: int) -> SetEnrolmentCap:
    return SetEnrolmentCap(site=site, cap=number, reason=WHY)


# Opening and closing.


def test_a_site_that_nothing_is_recorded_of_takes_people_in() -> None:
    given().when(SCREENING, SCREEN).records(screened("01-001"))
    given(*READY).when(domain.enrolment(PROTOCOL), ENROL).records(enrolled(S))


def test_a_site_is_closed_once_until_it_is_opened_again() -> None:
    given().when(CLOSURE, CLOSE).records(CLOSED)
    given(OPENED, CLOSED_ELSEWHERE).when(CLOSURE, CLOSE).records(CLOSED)
    given(CLOSED).when(CLOSURE, CLOSE).rejects(SITE_CLOSED, site="01")
    given(CLOSED, OPENED).when(CLOSURE, CLOSE).records(CLOSED)


def test_a_site_is_opened_once_until_it_is_closed_also_where_nothing_was_recorded_of_it() -> None:
    given().when(OPENING, OPEN).records(OPENED)
    given(CLOSED).when(OPENING, OPEN).records(OPENED)
    given(OPENED).when(OPENING, OPEN).rejects(SITE_OPEN, site="01")


def test_nobody_is_screened_at_a_closed_site_not_even_again() -> None:
    given(CLOSED).when(SCREENING, SCREEN).rejects(SITE_CLOSED, site="01")
    failed = (screened(S), consented(S), assessed(S, eligible=False))
    given(*failed, CLOSED).when(screening.rescreening(PROTOCOL), RescreenSubject(subject=S)).rejects(SITE_CLOSED)


def test_nobody_is_enrolled_at_a_closed_site_until_it_is_opened_again() -> None:
    rules = domain.enrolment(PROTOCOL)
    given(*READY, CLOSED).when(rules, ENROL).rejects(SITE_CLOSED, site="01")
    given(*READY, CLOSED, OPENED).when(rules, ENROL).records(enrolled(S))
    given(*READY, CLOSED_ELSEWHERE).when(rules, ENROL).records(enrolled(S))


def test_what_counts_is_what_is_on_record_and_not_the_day_that_is_named() -> None:
    early = SCREEN.model_copy(update={"occurred_at": DAY_0})
    given(At(CLOSED, days=30)).when(SCREENING, early).rejects(SITE_CLOSED)


# Caps.


@pytest.mark.parametrize("site", ["01", TRIAL])
def test_a_cap_is_set_raised_lowered_and_lifted_and_each_names_the_one_before(site: str | None) -> None:
    given().when(CAPPING, capped(site, 10)).records(cap(site, 10))
    given(cap(site, 10)).when(CAPPING, capped(site, 12)).records(cap(site, 12, before=10))
    given(cap(site, 10), cap(site, 12, 10)).when(CAPPING, capped(site, 8)).records(cap(site, 8, before=12))
    lifting = LiftEnrolmentCap(site=site, reason=WHY)
    given(cap(site, 10)).when(LIFTING, lifting).records(EnrolmentCapLifted(site=site, cap_before=10))


def test_a_cap_that_changes_nothing_is_refused() -> None:
    given(cap("01", 10)).when(CAPPING, capped("01", 10)).rejects(CAP_UNCHANGED, cap=10)
    given(cap("01", 10), cap(TRIAL, 10)).when(LIFTING, LiftEnrolmentCap(site="02", reason=WHY)).rejects(NOT_CAPPED)
    lifted = EnrolmentCapLifted(site="01", cap_before=10)
    given(cap("01", 10), lifted).when(LIFTING, LiftEnrolmentCap(site="01", reason=WHY)).rejects(NOT_CAPPED)
    given(cap("01", 10), lifted).when(CAPPING, capped("01", 10)).records(cap("01", 10))


def test_a_sites_cap_counts_its_own_subjects_and_the_trials_those_of_all_sites() -> None:
    rules = domain.enrolment(PROTOCOL, {"01", TRIAL})
    elsewhere = (enrolled("02-001"), enrolled("02-002"))
    given(cap("01", 1), *elsewhere, *READY).when(rules, ENROL).records(enrolled(S))
    given(cap("01", 1), enrolled("01-009"), *READY).when(rules, ENROL).rejects(CAP_REACHED, scope="site", cap=1)
    given(cap(TRIAL, 2), *elsewhere, *READY).when(rules, ENROL).rejects(CAP_REACHED, scope="trial", cap=2)
    given(cap(TRIAL, 3), *elsewhere, *READY).when(rules, ENROL).records(enrolled(S))


def test_who_left_the_trial_leaves_no_room_behind() -> None:
    left = SubjectWithdrawn(subject="01-009", site="01", scope="study")
    history = given(cap("01", 1), *ready_to_randomize("01-009"), left, *READY)
    history.when(domain.enrolment(PROTOCOL, {"01"}), ENROL).rejects(CAP_REACHED)


def test_a_cap_below_what_is_enrolled_takes_nobody_out_and_lets_nobody_in() -> None:
    history = given(enrolled("01-008"), enrolled("01-009"), cap("01", 1), *READY)
    history.when(domain.enrolment(PROTOCOL, {"01"}), ENROL).rejects(CAP_REACHED, cap=1)


def test_a_cap_that_was_set_while_nobody_counted_makes_the_enrolment_be_asked_for_again() -> None:
    given(cap("01", 5), *READY).when(domain.enrolment(PROTOCOL), ENROL).rejects(WRITE_CONFLICT)
    given(cap(TRIAL, 5), *READY).when(domain.enrolment(PROTOCOL, {"01"}), ENROL).rejects(WRITE_CONFLICT)
    given(cap("02", 5), *READY).when(domain.enrolment(PROTOCOL), ENROL).records(enrolled(S))


def test_enrolments_are_rivals_only_where_a_cap_has_them_counted() -> None:
    def counts(*counted: str | None) -> list[tuple[str, ...]]:
        boundary = domain.enrolment(PROTOCOL, counted).boundary(ENROL)
        return [item.tags for item in boundary.items if item.types == (SubjectEnrolled.name,)]

    assert counts() == []
    assert counts("02") == []
    assert counts("01", TRIAL) == [("site:01",), ()]


def test_nobody_is_enrolled_before_the_study_started() -> None:
    early = ENROL.model_copy(update={"occurred_at": DAY_0.replace(year=2000)})
    given(*READY).when(domain.enrolment(PROTOCOL), early).rejects(OUT_OF_ORDER, follows="study-start")


SITES = ("01", "02")
SCOPES = (*SITES, TRIAL)
STEPS = st.one_of(
    st.tuples(st.just("enrol"), st.sampled_from(SITES), st.just(0)),
    st.tuples(st.just("set"), st.sampled_from(SCOPES), st.integers(0, 4)),
    st.tuples(st.just("lift"), st.sampled_from(SCOPES), st.just(0)),
    st.tuples(st.sampled_from(["open", "close"]), st.sampled_from(SITES), st.just(0)),
)


@examples(st.lists(STEPS, max_size=25))
@settings(max_examples=80, deadline=None)
def test_whatever_is_opened_closed_capped_and_lifted_exactly_those_come_in_for_whom_there_is_room(
    steps: list[tuple[str, Any, int]],
) -> None:
    history: list[Event] = []
    caps: dict[str | None, int] = {}
    count: Counter[str | None] = Counter()
    shut: set[str] = set()
    for number, (step, scope, to) in enumerate(steps, start=1):
        match step:
            case "enrol":
                subject = f"{scope}-{number:03d}"
                history += [screened(subject), consented(subject), assessed(subject)]
                has_room = scope not in shut and all(count[each] < caps.get(each, 99) for each in (scope, TRIAL))
                rules = domain.enrolment(PROTOCOL, frozenset(caps))
                result = given(*history).when(rules, EnrolSubject(subject=subject))
                assert bool(result.events) is has_room
                count.update({scope: len(result.events), TRIAL: len(result.events)})
            case "set":
                result = given(*history).when(CAPPING, capped(scope, to))
                caps[scope] = to
            case "lift":
                result = given(*history).when(LIFTING, LiftEnrolmentCap(site=scope, reason=WHY))
                assert bool(result.events) is (caps.pop(scope, None) is not None)
            case "open":
                result = given(*history).when(OPENING, OpenSite(site=scope, reason=WHY))
                shut.discard(scope)
            case _:
                result = given(*history).when(CLOSURE, CloseSite(site=scope, reason=WHY))
                assert bool(result.events) is (scope not in shut)
                shut.add(scope)
        history += result.events
