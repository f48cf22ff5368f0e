"""HI-E by IWG 2018 (Platzbecker et al., Blood 2019;133:1020): the groups by transfusion burden, and what each asks for.

Haemoglobin in g/L. Before treatment 16 weeks are looked at: days -112 to -1.
"""

from __future__ import annotations

import pytest

from services.visits.evidence import Count, Transfusion
from services.visits.iwg_2018 import Burden, burden_of
from services.visits.response import Assessment
from shared.protocol import Iwg2018, Protocol
from tests.visits.courses import BY_2018, at, count, course, red_cells


def rules_of(protocol: Protocol) -> Iwg2018:
    rules = protocol.response.iwg_2018
    assert rules is not None
    return rules


RULES = rules_of(BY_2018)


def by_2018(
    timepoint: str, counts: list[Count], transfusions: list[Transfusion] | None = None, as_of: int = 190
) -> Assessment:
    return at(timepoint, counts, transfusions, as_of, BY_2018)


def erythroid(
    timepoint: str, counts: list[Count], transfusions: list[Transfusion] | None = None, as_of: int = 190
) -> tuple[str, str]:
    result = by_2018(timepoint, counts, transfusions, as_of).lineages["HI-E"]
    return result.status, result.ground


# The groups


@pytest.mark.parametrize(
    ("before", "burden"),
    [
        ([], "none"),
        ([red_cells(1, -50)], None),
        ([red_cells(1, -90), red_cells(1, -20)], None),
        ([red_cells(2, -90), red_cells(1, -20)], "low"),
        ([red_cells(3, -90)], None),  # one episode
        ([red_cells(3, -90), red_cells(3, -20)], "low"),
        ([red_cells(2, -60), red_cells(2, -20)], None),  # four units in 8 weeks, but not eight in 16
        ([red_cells(2, -76), red_cells(2, -20)], "low"),  # 56 days apart: no 8 weeks hold both
        ([red_cells(2, -75), red_cells(2, -20)], None),
        ([red_cells(2, -100), red_cells(2, -80), red_cells(2, -50), red_cells(2, -20)], "high"),
        ([red_cells(8, -20)], "high"),
        ([red_cells(3, -110), red_cells(1, -53), red_cells(3, -52)], None),
    ],
)
def test_the_units_of_sixteen_weeks_make_the_group(before: list[Transfusion], burden: Burden | None) -> None:
    assert burden_of(RULES, before) == burden


@pytest.mark.parametrize(("on", "ground"), [(-112, "transfusion-burden-undefined"), (-113, "rise-lasting")])
def test_units_of_longer_ago_are_of_no_group(on: int, ground: str) -> None:
    counts = course("HGB", ("84", "88"), "101", "103", "102", "102", "102", "102")
    assert erythroid("M6", counts, [red_cells(1, on)])[1] == ground


# NTD: a rise of 1.5 g/dL for 8 weeks


@pytest.mark.parametrize(
    ("counts", "answer"),
    [
        (course("HGB", ("84", "88"), "–", "–", "–", "101", "101", "101"), ("confirmed", "rise-lasting")),
        (course("HGB", ("84", "88"), "–", "–", "–", "100.9", "101", "101"), ("provisional", "rise-not-yet-lasting")),
        (course("HGB", ("84", "88"), "101", "101", "101", "101", "101", "100.9"), ("not-met", "rise-too-small")),
        (course("HGB", ("99", "100.9"), *["120"] * 6), ("confirmed", "rise-lasting")),
        (course("HGB", ("99", "101"), *["120"] * 6), ("not-evaluable", "baseline-not-cytopenic")),
        (course("HGB", ("86",), *["120"] * 6), ("not-evaluable", "baseline-missing")),
        (course("HGB", ("84", "88"), *["101"] * 5), ("not-evaluable", "count-missing")),
    ],
)
def test_who_is_not_transfused_improves_by_a_rise_that_lasts(counts: list[Count], answer: tuple[str, str]) -> None:
    assert erythroid("M6", counts) == answer


def test_the_baseline_is_the_lowest_mean_of_two_counts_a_week_apart_in_sixteen_weeks() -> None:
    before = [count("HGB", value, on) for value, on in (("80", -112), ("84", -108), ("90", -60), ("95", -10))]
    since = course("HGB", (), *["100"] * 6)
    # 80 and 84 lie 4 days apart. The lowest mean is that of 80 and 90: 85.
    assert erythroid("M6", before + since) == ("confirmed", "rise-lasting")
    assert by_2018("M6", before + since).lineages["HI-E"].positions[:2] == (888, 940)
    assert erythroid("M6", before + course("HGB", (), *["99.9"] * 6)) == ("not-met", "rise-too-small")


def test_a_no_that_comes_before_sixteen_weeks_is_none_yet() -> None:
    low, high = course("HGB", ("84", "88"), *["90"] * 6), course("HGB", ("84", "88"), *["101"] * 6)
    assert erythroid("M3", low, as_of=105) == ("not-evaluable", "observation-too-short")
    assert erythroid("M3", low, as_of=112) == ("not-met", "rise-too-small")
    assert erythroid("M3", high, as_of=105) == ("confirmed", "rise-lasting")


# LTB: 8 weeks without red cells

LOW = [red_cells(2, -90), red_cells(2, -20)]


@pytest.mark.parametrize(
    ("since", "as_of", "answer"),
    [
        ([], 183, ("confirmed", "transfusion-independent")),
        ([red_cells(1, 127)], 183, ("confirmed", "transfusion-independent")),
        ([red_cells(1, 128)], 183, ("provisional", "independence-not-yet-lasting")),
        ([red_cells(1, 128)], 184, ("confirmed", "transfusion-independent")),
        ([red_cells(1, 128), red_cells(1, 185)], 190, ("confirmed", "transfusion-independent")),
        ([red_cells(1, 128), red_cells(1, 184)], 190, ("not-met", "transfusions-continued")),
        ([red_cells(1, 182)], 190, ("provisional", "independence-not-yet-lasting")),
        ([red_cells(1, 183)], 190, ("not-met", "transfusions-continued")),
    ],
)
def test_a_low_burden_improves_by_eight_weeks_without_red_cells(
    since: list[Transfusion], as_of: int, answer: tuple[str, str]
) -> None:
    assert erythroid("M6", [], [*LOW, *since], as_of) == answer


def test_independence_names_the_units_before_and_the_last_and_next_since() -> None:
    result = by_2018("M6", [], [*LOW, red_cells(1, 20), red_cells(1, 100), red_cells(1, 188)]).lineages["HI-E"]
    assert result.positions == (1910, 1980, 2100, 2188)


# HTB: 8 weeks without red cells (major), or half of the units in 16 weeks (minor)

HIGH = [red_cells(2, -100), red_cells(2, -80), red_cells(2, -50), red_cells(2, -20)]


@pytest.mark.parametrize(
    ("since", "as_of", "answer"),
    [
        ([red_cells(6, 90), red_cells(2, 120)], 183, ("confirmed", "transfusion-independent")),
        ([red_cells(2, 90), red_cells(2, 170)], 190, ("confirmed", "transfusions-halved")),
        ([red_cells(3, 90), red_cells(2, 170)], 190, ("provisional", "independence-not-yet-lasting")),
        ([red_cells(3, 90), red_cells(2, 170), red_cells(1, 189)], 190, ("not-met", "transfusions-not-halved")),
        ([red_cells(9, 71), red_cells(2, 150), red_cells(2, 188)], 190, ("confirmed", "transfusions-halved")),
        ([red_cells(9, 72), red_cells(2, 150), red_cells(2, 188)], 190, ("not-met", "transfusions-not-halved")),
    ],
)
def test_a_high_burden_improves_by_independence_or_by_half_of_the_units(
    since: list[Transfusion], as_of: int, answer: tuple[str, str]
) -> None:
    assert erythroid("M6", [], [*HIGH, *since], as_of) == answer


def test_half_of_sixteen_weeks_cannot_be_seen_before_they_are_over() -> None:
    since = [red_cells(2, 70), red_cells(2, 100)]
    assert erythroid("M3", [], [*HIGH, *since], as_of=120) == ("not-evaluable", "observation-too-short")
    assert erythroid("M3", [], HIGH, as_of=105) == ("confirmed", "transfusion-independent")


# What stays as in 2006


def test_platelets_and_neutrophils_are_judged_as_in_2006_and_the_rule_set_is_named() -> None:
    counts = [*course("PLT", ("60", "60"), *["90"] * 6), *course("NEUT", ("0.4", "0.4"), *["0.9"] * 6)]
    assessment = by_2018("M6", counts)
    of_2006 = at("M6", counts, as_of=190)
    assert (assessment.rule_set, of_2006.rule_set) == ("IWG-2018", "IWG-2006")
    assert {code: assessment.lineages[code] for code in ("HI-P", "HI-N")} == {
        code: of_2006.lineages[code] for code in ("HI-P", "HI-N")
    }
