"""Which counts speak: the baseline, the wash-out after a transfusion, and what is left out."""

from __future__ import annotations

import pytest

from services.visits.evidence import Count, Transfusion
from tests.visits.courses import at, count, course, day, red_cells

# Baseline


def test_the_baseline_needs_two_counts_a_week_apart() -> None:
    since = course("HGB", (), "101", "103", "102")
    close = [count("HGB", "84", -6), count("HGB", "88", 0)]
    apart = [count("HGB", "84", -7), count("HGB", "88", 0)]
    too_old = [count("HGB", "84", -29), count("HGB", "88", -7)]
    assert at("M3", close + since).lineages["HI-E"].ground == "baseline-too-close"
    assert at("M3", apart + since).lineages["HI-E"].status == "confirmed"
    assert at("M3", too_old + since).lineages["HI-E"].ground == "baseline-missing"


@pytest.mark.parametrize(
    ("before", "transfusions", "ground", "positions"),
    [
        ([], [], "baseline-missing", ()),
        ([count("HGB", "86", -7)], [], "baseline-missing", (993,)),
        ([count("HGB", "84", -6), count("HGB", "88", 0)], [], "baseline-too-close", (994, 1000)),
        (
            [count("HGB", "84", -14), count("HGB", "88", -7)],
            [red_cells(1, -8)],
            "baseline-transfused",
            (986, 1992, 993),
        ),
    ],
)
def test_why_there_is_no_baseline_is_said_with_what_it_rests_on(
    before: list[Count], transfusions: list[Transfusion], ground: str, positions: tuple[int, ...]
) -> None:
    result = at("M3", before, transfusions).lineages["HI-E"]
    assert (result.status, result.ground, result.positions) == ("not-evaluable", ground, positions)


def test_the_baseline_is_the_mean_of_all_counts_that_no_transfusion_influences() -> None:
    before = [count("HGB", value, on) for value, on in (("84", -28), ("120", -10), ("88", -7))]
    since = course("HGB", (), "101", "101", "101")
    assert at("M3", before + since).lineages["HI-E"].status == "not-met"
    assert at("M3", before + since, [red_cells(1, -21)]).lineages["HI-E"].status == "confirmed"


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


def test_a_count_that_is_low_in_spite_of_a_transfusion_still_ends_an_improvement() -> None:
    counts = [*course("HGB", ("84", "88"), "101", "102", "103"), count("HGB", "95", 45)]
    assert at("M3", counts).lineages["HI-E"].ground == "rise-not-yet-lasting"
    assert at("M3", counts, [red_cells(1, 45)]).lineages["HI-E"].ground == "rise-not-yet-lasting"


def test_a_last_count_that_is_low_in_spite_of_a_transfusion_is_what_the_timepoint_shows() -> None:
    counts = [*course("HGB", ("84", "88"), "101", "102", "103"), count("HGB", "95", 100)]
    result = at("M3", counts, [red_cells(1, 99)]).lineages["HI-E"]
    assert (result.status, result.positions) == ("not-met", (986, 993, 1100, 2099, 1100))


def test_an_answer_names_the_transfusion_for_which_a_count_is_not_used() -> None:
    counts = [*course("HGB", ("84", "88"), "101", "102", "103"), count("HGB", "120", 50)]
    result = at("M3", counts, [red_cells(1, 46)]).lineages["HI-E"]
    assert (result.status, set(result.positions)) == ("confirmed", {986, 993, 1030, 1061, 1091, 1050, 2046})


def test_several_transfusions_that_influence_a_count_are_all_named() -> None:
    counts = course("HGB", ("84", "88"), "101", "102", "103")
    result = at("M3", counts, [red_cells(1, 80), red_cells(1, 90)]).lineages["HI-E"]
    assert (result.ground, result.positions) == ("count-transfused", (986, 993, 2080, 2090, 1091))


def test_an_answer_names_the_count_that_kept_an_improvement_from_lasting() -> None:
    counts = [*course("HGB", ("84", "88"), "101", "102", "103"), count("HGB", "95", 45)]
    result = at("M3", counts).lineages["HI-E"]
    assert (result.ground, result.positions) == ("rise-not-yet-lasting", (986, 993, 1061, 1091, 1045))
