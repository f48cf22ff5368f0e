"""Response by IWG 2006 (Cheson et al., Blood 2006;108:419): the paper's thresholds, and what must always hold."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.visits.evidence import Count, Transfusion
from services.visits.response import Assessment, assess
from shared.protocol import load_protocol

PROTOCOL = load_protocol()
DAY_0 = date(2026, 3, 2)
MONTHS = {"M1": 30, "M2": 61, "M3": 91, "M4": 122, "M5": 152, "M6": 183}


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def count(code: str, value: str, on: int, position: int | None = None, *, usable: bool = True) -> Count:
    return Count(code, Decimal(value), day(on), 1000 + on if position is None else position, usable)


def course(code: str, baseline: tuple[str, ...], *months: str) -> list[Count]:
    """Counts at two screening visits a week apart, then at M1, M2, M3 …; a dash is a missing count."""
    before = [count(code, value, on) for value, on in zip(baseline, (-14, -7), strict=False)]
    since = [count(code, value, on) for value, on in zip(months, MONTHS.values(), strict=False) if value != "–"]
    return before + since


def at(
    timepoint: str, counts: list[Count], transfusions: list[Transfusion] | None = None, as_of: int = 105
) -> Assessment:
    return assess(
        PROTOCOL,
        timepoint,
        day_0=DAY_0,
        as_of=day(as_of),
        counts=counts,
        transfusions=transfusions or [],
    )


def red_cells(units: int, on: int, haemoglobin: str | None = "75") -> Transfusion:
    before = None if haemoglobin is None else Decimal(haemoglobin)
    return Transfusion("RBC", units, day(on), 2000 + on, before)


# Haematologic improvement by counts. Haemoglobin in g/L (the paper's g/dL × 10).


@pytest.mark.parametrize(
    ("lineage", "counts", "status", "ground"),
    [
        ("HI-E", course("HGB", ("84", "88"), "101", "103", "102"), "confirmed", "rise-lasting"),
        ("HI-E", course("HGB", ("84", "88"), "100.9", "103", "102"), "provisional", "rise-not-yet-lasting"),
        ("HI-E", course("HGB", ("84", "88"), "95", "102", "104"), "provisional", "rise-not-yet-lasting"),
        ("HI-E", course("HGB", ("84", "88"), "101", "103", "100.9"), "not-met", "rise-too-small"),
        ("HI-E", course("HGB", ("84", "88"), "101", "95", "102"), "provisional", "rise-not-yet-lasting"),
        ("HI-E", course("HGB", ("112", "112"), "140", "140", "140"), "not-evaluable", "baseline-not-cytopenic"),
        ("HI-E", course("HGB", ("110", "110"), "140", "140", "140"), "not-evaluable", "baseline-not-cytopenic"),
        ("HI-E", course("HGB", ("86",), "101", "103", "102"), "not-evaluable", "baseline-missing"),
        ("HI-E", course("HGB", ("84", "88"), "101", "103", "–"), "not-evaluable", "count-missing"),
        ("HI-P", course("PLT", ("60", "60"), "90", "90", "90"), "confirmed", "rise-lasting"),
        ("HI-P", course("PLT", ("60", "60"), "89", "89", "89"), "not-met", "rise-too-small"),
        ("HI-P", course("PLT", ("15", "15"), "31", "31", "31"), "confirmed", "rise-lasting"),
        ("HI-P", course("PLT", ("15", "15"), "29", "29", "29"), "not-met", "rise-too-small"),
        ("HI-P", course("PLT", ("8", "8"), "20", "20", "20"), "not-met", "rise-too-small"),
        ("HI-P", course("PLT", ("20", "20"), "41", "41", "41"), "not-met", "rise-too-small"),
        ("HI-P", course("PLT", ("20", "20"), "50", "50", "50"), "confirmed", "rise-lasting"),
        ("HI-P", course("PLT", ("100", "100"), "150", "150", "150"), "not-evaluable", "baseline-not-cytopenic"),
        ("HI-N", course("NEUT", ("0.4", "0.4"), "0.91", "0.91", "0.91"), "confirmed", "rise-lasting"),
        ("HI-N", course("NEUT", ("0.4", "0.4"), "0.9", "0.9", "0.9"), "not-met", "rise-too-small"),
        ("HI-N", course("NEUT", ("0.8", "0.8"), "1.5", "1.5", "1.5"), "not-met", "rise-too-small"),
        ("HI-N", course("NEUT", ("0.8", "0.8"), "1.6", "1.6", "1.6"), "confirmed", "rise-lasting"),
    ],
)
def test_improvement_is_judged_by_the_papers_thresholds(
    lineage: str, counts: list[Count], status: str, ground: str
) -> None:
    result = at("M3", counts).lineages[lineage]
    assert (result.status, result.ground) == (status, ground)


def test_an_improvement_that_began_at_m2_is_confirmed_by_the_count_of_m4() -> None:
    counts = course("HGB", ("84", "88"), "95", "102", "104", "103")
    assert at("M3", counts, as_of=105).lineages["HI-E"].status == "provisional"
    assert at("M3", counts, as_of=122).lineages["HI-E"].status == "confirmed"


def test_counts_after_the_timepoint_cannot_make_an_improvement_at_it() -> None:
    counts = course("HGB", ("84", "88"), "90", "90", "90", "110", "110", "110")
    assert at("M3", counts, as_of=200).lineages["HI-E"].status == "not-met"
    assert at("M6", counts, as_of=200).lineages["HI-E"].status == "confirmed"


def test_a_missed_month_breaks_the_eight_weeks() -> None:
    assert at("M3", course("HGB", ("84", "88"), "101", "–", "102")).lineages["HI-E"].status == "provisional"


def test_counts_that_are_not_usable_neither_confirm_nor_break() -> None:
    counts = [*course("HGB", ("84", "88"), "101", "103", "102"), count("HGB", "60", 70, usable=False)]
    assert at("M3", counts).lineages["HI-E"].status == "confirmed"


def test_the_baseline_needs_two_counts_a_week_apart() -> None:
    since = course("HGB", (), "101", "103", "102")
    close = [count("HGB", "84", -6), count("HGB", "88", 0)]
    apart = [count("HGB", "84", -7), count("HGB", "88", 0)]
    too_old = [count("HGB", "84", -29), count("HGB", "88", -7)]
    assert at("M3", close + since).lineages["HI-E"].ground == "baseline-too-close"
    assert at("M3", apart + since).lineages["HI-E"].status == "confirmed"
    assert at("M3", too_old + since).lineages["HI-E"].ground == "baseline-missing"


def test_an_answer_names_the_positions_that_it_rests_on() -> None:
    assessment = at("M3", course("HGB", ("84", "88"), "101", "103", "102"))
    assert assessment.lineages["HI-E"].positions == (986, 993, 1030, 1061, 1091)
    assert assessment.inputs == (986, 993, 1030, 1061, 1091)
    assert (assessment.rule_set, assessment.timepoint) == ("IWG-2006", "M3")


# Wash-out


@pytest.mark.parametrize(("days_before", "counts_it"), [(0, False), (1, False), (13, False), (14, True)])
def test_haemoglobin_counts_again_14_days_after_red_cells(days_before: int, counts_it: bool) -> None:
    counts = course("HGB", ("84", "88"), "101", "103", "102")
    result = at("M3", counts, [red_cells(1, 91 - days_before)]).lineages["HI-E"]
    assert (result.status == "confirmed") is counts_it


def test_platelets_count_again_7_days_after_platelets_and_are_not_moved_by_red_cells() -> None:
    counts = course("PLT", ("60", "60"), "90", "90", "90")
    platelets = [Transfusion("PLT", 1, day(85), 7)]
    assert at("M3", counts, platelets).lineages["HI-P"].ground == "count-transfused"
    assert at("M3", counts, [Transfusion("PLT", 1, day(84), 7)]).lineages["HI-P"].status == "confirmed"
    assert at("M3", counts, [red_cells(1, 90)]).lineages["HI-P"].status == "confirmed"


# Haematologic improvement by transfusions

FOUR_BEFORE = [red_cells(2, -40), red_cells(2, -20)]


def test_four_units_fewer_in_eight_weeks_are_an_improvement() -> None:
    result = at("M3", [], FOUR_BEFORE).lineages["HI-E"]
    assert (result.status, result.ground) == ("confirmed", "transfusions-reduced")
    assert result.positions == (1960, 1980)


@pytest.mark.parametrize(
    ("transfusions", "status"),
    [
        ([*FOUR_BEFORE, red_cells(1, 60)], "not-met"),
        ([*FOUR_BEFORE, red_cells(1, 35)], "confirmed"),
        ([*FOUR_BEFORE, red_cells(1, 36)], "not-met"),
        ([*FOUR_BEFORE, red_cells(3, 60, "91")], "confirmed"),
        ([*FOUR_BEFORE, red_cells(1, 60, "90")], "not-met"),
        ([red_cells(2, -40), red_cells(2, -20, "91")], "not-evaluable"),
        ([red_cells(2, -40), red_cells(2, -20, None)], "not-evaluable"),
        ([red_cells(2, -57), red_cells(2, -20)], "not-evaluable"),
        ([red_cells(2, -56), red_cells(2, -1)], "confirmed"),
        ([red_cells(6, -10), red_cells(2, 80)], "confirmed"),
    ],
)
def test_only_units_given_at_90_or_below_in_the_two_periods_count(transfusions: list[Transfusion], status: str) -> None:
    assert at("M3", [], transfusions).lineages["HI-E"].status == status


def test_a_timepoint_that_has_not_come_is_not_evaluable() -> None:
    assessment = at("M3", course("HGB", ("84", "88"), "101", "103"), FOUR_BEFORE, as_of=76)
    assert assessment.lineages["HI-E"].status == "not-evaluable"
    assert assessment.response == "NE"


# Progression and relapse


@pytest.mark.parametrize(
    ("before", "since", "progressed"),
    [
        ("2", "6", True),
        ("2", "5", False),
        ("4", "5.5", False),
        ("4", "6", True),
        ("0", "5.1", True),
        ("6", "10", False),
        ("6", "10.1", True),
        ("12", "21", True),
        ("12", "19", False),
        ("22", "33", True),
        ("31", "60", False),
    ],
)
def test_marrow_blasts_progress_by_half_and_beyond_their_band(before: str, since: str, progressed: bool) -> None:
    assessment = at("M3", [count("BLAST_BM", before, -10, 1), count("BLAST_BM", since, 91, 2)])
    assert assessment.progression is progressed
    if progressed:
        assert assessment.findings[0].code == "blasts-increased"
        assert assessment.findings[0].positions == (1, 2)
        assert assessment.response == "PD"


@pytest.mark.parametrize(
    ("counts", "timepoint", "finding"),
    [
        (course("HGB", ("84", "88"), "80", "70", "66"), "M3", "haemoglobin-fell"),
        (course("HGB", ("84", "88"), "80", "70", "66.1"), "M3", None),
        (
            course("HGB", ("84", "88"), "104", "104", "104", "104", "95", "89"),
            "M6",
            "haemoglobin-fell-after-improvement",
        ),
        (course("HGB", ("84", "88"), "104", "104", "104", "104", "95", "89.1"), "M6", None),
        (course("PLT", ("60", "60"), "120", "120", "120", "90", "80", "60"), "M6", "plt-halved-after-improvement"),
        (course("PLT", ("60", "60"), "50", "40", "30"), "M3", "plt-halved"),
        (course("PLT", ("300", "300"), "200", "150", "140"), "M3", None),
        (course("NEUT", ("4.0", "4.0"), "3.0", "2.0", "1.9"), "M3", None),
        (course("NEUT", ("4.0", "4.0"), "3.0", "2.0", "0.9"), "M3", "neut-halved"),
    ],
)
def test_a_fall_from_the_best_response_is_progression(counts: list[Count], timepoint: str, finding: str | None) -> None:
    assessment = at(timepoint, counts, as_of=190)
    assert [found.code for found in assessment.findings] == ([] if finding is None else [finding])


def test_transfusion_dependence_that_is_new_is_progression() -> None:
    often = [red_cells(2, 50), red_cells(2, 80)]
    assert [found.code for found in at("M3", [], often).findings] == ["transfusion-dependence"]
    assert at("M3", [], [*FOUR_BEFORE, *often]).findings == ()


# The overall response


@pytest.mark.parametrize(
    ("counts", "response"),
    [
        (course("HGB", ("84", "88"), "101", "103", "102"), "HI"),
        (course("HGB", ("84", "88"), "95", "102", "104"), "SD"),
        (course("HGB", ("84", "88"), "86", "86", "86"), "SD"),
        (course("HGB", ("112", "112"), "112", "112", "112"), "NE"),
        ([], "NE"),
        (
            course("HGB", ("84", "88"), "101", "103", "102") + course("BLAST_BM", ("2", "2"), "–", "–", "6"),
            "PD",
        ),
    ],
)
def test_progression_outweighs_improvement_and_no_change_is_stable(counts: list[Count], response: str) -> None:
    assert at("M3", counts).response == response


def test_a_timepoint_that_the_protocol_does_not_plan_is_not_found() -> None:
    with pytest.raises(LookupError, match="no evaluation at 'M9'"):
        at("M9", [])


# What must always hold

haemoglobins = st.decimals(50, 160, places=1)
later_counts = st.lists(
    st.builds(Count, st.just("HGB"), haemoglobins, st.integers(1, 130).map(day), st.integers(10, 9999), st.just(True)),
    max_size=8,
    unique_by=lambda c: c.position,
)
some_transfusions = st.lists(
    st.builds(
        Transfusion,
        st.just("RBC"),
        st.integers(1, 3),
        st.integers(-60, 130).map(day),
        st.integers(10_000, 19_999),
        st.one_of(st.none(), haemoglobins),
    ),
    max_size=4,
    unique_by=lambda t: t.position,
)
BASELINE = [count("HGB", "84", -21, 1), count("HGB", "88", -7, 2)]
RANK = {"not-evaluable": 0, "not-met": 1, "provisional": 2, "confirmed": 3}


@settings(max_examples=100)
@given(later_counts, some_transfusions, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    counts: list[Count], transfusions: list[Transfusion], random: Random
) -> None:
    given_in_order = at("M3", [*BASELINE, *counts], transfusions, as_of=130)
    shuffled = random.sample([*BASELINE, *counts], len(counts) + 2)
    assert at("M3", shuffled, random.sample(transfusions, len(transfusions)), as_of=130) == given_in_order


@settings(max_examples=100)
@given(later_counts.filter(bool), some_transfusions, st.integers(0, 7), st.decimals("0.1", 60, places=1))
def test_raising_a_count_never_worsens_a_lineage(
    counts: list[Count], transfusions: list[Transfusion], which: int, by: Decimal
) -> None:
    chosen = counts[which % len(counts)]
    raised = Count(chosen.code, chosen.value + by, chosen.collected_on, chosen.position)
    others = [c for c in counts if c is not chosen]
    before = at("M3", [*BASELINE, *counts], transfusions, as_of=130).lineages["HI-E"]
    after = at("M3", [*BASELINE, *others, raised], transfusions, as_of=130).lineages["HI-E"]
    assert RANK[after.status] >= RANK[before.status]


@settings(max_examples=60)
@given(later_counts, some_transfusions)
def test_an_answer_rests_on_what_was_given_alone(counts: list[Count], transfusions: list[Transfusion]) -> None:
    known = {c.position for c in [*BASELINE, *counts]} | {t.position for t in transfusions}
    assessment = at("M3", [*BASELINE, *counts], transfusions, as_of=130)
    assert set(assessment.inputs) <= known
    assert list(assessment.inputs) == sorted(set(assessment.inputs))


@settings(max_examples=60)
@given(later_counts)
def test_what_is_collected_after_the_last_day_known_changes_nothing(counts: list[Count]) -> None:
    known = [c for c in counts if c.collected_on <= day(100)]
    assert at("M3", [*BASELINE, *counts], as_of=100) == at("M3", [*BASELINE, *known], as_of=100)
