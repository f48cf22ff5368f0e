"""The response at a timepoint: how the criteria add up, and what must always hold of the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.labs.grading import criteria_of
from services.labs.normalization import ReadResult, SentResult, read_result
from services.visits.evidence import Count, Transfusion, positions_of
from shared.protocol import Protocol
from tests.visits.courses import BY_2018, DAY_0, MONTHS, PROTOCOL, at, count, course, day, red_cells

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


def test_a_timepoint_that_has_not_come_is_not_evaluable() -> None:
    assessment = at("M3", course("HGB", ("84", "88"), "101", "103"), [red_cells(4, -20)], as_of=76)
    assert assessment.lineages["HI-E"].status == "not-evaluable"
    assert assessment.response == "NE"


# Units. What laboratories send is normalised as the service for laboratories does it.


def sent(code: str, value: str, unit: str, on: int) -> Count:
    """A final result as a laboratory sent it, in the unit of its choice, as a count in the trial's unit."""
    at_noon = datetime.combine(day(on), time(12), UTC)
    text = SentResult(
        number=0,
        codings=(("", code),),
        text=value,
        value=Decimal(value),
        unit=unit,
        status="F",
        collected_at=at_noon,
        order="o",
    )
    result = read_result(text, at_noon, criteria_of(PROTOCOL))
    assert isinstance(result, ReadResult), result
    assert result.value is not None
    return Count(result.code, result.value, day(on), 1000 + on)


@pytest.mark.parametrize(
    ("months", "as_of", "status"),
    [
        (("10.1", "10.3", "10.2"), 105, "confirmed"),
        (("9.5", "10.2", "10.4"), 105, "provisional"),
        (("9.5", "10.2", "10.4", "10.1"), 122, "confirmed"),
        (("10.0", "10.3", "10.2"), 105, "provisional"),
        (("10.1", "10.3", "10.0"), 105, "not-met"),
    ],
)
def test_eight_point_six_and_one_point_five_are_exactly_ten_point_one(
    months: tuple[str, ...], as_of: int, status: str
) -> None:
    """Binary floating point has 8.6 + 1.5 above 10.1, and would miss the first of these."""
    before = [sent("HGB", "8.4", "g/dL", -14), sent("HGB", "8.8", "g/dL", -7)]
    since = [sent("HGB", value, "g/dL", on) for value, on in zip(months, MONTHS, strict=False)]
    assert at("M3", before + since, as_of=as_of).lineages["HI-E"].status == status


SAME: dict[str, list[tuple[str, Decimal]]] = {
    "HGB": [("g/dL", Decimal("0.1")), ("gm/dL", Decimal("0.1"))],
    "PLT": [("10*3/uL", Decimal(1)), ("/uL", Decimal(1000)), ("G/L", Decimal(1))],
    "NEUT": [("10*3/uL", Decimal(1)), ("/uL", Decimal(1000)), ("10*6/L", Decimal(1000))],
}
"""Other units of an analyte, and how many of them one canonical unit is."""


# What must always hold.


@dataclass(frozen=True)
class Line:
    """A lineage, a cytopenic baseline of its analyte, and the least value that is a response."""

    code: str
    analyte: str
    unit: str
    before: tuple[str, str]
    response: Decimal

    @property
    def baseline(self) -> list[Count]:
        return [count(self.analyte, value, on, on + 100) for value, on in zip(self.before, (-21, -7), strict=True)]


LINES = (
    Line("HI-E", "HGB", "g/L", ("84", "88"), Decimal(101)),
    Line("HI-P", "PLT", "10*9/L", ("60", "60"), Decimal(90)),
    Line("HI-P", "PLT", "10*9/L", ("15", "15"), Decimal(30)),
    Line("HI-N", "NEUT", "10*9/L", ("0.6", "0.6"), Decimal("1.2")),
)
lines = st.sampled_from(LINES)
protocols = st.sampled_from([PROTOCOL, BY_2018])
RANK = {"not-evaluable": 0, "not-met": 0, "provisional": 1, "confirmed": 2}
"""How much of an improvement a status is."""


@st.composite
def courses(draw: st.DrawFn, line: Line) -> list[Count]:
    """Monthly counts within their windows, most of them above the response, and some unscheduled ones."""
    shares = st.sampled_from([Decimal("0.5"), Decimal("0.99"), Decimal(1), Decimal("1.1"), Decimal("1.3"), Decimal(2)])
    jitter = st.integers(-7, 7)
    days = [month + draw(jitter) for month in MONTHS[:6] if draw(st.integers(0, 9))]
    days += draw(st.lists(st.integers(1, 190), max_size=3))
    return [
        Count(line.analyte, line.response * draw(shares), day(on), 200 + index, usable=bool(draw(st.integers(0, 19))))
        for index, on in enumerate(days)
    ]


blasts = st.sampled_from(["2", "4", "6", "9", "14"])
marrows = st.lists(blasts, max_size=3).map(
    lambda shares: [
        count("BLAST_BM", share, on, 300 + index)
        for index, (share, on) in enumerate(zip(shares, (-10, 91, 183), strict=False))
    ]
)
"""A marrow in screening, at M3 and at M6, as far as they were taken."""

transfusions_since = st.lists(
    st.builds(
        Transfusion,
        st.sampled_from(["RBC", "PLT"]),
        st.integers(1, 3),
        st.integers(1, 190).map(day),
        st.integers(10_000, 19_999),
        st.one_of(st.none(), st.decimals(50, 110, places=0)),
    ),
    max_size=4,
    unique_by=lambda t: t.position,
)
transfusions_before = st.builds(
    Transfusion,
    st.just("RBC"),
    st.integers(1, 5),
    st.integers(-112, -22).map(day),
    st.integers(20_000, 29_999),
    st.just(Decimal(75)),
)
transfusions = st.builds(
    lambda since, before: since + before,
    transfusions_since,
    st.lists(transfusions_before, max_size=3, unique_by=lambda t: t.position),
)


@settings(max_examples=50)
@given(st.data(), lines, transfusions, protocols, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    data: st.DataObject, line: Line, blood: list[Transfusion], protocol: Protocol, random: Random
) -> None:
    counts = [*line.baseline, *data.draw(courses(line))]
    in_order = at("M6", counts, blood, 200, protocol)
    shuffled = at("M6", random.sample(counts, len(counts)), random.sample(blood, len(blood)), 200, protocol)
    assert shuffled == in_order


@settings(max_examples=70)
@given(st.data(), lines, transfusions, protocols, st.integers(1, 400))
def test_raising_a_count_never_takes_an_improvement_away(
    data: st.DataObject, line: Line, blood: list[Transfusion], protocol: Protocol, percent: int
) -> None:
    counts = data.draw(courses(line).filter(bool))
    chosen = data.draw(st.sampled_from(counts))
    raised = replace(chosen, value=chosen.value * (100 + percent) / 100)
    others = [each for each in counts if each is not chosen]
    before = at("M3", [*line.baseline, *counts], blood, 200, protocol).lineages[line.code]
    after = at("M3", [*line.baseline, *others, raised], blood, 200, protocol).lineages[line.code]
    assert RANK[after.status] >= RANK[before.status]


@settings(max_examples=70)
@given(st.data(), lines, transfusions_since, transfusions_since.filter(bool), protocols)
def test_a_transfusion_since_treatment_never_makes_an_improvement_by_counts(
    data: st.DataObject, line: Line, given_before: list[Transfusion], more: list[Transfusion], protocol: Protocol
) -> None:
    counts = [*line.baseline, *data.draw(courses(line))]
    without = at("M3", counts, given_before, 200, protocol).lineages[line.code]
    with_more = at("M3", counts, [*given_before, *more], 200, protocol).lineages[line.code]
    assert RANK[with_more.status] <= RANK[without.status]


@settings(max_examples=50)
@given(st.data(), lines, protocols)
def test_the_unit_in_which_results_are_sent_does_not_matter(
    data: st.DataObject, line: Line, protocol: Protocol
) -> None:
    counts = [*line.baseline, *data.draw(courses(line))]
    counts = [each for each in counts if each.value <= 250]
    other, per_canonical = data.draw(st.sampled_from(SAME[line.analyte]))

    def as_sent(unit: str, factor: Decimal) -> list[Count]:
        days = [(each, (each.collected_on - DAY_0).days) for each in counts]
        return [sent(line.analyte, format(each.value * factor, "f"), unit, on) for each, on in days]

    canonical = at("M6", as_sent(line.unit, Decimal(1)), as_of=200, protocol=protocol)
    assert at("M6", as_sent(other, per_canonical), as_of=200, protocol=protocol) == canonical


@settings(max_examples=50)
@given(st.data(), lines, transfusions, protocols)
def test_an_answer_rests_on_what_was_given_alone(
    data: st.DataObject, line: Line, blood: list[Transfusion], protocol: Protocol
) -> None:
    counts = [*line.baseline, *data.draw(courses(line))]
    assessment = at("M6", counts, blood, 200, protocol)
    assert set(assessment.inputs) <= {*positions_of(counts), *positions_of(blood)}
    assert list(assessment.inputs) == sorted(set(assessment.inputs))


@settings(max_examples=50)
@given(st.data(), lines, transfusions, protocols)
def test_the_same_answer_comes_from_what_it_rests_on_alone(
    data: st.DataObject, line: Line, blood: list[Transfusion], protocol: Protocol
) -> None:
    counts = [*line.baseline, *data.draw(courses(line)), *data.draw(marrows)]
    timepoint, as_of = data.draw(st.sampled_from([("M3", 100), ("M3", 130), ("M6", 200)]))
    assessment = at(timepoint, counts, blood, as_of, protocol)
    rest_on = set(assessment.inputs)
    again = at(
        timepoint,
        [each for each in counts if each.position in rest_on],
        [each for each in blood if each.position in rest_on],
        as_of,
        protocol,
    )
    assert {code: result.status for code, result in again.criteria.items()} == {
        code: result.status for code, result in assessment.criteria.items()
    }
    assert {found.code for found in assessment.findings} <= {found.code for found in again.findings}


@settings(max_examples=50)
@given(st.data(), lines, transfusions, protocols)
def test_what_is_collected_after_the_last_day_known_changes_nothing(
    data: st.DataObject, line: Line, blood: list[Transfusion], protocol: Protocol
) -> None:
    counts = [*line.baseline, *data.draw(courses(line))]
    known = [each for each in counts if each.collected_on <= day(100)]
    given_by_then = [each for each in blood if each.given_on <= day(100)]
    assert at("M3", counts, blood, 100, protocol) == at("M3", known, given_by_then, 100, protocol)
