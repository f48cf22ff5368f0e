"""Improvement and progression by IWG 2006: the paper's table (Cheson et al., Blood 2006;108:419) case by case."""

from __future__ import annotations

import pytest

from services.visits.evidence import Count, Transfusion
from tests.visits.courses import at, count, course, red_cells

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


def test_an_answer_names_the_positions_that_it_rests_on() -> None:
    assessment = at("M3", course("HGB", ("84", "88"), "101", "103", "102"))
    assert assessment.lineages["HI-E"].positions == (986, 993, 1030, 1061, 1091)
    assert assessment.inputs == (986, 993, 1030, 1061, 1091)
    assert (assessment.rule_set, assessment.timepoint) == ("IWG-2006", "M3")


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


FOUR_LONG_BEFORE = [red_cells(2, -50), red_cells(2, -40)]
"""Long enough before the baseline not to influence it."""


def test_a_baseline_that_is_not_cytopenic_rules_out_an_improvement_by_transfusions_too() -> None:
    result = at("M3", course("HGB", ("112", "112")), FOUR_LONG_BEFORE).lineages["HI-E"]
    assert (result.status, result.ground) == ("not-evaluable", "baseline-not-cytopenic")


@pytest.mark.parametrize(
    ("months", "transfusions", "ground"),
    [
        (("101", "103", "102"), [*FOUR_LONG_BEFORE, red_cells(1, 70)], "rise-lasting"),
        (("90", "90", "102"), FOUR_LONG_BEFORE, "transfusions-reduced"),
        (("90", "90", "102"), [*FOUR_LONG_BEFORE, red_cells(1, 40)], "rise-not-yet-lasting"),
        (("90", "90", "90"), [*FOUR_LONG_BEFORE, red_cells(1, 40)], "rise-too-small"),
    ],
)
def test_improvement_is_by_counts_or_by_transfusions_and_rests_on_both(
    months: tuple[str, ...], transfusions: list[Transfusion], ground: str
) -> None:
    result = at("M3", course("HGB", ("84", "88"), *months), transfusions).lineages["HI-E"]
    assert result.ground == ground
    assert {each.position for each in FOUR_LONG_BEFORE} < set(result.positions)
    assert {986, 993, 1091} < set(result.positions)


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


def test_a_haemoglobin_that_has_fallen_in_spite_of_a_transfusion_has_fallen() -> None:
    fallen = course("HGB", ("84", "88"), "80", "70", "66")
    not_far = course("HGB", ("84", "88"), "80", "70", "66.1")
    assert [found.code for found in at("M3", fallen, [red_cells(1, 90)]).findings] == ["haemoglobin-fell"]
    assert at("M3", not_far, [red_cells(1, 90)]).findings == ()


def test_transfusion_dependence_that_is_new_is_progression() -> None:
    often = [red_cells(2, 50), red_cells(2, 80)]
    assert [found.code for found in at("M3", [], often).findings] == ["transfusion-dependence"]
    assert at("M3", [], [*FOUR_BEFORE, *often]).findings == ()


def test_red_cells_that_had_become_fewer_and_are_needed_again_are_a_relapse() -> None:
    before = [red_cells(3, -40), red_cells(3, -20)]
    again = [red_cells(2, 150), red_cells(2, 170)]
    assert at("M3", [], before, as_of=190).lineages["HI-E"].ground == "transfusions-reduced"
    (finding,) = at("M6", [], [*before, *again], as_of=190).findings
    assert finding.code == "transfusion-dependence-after-improvement"
    assert finding.positions == (1960, 1980, 2150, 2170)
    never_fewer = [red_cells(2, 50), red_cells(2, 80)]
    assert at("M6", [], [*before, *never_fewer, *again], as_of=190).findings == ()
