"""What may be asked about a subject in which state: every command in every state, legal or refused by name."""

from __future__ import annotations

from decimal import Decimal
from inspect import getmembers, isclass
from typing import Any, get_args

import pytest

from services.randomization import allocation_errors, commands, domain, follow_up, screening
from services.randomization.answers import Status
from services.randomization.commands import (
    CorrectStratum,
    EnrolSubject,
    LoseSubject,
    MarkRandomizationInError,
    MarkRandomizedTwice,
    ObtainConsent,
    RandomizeSubject,
    RecordWrongTreatment,
    RegainContact,
    RescreenSubject,
    ScreenSubject,
    WithdrawSubject,
)
from services.randomization.events import (
    ContactRegained,
    SiteClosed,
    SubjectLostToFollowUp,
    SubjectRescreened,
    SubjectWithdrawn,
)
from services.randomization.sites import SITE_CLOSED
from services.randomization.subject import RESCREENED
from services.visits.events import CiclosporinDosed
from shared.decision import Command, Decider
from shared.events import Event
from shared.problems import NOT_RANDOMIZED, UNKNOWN_SUBJECT, WITHDRAWN, Refusal
from shared.protocol import load_protocol
from tests.randomization.examples import (
    SECRET,
    assess,
    assessed,
    consented,
    evaluated,
    fatal_event,
    randomized,
    ready_to_randomize,
    screened,
    sealed,
)
from tests.scenario import given

PROTOCOL = load_protocol()
SCHEME = sealed()
FIRST, S = "01-001", "01-002"
SITE: dict[str, Any] = {"subject": S, "site": "01"}
WHY: dict[str, Any] = {"subject": S, "reason": "it was so"}

FAILED = (screened(S), consented(S), assessed(S, eligible=False))
IN_THE_TRIAL = (*ready_to_randomize(S), randomized(S, 0, "CSA"))
TREATED = (*IN_THE_TRIAL, CiclosporinDosed(**SITE, mg_per_kg_per_day=Decimal(5)))
LOST = (*TREATED, SubjectLostToFollowUp(**SITE, last_contact_on=None))

STATES: dict[str, tuple[Event, ...]] = {
    "unknown": (),
    "screened": ready_to_randomize(S)[:1],
    "consented": ready_to_randomize(S)[:2],
    "eligible": ready_to_randomize(S)[:3],
    "screen-failed": FAILED,
    "rescreened": (*FAILED, screened("01-003"), SubjectRescreened(subject="01-003", site="01", rescreening_of=S)),
    "gave-up": (screened(S), consented(S), SubjectWithdrawn(**SITE, scope="study")),
    "enrolled": ready_to_randomize(S),
    "randomized": IN_THE_TRIAL,
    "on-treatment": TREATED,
    "off-treatment": (*TREATED, SubjectWithdrawn(**SITE, scope="treatment")),
    "lost": LOST,
    "reached": (*LOST, ContactRegained(**SITE)),
    "completed": (*TREATED, evaluated(S, final=True)),
    "withdrawn": (*TREATED, SubjectWithdrawn(**SITE, scope="study")),
    "died": (*TREATED, fatal_event(S)),
}
"""Each beside another subject of the site, who was randomized first."""

COMMANDS: dict[str, tuple[Decider[Any, Any], Command]] = {
    "screen": (screening.screening(PROTOCOL), ScreenSubject(site="01", birth_year=1960, sex="F")),
    "again": (screening.rescreening(PROTOCOL), RescreenSubject(subject=S)),
    "consent": (domain.consent(PROTOCOL), ObtainConsent(subject=S, version="2.0")),
    "assess": (domain.eligibility(PROTOCOL), assess(S, reason="it was measured anew")),
    "enrol": (domain.enrolment(PROTOCOL), EnrolSubject(subject=S)),
    "arm": (domain.allocation(PROTOCOL, SCHEME, SECRET), RandomizeSubject(subject=S)),
    "stop": (domain.withdrawal(PROTOCOL), WithdrawSubject(**WHY, scope="treatment")),
    "leave": (domain.withdrawal(PROTOCOL), WithdrawSubject(**WHY, scope="study")),
    "lose": (follow_up.loss_to_follow_up(PROTOCOL), LoseSubject(**WHY)),
    "reach": (follow_up.contact(PROTOCOL), RegainContact(**WHY)),
    "error": (
        allocation_errors.randomization_in_error(PROTOCOL),
        MarkRandomizationInError(**WHY, cause="ineligible"),
    ),
    "stratum": (allocation_errors.stratum_correction(PROTOCOL), CorrectStratum(**WHY, diagnosis="RARS")),
    "wrong": (allocation_errors.wrong_treatment(PROTOCOL), RecordWrongTreatment(**WHY, received="MSC")),
    "twice": (allocation_errors.duplicate_randomization(PROTOCOL), MarkRandomizedTwice(**WHY, duplicate_of=FIRST)),
}

REFUSALS: dict[str, Refusal] = {
    "404": UNKNOWN_SUBJECT,
    "gone-on": RESCREENED,
    "left": WITHDRAWN,
    "unfailed": screening.NOT_SCREEN_FAILED,
    "unsigned": domain.NOT_CONSENTED,
    "unfit": domain.NOT_ELIGIBLE,
    "in": domain.ALREADY_ENROLLED,
    "not-in": domain.NOT_ENROLLED,
    "has-arm": domain.ALREADY_RANDOMIZED,
    "no-arm": NOT_RANDOMIZED,
    "found": follow_up.NOT_LOST,
    "lost": follow_up.LOST,
    "done": follow_up.COMPLETED,
    "dead": follow_up.DIED,
}

# Dates are not asked (0020): of who has died or completed, what happened before may be entered late.
TABLE = """
               screen  again     consent  assess    enrol     arm      stop     leave    lose     reach    error   stratum wrong   twice
unknown        yes     404       404      404       404       404      404      404      404      404      404     404     404     404
screened       yes     unfailed  yes      unsigned  unsigned  not-in   yes      yes      no-arm   found    no-arm  no-arm  no-arm  no-arm
consented      yes     unfailed  yes      yes       unfit     not-in   yes      yes      no-arm   found    no-arm  no-arm  no-arm  no-arm
eligible       yes     unfailed  yes      yes       yes       not-in   yes      yes      no-arm   found    no-arm  no-arm  no-arm  no-arm
screen-failed  yes     yes       yes      yes       unfit     not-in   yes      yes      no-arm   found    no-arm  no-arm  no-arm  no-arm
rescreened     yes     gone-on   gone-on  gone-on   gone-on   gone-on  gone-on  gone-on  gone-on  gone-on  no-arm  no-arm  no-arm  no-arm
gave-up        yes     left      left     left      left      left     left     left     left     left     no-arm  no-arm  no-arm  no-arm
enrolled       yes     unfailed  yes      in        in        yes      yes      yes      no-arm   found    no-arm  no-arm  no-arm  no-arm
randomized     yes     unfailed  yes      in        in        has-arm  yes      yes      yes      found    yes     yes     yes     yes
on-treatment   yes     unfailed  yes      in        in        has-arm  yes      yes      yes      found    yes     yes     yes     yes
off-treatment  yes     unfailed  yes      in        in        has-arm  left     yes      yes      found    yes     yes     yes     yes
lost           yes     unfailed  yes      in        in        has-arm  yes      yes      lost     yes      yes     yes     yes     yes
reached        yes     unfailed  yes      in        in        has-arm  yes      yes      yes      found    yes     yes     yes     yes
completed      yes     unfailed  yes      in        in        has-arm  yes      yes      done     found    yes     yes     yes     yes
withdrawn      yes     left      left     left      left      left     left     left     left     left     yes     yes     yes     yes
died           yes     unfailed  yes      in        in        has-arm  yes      yes      dead     found    yes     yes     yes     yes
"""  # noqa: E501 (a table is read across)
COLUMNS, *ROWS = (line.split() for line in TABLE.strip().splitlines())
CELLS = [(state, command, answer) for state, *answers in ROWS for command, answer in zip(COLUMNS, answers, strict=True)]


@pytest.mark.parametrize(("state", "command", "answer"), CELLS, ids=[f"{state}-{name}" for state, name, _ in CELLS])
def test_a_command_is_legal_in_a_state_or_refused_by_name(state: str, command: str, answer: str) -> None:
    other = (*ready_to_randomize(FIRST), randomized(FIRST, 0, stratum="RARS|01"))
    rules, asked = COMMANDS[command]
    result = given(SCHEME, *other, *STATES[state]).when(rules, asked)
    if answer == "yes":
        assert result.problem is None, result.problem.document()
        assert result.events
    else:
        result.rejects(REFUSALS[answer])


@pytest.mark.parametrize(("state", "command", "answer"), CELLS, ids=[f"{state}-{name}" for state, name, _ in CELLS])
def test_at_a_closed_site_nobody_comes_in_and_all_else_goes_on(state: str, command: str, answer: str) -> None:
    other = (*ready_to_randomize(FIRST), randomized(FIRST, 0, stratum="RARS|01"))
    rules, asked = COMMANDS[command]
    result = given(SCHEME, *other, *STATES[state], SiteClosed(site="01")).when(rules, asked)
    if answer != "yes":
        result.rejects(REFUSALS[answer])
    elif command in {"screen", "again", "enrol"}:
        result.rejects(SITE_CLOSED, site="01")
    else:
        assert result.problem is None, result.problem.document()


def test_the_table_holds_every_state_and_every_command() -> None:
    assert [state for state, *_ in ROWS] == list(STATES)
    assert list(COMMANDS) == COLUMNS


def test_every_status_of_a_subject_is_a_state() -> None:
    assert set(get_args(Status)) <= set(STATES)


def test_every_command_of_the_service_is_asked() -> None:
    about_subjects = {
        each
        for _, each in getmembers(commands, isclass)
        if issubclass(each, commands.AboutSubject) and each is not commands.AboutSubject
    }
    assert {type(asked) for _, asked in COMMANDS.values()} == about_subjects | {ScreenSubject}


def test_a_rule_is_refused_with_409_alone_but_for_who_is_unknown() -> None:
    assert {refusal.status for refusal in REFUSALS.values() if refusal is not UNKNOWN_SUBJECT} == {409}
