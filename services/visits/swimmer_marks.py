"""How each thing on a swimmer plot is drawn: by a shape of its own, so that it is told apart in print and by every eye.

Colours are of the palette of Okabe and Ito (Color Universal Design, 2008), or darker where they bear text. Positions
and sizes are pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import cos, pi, sin
from xml.etree import ElementTree as ET

from services.visits.answers_views import AdverseEventMark, DoseGiven, EndKind, EvaluationMark, TransfusionMark
from services.visits.events import OverallResponse

INK, PAPER, GREY = "#1b1f24", "#ffffff", "#6b7480"
STUDY = "#d5dbe2"
ARMS = ("#8cc4ea", "#f0bf63", "#8fd0b8", "#d9a9c6")
"""Sky blue, orange, bluish green and reddish purple, lightened: marks stand on them. Arms beyond these begin anew."""

IMPROVED = "#006a53"
INFUSION, BLOOD, ADVERSE = "#00436e", "#a3195b", "#d55e00"

STYLE = """
text { font-family: Inter, "Helvetica Neue", Helvetica, Arial, sans-serif; font-size: 11px; fill: #1b1f24 }
.title { font-size: 17px; font-weight: 600 }
.quiet { fill: #6b7480 }
.subject { font-weight: 600; font-size: 12px }
.small { font-size: 9px }
.tiny { font-size: 8px; font-weight: 600 }
.middle { text-anchor: middle }
.light { fill: #ffffff }
.void { text-decoration: line-through }
"""

RESPONSES: Mapping[OverallResponse, tuple[str, str]] = {
    "CR": (IMPROVED, "light"),
    "PR": (IMPROVED, "light"),
    "mCR": (IMPROVED, "light"),
    "HI": (IMPROVED, "light"),
    "SD": (PAPER, ""),
    "PD": (INK, "light"),
    "NE": (PAPER, "quiet"),
}
"""The ground of a response and the class of its text."""


def group(parent: ET.Element, title: str) -> ET.Element:
    """A group whose title a browser shows to who points at it, and a screen reader reads."""
    element = ET.SubElement(parent, "g")
    ET.SubElement(element, "title").text = title
    return element


def text(parent: ET.Element, x: float, y: float, words: str, classes: str = "") -> None:
    """Words from x on, or around it for the class `middle`; y is the line that they stand on."""
    attributes = {"x": f"{x:g}", "y": f"{y:g}"} | ({"class": classes} if classes else {})
    ET.SubElement(parent, "text", attributes).text = words


def rect(parent: ET.Element, x: float, y: float, width: float, height: float, **more: str) -> None:
    """A rectangle by its upper left corner."""
    place = {"x": f"{x:g}", "y": f"{y:g}", "width": f"{width:g}", "height": f"{height:g}"}
    ET.SubElement(parent, "rect", place | _attributes(more))


def path(parent: ET.Element, d: str, **more: str) -> None:
    """A path."""
    ET.SubElement(parent, "path", {"d": d} | _attributes(more))


def _attributes(more: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in more.items()}


def infusion(parent: ET.Element, x: float, y: float, dose: DoseGiven) -> None:
    """A diamond that bears the number of the dose."""
    mark = group(parent, f"Infusion {written(dose.amount)}, day {dose.day}")
    path(mark, f"M{x:g},{y - 9:g} l9,9 l-9,9 l-9,-9 z", fill=INFUSION, stroke=PAPER)
    text(mark, x, y + 3, written(dose.amount), "tiny middle light")


def ciclosporin(parent: ET.Element, x: float, y: float, dose: DoseGiven) -> None:
    """A round box that bears the daily dose."""
    amount = written(dose.amount)
    mark = group(parent, f"Ciclosporin {amount} mg/kg/day from day {dose.day}")
    width = 9 + 5 * len(amount)
    rect(mark, x - width / 2, y - 7, width, 14, rx="7", fill=PAPER, stroke=INK)
    text(mark, x, y + 3, amount, "tiny middle")


def written(amount: Decimal) -> str:
    """An amount without the zeros behind it: 5.00 is written 5."""
    return f"{amount.normalize():f}"


def transfusion(parent: ET.Element, x: float, y: float, given: TransfusionMark) -> None:
    """A triangle that points down at the bar, filled for red cells and hollow for platelets."""
    mark = group(parent, f"{given.units} × {given.component} transfused, day {given.day}")
    fill = BLOOD if given.component == "RBC" else PAPER
    path(mark, f"M{x - 4:g},{y - 4:g} h8 l-4,8 z", fill=fill, stroke=BLOOD, stroke_width="1.2")


def adverse_event(parent: ET.Element, x: float, y: float, event: AdverseEventMark) -> None:
    """A star and the grade beside it; one that was serious has an outline."""
    mark = group(parent, f"Adverse event of grade {event.grade}{', serious' * event.serious}, day {event.day}")
    points = ((6 if n % 2 == 0 else 2.6, pi * n / 5) for n in range(10))
    d = " L".join(f"{x + r * sin(turn):.2f},{y - r * cos(turn):.2f}" for r, turn in points)
    path(mark, f"M{d} z", fill=ADVERSE, stroke=INK if event.serious else ADVERSE, stroke_width="0.9")
    text(mark, x + 7, y + 3, str(event.grade), "tiny")


def evaluation(parent: ET.Element, x: float, y: float, made: EvaluationMark) -> None:
    """The response in a box: dark for a response, light for none, black for progression; struck out if outdated."""
    mark = group(parent, f"{made.timepoint}: {made.response}{', outdated' * made.outdated}, day {made.day}")
    fill, classes = RESPONSES[made.response]
    if made.outdated:
        fill, classes = PAPER, "quiet void"
    dashes = {"stroke_dasharray": "2 1.5"} if made.outdated or made.response == "NE" else {}
    width = 8 + 6 * len(made.response)
    stroke = fill if fill != PAPER else GREY
    rect(mark, x - width / 2, y - 6, width, 12, rx="3", fill=fill, stroke=stroke, **dashes)
    text(mark, x, y + 3.2, made.response, f"tiny middle {classes}".strip())


def _arrow(parent: ET.Element, x: float, y: float) -> None:
    path(parent, f"M{x:g},{y - 5:g} l9,5 l-9,5 z", fill=GREY)


def _bar(parent: ET.Element, x: float, y: float) -> None:
    rect(parent, x, y - 8, 3, 16, fill=INK)


def _square(parent: ET.Element, x: float, y: float) -> None:
    rect(parent, x + 1, y - 4.5, 9, 9, fill=INK)


def _hollow_square(parent: ET.Element, x: float, y: float) -> None:
    rect(parent, x + 1, y - 4, 8, 8, fill=PAPER, stroke=INK, stroke_width="1.5")


def _cross(parent: ET.Element, x: float, y: float) -> None:
    path(parent, f"M{x + 1:g},{y - 5:g} l9,10 m0,-10 l-9,10", fill="none", stroke=INK, stroke_width="2.6")


Draw = Callable[[ET.Element, float, float], None]

ENDS: Mapping[EndKind | None, tuple[str, Draw]] = {
    None: ("ongoing", _arrow),
    "completed": ("completed", _bar),
    "withdrawn": ("withdrawn", _square),
    "lost-to-follow-up": ("lost to follow-up", _hollow_square),
    "died": ("died", _cross),
}
"""How a time on study ends, or goes on: in words, and what stands behind the bar."""
