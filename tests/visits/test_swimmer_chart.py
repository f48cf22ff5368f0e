"""How a swimmer plot is drawn: everything inside the picture, every text a text, every mark with a title."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from services.visits.answers_views import (
    AdverseEventMark,
    DoseGiven,
    End,
    EvaluationMark,
    Improvement,
    Lane,
    Span,
    SwimmerPlot,
    TransfusionMark,
)
from services.visits.swimmer_chart import draw
from services.visits.swimmer_marks import ENDS

SVG = "{http://www.w3.org/2000/svg}"
ARMS = ("MSC", "CSA")
MONTH = Decimal("30.4375")


def lane(subject: str = "01-001", days: int = 180, **more: Any) -> Lane:
    """A responder of the cells' arm, transfused before, and with a severe adverse event."""
    known: dict[str, Any] = {
        "arm": "MSC",
        "end": None,
        "on_treatment": (Span(from_day=0, to_day=None),),
        "doses": (DoseGiven(day=0, position=3, kind="infusion", amount=Decimal(1)),),
        "evaluations": (EvaluationMark(day=93, position=9, timepoint="M3", response="HI", outdated=False),),
        "improvements": (Improvement(from_day=93, to_day=None, lineage="HI-E"),),
        "transfusions": (TransfusionMark(day=-40, position=4, component="RBC", units=2),),
        "adverse_events": (AdverseEventMark(day=20, position=5, grade=3, serious=True),),
    }
    return Lane(subject=subject, day_0=date(2026, 1, 1), days_on_study=days, **known | more)


def drawn(*lanes: Lane, following: str | None = None) -> ET.Element:
    plot = SwimmerPlot(as_of=date(2026, 11, 25), lanes=lanes, next=following)
    return ET.fromstring(draw(plot, ARMS, MONTH))


def texts(svg: ET.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def titles(svg: ET.Element) -> list[str]:
    return [title.text or "" for title in svg.iter(f"{SVG}title")]


def test_the_picture_says_what_it_is_and_what_it_shows() -> None:
    svg = drawn(lane())
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-labelledby"] == "title description"
    (described,) = svg.iter(f"{SVG}desc")
    assert described.text == "Time on study by subject, in days since day 0. 01-001, MSC: 180 days, ongoing; M3 HI."


def test_a_lane_names_its_subject_its_arm_and_how_long_it_lasted() -> None:
    found = texts(drawn(lane("01-001", 180), lane("02-007", 80, end=End(day=80, kind="died"), arm="CSA")))
    assert {"01-001", "MSC", "180 d · ongoing", "02-007", "CSA", "80 d · died", "HI"} <= set(found)


def test_every_mark_has_a_title_that_says_it_in_words() -> None:
    csa = DoseGiven(day=30, position=6, kind="ciclosporin", amount=Decimal("2.50"))
    found = titles(drawn(lane(doses=(*lane().doses, csa))))
    assert {
        "Infusion 1, day 0",
        "Ciclosporin 2.5 mg/kg/day from day 30",
        "2 × RBC transfused, day -40",
        "Adverse event of grade 3, serious, day 20",
        "M3: HI, day 93",
        "HI-E from day 93",
    } <= set(found)


def test_the_legend_names_every_arm_and_every_end() -> None:
    found = texts(drawn(lane()))
    for words in (*(f"on treatment, {arm}" for arm in ARMS), *(words for words, _ in ENDS.values())):
        assert words in found


@pytest.mark.parametrize("days", [0, 1, 45, 365, 3650, 2_900_000])
def test_whatever_the_time_on_study_all_stands_inside_the_picture_and_months_stay_few(days: int) -> None:
    svg = drawn(lane(days=days))
    width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
    for box in svg.iter(f"{SVG}rect"):
        x, y, wide, high = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
    for text in svg.iter(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= height
    assert len(texts(svg)) < 100


def test_lanes_stand_one_below_the_other_in_the_order_given() -> None:
    svg = drawn(*(lane(f"01-{number:03}", 200 - number) for number in range(1, 31)))
    heights = {text.text: float(text.attrib["y"]) for text in svg.iter(f"{SVG}text") if text.get("class") == "subject"}
    assert list(heights) == [f"01-{number:03}" for number in range(1, 31)]
    assert list(heights.values()) == sorted(heights.values())


def test_an_outdated_response_is_struck_out_and_not_told_as_one() -> None:
    outdated = EvaluationMark(day=93, position=9, timepoint="M3", response="HI", outdated=True)
    svg = drawn(lane(evaluations=(outdated,), improvements=()))
    assert [text.text for text in svg.iter(f"{SVG}text") if "void" in text.get("class", "")] == ["HI"]
    (described,) = svg.iter(f"{SVG}desc")
    assert "M3 HI" not in (described.text or "")


def test_a_picture_of_a_page_says_that_more_follow() -> None:
    assert "As of 2026-11-25 · 1 subject, more on the next page · the longest on study first" in texts(
        drawn(lane(), following="180/01-001")
    )


def test_a_trial_without_subjects_has_a_picture_too() -> None:
    assert "No subject has been randomized." in texts(drawn())
