"""Methods that look at the counts: whom they count, which slot they give, and that each draw can be repeated alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.randomization import domain
from services.randomization.allocation import odds
from services.randomization.balance import dynamic_method
from services.randomization.commands import RandomizeSubject
from services.randomization.events import (
    ArmDrawn,
    RandomizationSchemeSealed,
    SubjectRandomized,
)
from services.randomization.scheme import ratio_of, stratum_under
from services.randomization.stream import below, slot_stream
from shared.events import Event
from tests.randomization.examples import (
    SECRET,
    assessed,
    consented,
    enrolled,
    randomized,
    screened,
    sealed,
    sealed_as,
)
from tests.randomization.trials import DYNAMIC_SCHEMES, DYNAMIC_SECRET, PROTOCOL, allocated, errors_of
from tests.scenario import given

SCHEMES = {name: sealed_as(1, body, DYNAMIC_SECRET) for name, body in DYNAMIC_SCHEMES.items()}
MINIMIZATION = SCHEMES["minimization"]
OWN = ("subject:01-001",)
of_every_method = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def placed(subject: str, arm: str, diagnosis: str = "RA", scheme: RandomizationSchemeSealed = MINIMIZATION) -> Event:
    """An allocation of somebody else, however it was drawn."""
    stratum = stratum_under(scheme, f"{diagnosis}|{subject[:2]}")
    assert stratum is not None
    return randomized(subject, 0, arm, stratum).model_copy(update={"scheme": scheme.scheme})


def counts_after(*history: Event, scheme: RandomizationSchemeSealed = MINIMIZATION) -> dict[str, dict[str, int]]:
    """What is counted for a new subject with RA at site 01."""
    drawn, _ = allocated(scheme, (scheme, *history), "01-001")
    return drawn.counts


@st.composite
def histories(draw: st.DrawFn) -> tuple[RandomizationSchemeSealed, list[Event]]:
    """A trial under one scheme, with errors of allocation in between."""
    scheme = draw(st.sampled_from(list(SCHEMES.values())))
    history: list[Event] = [scheme]
    for number in range(draw(st.integers(1, 12))):
        subject = f"{draw(st.sampled_from(['01', '02']))}-{number + 100}"
        history.extend(allocated(scheme, history, subject, draw(st.sampled_from(["RA", "RARS"]))))
        if draw(st.booleans()):
            history.append(draw(st.sampled_from(errors_of(subject, counted=draw(st.booleans())))))
    return scheme, history


@examples(histories())
@settings(max_examples=40, deadline=None)
def test_every_recorded_draw_can_be_repeated_alone(trial: tuple[RandomizationSchemeSealed, list[Event]]) -> None:
    scheme, history = trial
    method, ratio = dynamic_method(scheme), ratio_of(scheme.arms)
    assert method is not None
    for drawn, event in pairwise(history):
        if isinstance(drawn, ArmDrawn):
            assert isinstance(event, SubjectRandomized)
            assert drawn.subject == event.subject
            chances = odds(method, ratio, drawn.counts)
            assert chances.choose(drawn.draw).arm == event.arm
            assert drawn.tickets == chances.tickets
            assert drawn.scores == {arm: str(score) for arm, score in chances.scores.items()}
            label = "" if scheme.method == "minimization" else event.stratum
            stream = slot_stream(DYNAMIC_SECRET.seed, label, event.slot)
            assert drawn.draw == below(stream, chances.total)


@of_every_method
def test_a_draw_bears_no_tag_that_shows_it_to_a_site(scheme: RandomizationSchemeSealed) -> None:
    drawn, event = allocated(scheme, [scheme], "01-001")
    assert drawn.tags() == ()
    assert "counts" not in event.model_dump()


@of_every_method
def test_nobody_is_counted_before_the_first(scheme: RandomizationSchemeSealed) -> None:
    drawn, event = allocated(scheme, [scheme], "01-001")
    assert event.slot == 0
    assert all(seen == {"MSC": 0, "CSA": 0} for seen in drawn.counts.values())


@of_every_method
def test_who_was_allocated_under_an_earlier_version_is_not_counted(scheme: RandomizationSchemeSealed) -> None:
    earlier = placed("01-900", "MSC", scheme=scheme)
    second = scheme.model_copy(update={"scheme": 2})
    drawn, event = allocated(second, [scheme, earlier, second], "01-001")
    assert event.slot == 0
    assert all(seen == {"MSC": 0, "CSA": 0} for seen in drawn.counts.values())


def test_a_list_looks_at_no_counts() -> None:
    blocks = sealed()
    way = (screened(), consented(), assessed(), enrolled())
    rules = domain.allocation(PROTOCOL, blocks, SECRET)
    (event,) = given(blocks, *way).when(rules, RandomizeSubject(subject="01-001")).events
    assert isinstance(event, SubjectRandomized)


def test_a_coin_counts_the_stratum_and_its_slots() -> None:
    coin = SCHEMES["biased-coin"]
    others = [placed("01-901", "MSC", "RARS", coin), placed("02-901", "CSA", "RA", coin)]
    drawn, event = allocated(coin, [coin, *others, placed("01-902", "CSA", "RA", coin)], "01-001")
    assert event.slot == 1
    assert drawn.counts == {"stratum": {"MSC": 0, "CSA": 1}}


def test_minimization_counts_each_level_and_its_slots_over_the_whole_trial() -> None:
    history = [placed("01-901", "MSC", "RARS"), placed("02-901", "CSA", "RA"), placed("02-902", "CSA", "RARS")]
    drawn, event = allocated(MINIMIZATION, [MINIMIZATION, *history], "01-001")
    assert (event.stratum, event.slot, event.randomization_number) == ("RA|01", 3, "RA-01-001")
    assert drawn.counts == {"diagnosis": {"MSC": 0, "CSA": 1}, "site": {"MSC": 1, "CSA": 0}}


@pytest.mark.parametrize("kind", range(4))
@of_every_method
def test_who_is_counted_no_longer_is_not_counted_and_the_slot_stays_used(
    scheme: RandomizationSchemeSealed, kind: int
) -> None:
    history = [scheme, placed("01-900", "MSC", scheme=scheme), errors_of("01-900", counted=False)[kind]]
    drawn, event = allocated(scheme, history, "01-001")
    assert event.slot == 1
    assert all(seen == {"MSC": 0, "CSA": 0} for seen in drawn.counts.values())


@pytest.mark.parametrize("kind", [0, 2, 3])
def test_whom_an_error_leaves_counted_is_counted_as_before(kind: int) -> None:
    history = [placed("01-900", "MSC"), errors_of("01-900", counted=True)[kind]]
    assert counts_after(*history) == {"diagnosis": {"MSC": 1, "CSA": 0}, "site": {"MSC": 1, "CSA": 0}}


def test_a_corrected_stratum_counts_at_the_corrected_levels() -> None:
    corrected = errors_of("01-900", counted=True)[1]
    assert counts_after(placed("01-900", "MSC"), corrected) == {
        "diagnosis": {"MSC": 0, "CSA": 0},
        "site": {"MSC": 1, "CSA": 0},
    }
    coin = SCHEMES["biased-coin"]
    history = [coin, placed("01-900", "MSC", scheme=coin), corrected]
    drawn, _ = allocated(coin, history, "01-001", "RARS")
    assert drawn.counts == {"stratum": {"MSC": 1, "CSA": 0}}


def test_a_correction_that_was_itself_corrected_counts_at_the_last_one() -> None:
    first, back = errors_of("01-900", counted=True)[1], errors_of("01-900", counted=True)[1]
    back = back.model_copy(update={"stratum_corrected": "RA|01"})
    assert counts_after(placed("01-900", "MSC"), first, back)["diagnosis"] == {"MSC": 1, "CSA": 0}


def test_a_correction_in_other_factors_than_the_schemes_moves_nobody() -> None:
    corrected = errors_of("01-900", counted=True)[1].model_copy(update={"stratum_corrected": "RARS"})
    assert counts_after(placed("01-900", "MSC"), corrected)["diagnosis"] == {"MSC": 1, "CSA": 0}


def test_no_later_error_takes_a_subject_into_the_counts_again() -> None:
    out, again = errors_of("01-900", counted=False)[0], errors_of("01-900", counted=True)[2]
    assert counts_after(placed("01-900", "MSC"), out, again)["site"] == {"MSC": 0, "CSA": 0}


def test_of_one_who_was_randomized_twice_the_first_stays_counted() -> None:
    history = [placed("01-900", "CSA"), placed("01-901", "MSC"), errors_of("01-901", counted=False)[3]]
    assert counts_after(*history)["site"] == {"MSC": 0, "CSA": 1}


def test_a_fold_copies_nothing_of_all_subjects_and_two_folds_share_nothing() -> None:
    """A copy at each event would make an allocation cost the square of the trial."""
    rules, command = domain.allocation(PROTOCOL, MINIMIZATION, DYNAMIC_SECRET), RandomizeSubject(subject="01-001")
    one, other = rules.initial(command), rules.initial(command)
    (recorded,) = given(placed("01-900", "MSC")).history
    after = rules.evolve(one, recorded)
    assert (after.balance, after.given) == (one.balance, one.given)
    assert after.given == {(1, "RA|01"): ["MSC"]}
    assert other.given == {}
    assert other.balance.counted(MINIMIZATION) == []


@pytest.mark.parametrize(("name", "of_one_site"), [("simple", False), ("biased-coin", True), ("minimization", False)])
def test_an_allocation_has_seen_all_that_it_counts(name: str, of_one_site: bool) -> None:
    """An allocation or an error that is recorded meanwhile makes it a conflict."""
    boundary = domain.allocation(PROTOCOL, SCHEMES[name], DYNAMIC_SECRET).boundary(RandomizeSubject(subject="01-001"))
    (counted,) = (item for item in boundary.items if SubjectRandomized.name in item.types and item.tags != OWN)
    assert counted.tags == (("site:01",) if of_one_site else ())
    assert {SubjectRandomized.name, *(event.name for event in errors_of("01-900", counted=True))} == set(counted.types)
