"""Lost to follow-up: only who was randomized and has no known end, and until there is contact again."""

from __future__ import annotations

from datetime import date

from services.randomization import follow_up
from services.randomization.commands import LoseSubject, RegainContact, WithdrawSubject
from services.randomization.domain import withdrawal
from services.randomization.events import ContactRegained, SubjectLostToFollowUp, SubjectWithdrawn
from services.visits.events import AdverseEventNullified
from shared.chronology import OUT_OF_ORDER
from shared.problems import WITHDRAWN
from shared.protocol import load_protocol
from tests.randomization.examples import evaluated, fatal_event, randomized, ready_to_randomize
from tests.scenario import given

PROTOCOL = load_protocol()
LOSS = follow_up.loss_to_follow_up(PROTOCOL)
CONTACT = follow_up.contact(PROTOCOL)
S = "01-001"

LOSE = LoseSubject(subject=S, reason="no answer to three letters")
REACHED = RegainContact(subject=S, reason="the subject called")
LOST = SubjectLostToFollowUp(subject=S, site="01", last_contact_on=None)
REGAINED = ContactRegained(subject=S, site="01")
IN_THE_TRIAL = (*ready_to_randomize(S), randomized(S, 0))


def test_a_randomized_subject_may_be_lost_once_until_it_is_reached_again() -> None:
    given(*IN_THE_TRIAL).when(LOSS, LOSE).records(LOST)
    given(*IN_THE_TRIAL, LOST).when(LOSS, LOSE).rejects(follow_up.LOST)
    given(*IN_THE_TRIAL, LOST, REGAINED).when(LOSS, LOSE).records(LOST)


def test_only_who_is_lost_is_reached_again() -> None:
    given(*IN_THE_TRIAL).when(CONTACT, REACHED).rejects(follow_up.NOT_LOST)
    given(*IN_THE_TRIAL, LOST).when(CONTACT, REACHED).records(REGAINED)
    given(*IN_THE_TRIAL, LOST, REGAINED).when(CONTACT, REACHED).rejects(follow_up.NOT_LOST)


def test_whose_end_in_the_study_is_known_is_not_lost() -> None:
    given(*IN_THE_TRIAL, fatal_event()).when(LOSS, LOSE).rejects(follow_up.DIED)
    given(*IN_THE_TRIAL, evaluated(final=True)).when(LOSS, LOSE).rejects(follow_up.COMPLETED)
    given(*IN_THE_TRIAL, SubjectWithdrawn(subject=S, site="01", scope="study")).when(LOSS, LOSE).rejects(WITHDRAWN)


def test_a_death_that_was_reported_in_error_is_no_end() -> None:
    position = len(IN_THE_TRIAL) + 1
    for retracted in (True, False):
        void = AdverseEventNullified(
            subject="01-001", site="01", adverse_event=position, clocks=(), death_retracted=retracted
        )
        history = given(*IN_THE_TRIAL, fatal_event(), void)
        assert (history.when(LOSS, LOSE).problem is None) is retracted, "unless the subject died of another event too"


def test_an_evaluation_before_the_last_is_no_end() -> None:
    given(*IN_THE_TRIAL, evaluated(final=False)).when(LOSS, LOSE).records(LOST)


def test_who_has_left_the_treatment_alone_is_followed_and_may_be_lost() -> None:
    given(*IN_THE_TRIAL, SubjectWithdrawn(subject=S, site="01", scope="treatment")).when(LOSS, LOSE).records(LOST)


def test_who_is_lost_may_withdraw_by_letter() -> None:
    letter = WithdrawSubject(subject=S, scope="study", reason="a letter")
    given(*IN_THE_TRIAL, LOST).when(withdrawal(PROTOCOL), letter).records(
        SubjectWithdrawn(subject=S, site="01", scope="study")
    )


def test_the_last_contact_is_not_after_the_loss_nor_before_the_study() -> None:
    def on(day: date) -> LoseSubject:
        return LOSE.model_copy(update={"last_contact_on": day})

    history = given(*IN_THE_TRIAL)
    history.when(LOSS, on(date(2026, 1, 1))).records(LOST.model_copy(update={"last_contact_on": date(2026, 1, 1)}))
    history.when(LOSS, on(date(2026, 1, 2))).rejects(follow_up.LAST_CONTACT_IMPLAUSIBLE, latest="2026-01-01")
    history.when(LOSS, on(date(2010, 4, 30))).rejects(OUT_OF_ORDER, follows="study-start")
