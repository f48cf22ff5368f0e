"""How a swimmer plot is drawn: a lane a subject, study months from left to right, and what happened upon it.

Above a lane's bar stand adverse events and transfusions, on it the doses, and below it what evaluations say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle
from math import ceil, floor
from xml.etree import ElementTree as ET

from services.visits import swimmer_marks as marks
from services.visits.answers_views import (
    AdverseEventMark,
    DoseGiven,
    EvaluationMark,
    Lane,
    OnLane,
    SwimmerPlot,
    TransfusionMark,
)
from services.visits.swimmer_marks import ENDS

MEDIA_TYPE = "image/svg+xml"

MARGIN_PX, LABEL_PX, PLOT_PX, END_PX = 24, 112, 780, 150
WIDTH_PX = MARGIN_PX + LABEL_PX + PLOT_PX + END_PX + MARGIN_PX
TITLE_PX, LEGEND_LINE_PX, AXIS_PX = 62, 22, 26
LANE_PX, ADVERSE_EVENT_PX, TRANSFUSION_PX, BAR_PX, RESPONSE_PX = 60, 9, 20, 33, 49
"""The height of a lane, and where in it stand what happened, the middle of the bar, and responses."""

CHARACTER_PX = 6.1
TICKS_MAX = 18
TICK_MONTHS = (1, 3, 6, 12, 60, 120, 600, 1200, 12000, 120000)

MONTHS_LEAST = 3


@dataclass(frozen=True, slots=True)
class Axis:
    """Study days as pixels, from a whole month to a whole month."""

    first_month: int
    last_month: int
    days_per_month: float

    def x(self, day: float) -> float:
        """Where a day stands; 0 is the beginning of day 0."""
        months = day / self.days_per_month - self.first_month
        return MARGIN_PX + LABEL_PX + round(PLOT_PX * months / (self.last_month - self.first_month), 2)

    @property
    def ticks(self) -> list[int]:
        """The months that are named: each, or every third, sixth …, so that they stay legible."""
        step = next((s for s in TICK_MONTHS if (self.last_month - self.first_month) / s <= TICKS_MAX), TICK_MONTHS[-1])
        return [month for month in range(self.first_month, self.last_month + 1) if month % step == 0]


def draw(plot: SwimmerPlot, arms: Sequence[str], days_per_month: Decimal) -> str:
    """The plot as an SVG document (SVG 1.1), its texts as texts."""
    axis = _axis(plot.lanes, float(days_per_month))
    colours = dict(zip(arms, cycle(marks.ARMS), strict=False))
    legend = _legend_lines(colours)
    top = TITLE_PX + LEGEND_LINE_PX * len(legend) + AXIS_PX
    bottom = top + LANE_PX * max(1, len(plot.lanes))
    svg = _document(plot, bottom + AXIS_PX + MARGIN_PX)
    _draw_legend(svg, legend)
    _draw_axis(svg, axis, top, bottom)
    for number, lane in enumerate(plot.lanes):
        _draw_lane(svg, axis, lane, top + number * LANE_PX, colours.get(lane.arm, marks.ARMS[0]))
    if not plot.lanes:
        marks.text(svg, WIDTH_PX / 2, top + LANE_PX / 2, "No subject has been randomized.", "quiet middle")
    return ET.tostring(svg, encoding="unicode", xml_declaration=True)


def _axis(lanes: Sequence[Lane], days_per_month: float) -> Axis:
    """Wide enough for every lane and all that stands on it."""
    days = [0]
    for lane in lanes:
        days.append(lane.days_on_study)
        marked: tuple[OnLane, ...] = (*lane.doses, *lane.evaluations, *lane.transfusions, *lane.adverse_events)
        days += [each.day for each in marked]
    last = max(MONTHS_LEAST, ceil(max(days) / days_per_month))
    return Axis(floor(min(days) / days_per_month), last, days_per_month)


def _document(plot: SwimmerPlot, height: float) -> ET.Element:
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "role": "img",
            "aria-labelledby": "title description",
            "width": f"{WIDTH_PX}",
            "height": f"{height:g}",
            "viewBox": f"0 0 {WIDTH_PX} {height:g}",
        },
    )
    ET.SubElement(svg, "title", {"id": "title"}).text = "Swimmer plot"
    ET.SubElement(svg, "desc", {"id": "description"}).text = _description(plot)
    ET.SubElement(svg, "style").text = marks.STYLE
    marks.rect(svg, 0, 0, WIDTH_PX, height, fill=marks.PAPER)
    marks.text(svg, MARGIN_PX, 32, "Swimmer plot", "title")
    subjects = f"{len(plot.lanes)} subject{'' if len(plot.lanes) == 1 else 's'}"
    more = ", more on the next page" if plot.next else ""
    words = f"As of {plot.as_of} · {subjects}{more} · the longest on study first"
    marks.text(svg, MARGIN_PX, 50, words, "quiet")
    return svg


def _description(plot: SwimmerPlot) -> str:
    """What the picture shows, for who does not see it: a sentence a subject."""
    return " ".join(["Time on study by subject, in days since day 0.", *map(_sentence, plot.lanes)])


def _sentence(lane: Lane) -> str:
    ending = ENDS[lane.end.kind if lane.end else None][0]
    responses = ", ".join(f"{each.timepoint} {each.response}" for each in lane.evaluations if not each.outdated)
    told = f"; {responses}" if responses else ""
    return f"{lane.subject}, {lane.arm}: {lane.days_on_study} days, {ending}{told}."


# The legend shows each mark as it is drawn in a lane, by the same functions.

Sample = Callable[[ET.Element, float, float], None]


def _legend_lines(colours: Mapping[str, str]) -> list[list[tuple[float, str, Sample]]]:
    """Its entries, parted into lines of the picture's width: how far from the left, the words, and the mark."""
    lines: list[list[tuple[float, str, Sample]]] = [[]]
    x = float(MARGIN_PX)
    for words, sample in _legend(colours):
        width = 26 + CHARACTER_PX * len(words) + 16
        if x + width > WIDTH_PX - MARGIN_PX and lines[-1]:
            lines.append([])
            x = MARGIN_PX
        lines[-1].append((x, words, sample))
        x += width
    return lines


def _legend(colours: Mapping[str, str]) -> list[tuple[str, Sample]]:
    def swatch(colour: str, height: float) -> Sample:
        return lambda svg, x, y: marks.rect(svg, x - 9, y - height / 2, 18, height, rx="2", fill=colour)

    def behind(end: marks.Draw) -> Sample:
        return lambda svg, x, y: end(svg, x - 5, y)

    one_dose = DoseGiven(day=0, kind="infusion", amount=Decimal(1), position=0)
    daily = DoseGiven(day=0, kind="ciclosporin", amount=Decimal(5), position=0)
    red, platelets = (TransfusionMark(day=0, component=c, units=1, position=0) for c in ("RBC", "PLT"))
    event = AdverseEventMark(day=0, grade=3, serious=False, position=0)
    serious = AdverseEventMark(day=0, grade=4, serious=True, position=0)
    judged = EvaluationMark(day=0, timepoint="", response="HI", outdated=False, position=0)
    entries: list[tuple[str, Sample]] = [
        *((f"on treatment, {arm}", swatch(colour, 14)) for arm, colour in colours.items()),
        ("on study", swatch(marks.STUDY, 6)),
        ("infusion", lambda svg, x, y: marks.infusion(svg, x, y, one_dose)),
        ("ciclosporin, mg/kg/day", lambda svg, x, y: marks.ciclosporin(svg, x, y, daily)),
        ("red cells", lambda svg, x, y: marks.transfusion(svg, x, y, red)),
        ("platelets", lambda svg, x, y: marks.transfusion(svg, x, y, platelets)),
        ("adverse event, grade ≥ 3", lambda svg, x, y: marks.adverse_event(svg, x - 3, y, event)),
        ("serious", lambda svg, x, y: marks.adverse_event(svg, x - 3, y, serious)),
        ("response", lambda svg, x, y: marks.evaluation(svg, x, y, judged)),
        ("improvement by lineage", lambda svg, x, y: _improvement(svg, (x - 10, x + 3), y, "E", goes_on=False)),
    ]
    return [*entries, *((words, behind(end)) for words, end in ENDS.values())]


def _draw_legend(svg: ET.Element, lines: Sequence[Sequence[tuple[float, str, Sample]]]) -> None:
    for number, line in enumerate(lines):
        y = TITLE_PX + LEGEND_LINE_PX * (number + 0.5)
        for x, words, sample in line:
            sample(svg, x + 10, y)
            marks.text(svg, x + 26, y + 4, words)


def _draw_axis(svg: ET.Element, axis: Axis, top: float, bottom: float) -> None:
    for month in axis.ticks:
        x = axis.x(month * axis.days_per_month)
        stroke, width = (marks.GREY, "1") if month == 0 else ("#e7ebef", "1")
        marks.path(svg, f"M{x:g},{top:g} V{bottom:g}", stroke=stroke, stroke_width=width)
        for y in (top - 8, bottom + 16):
            marks.text(svg, x, y, str(month), "quiet middle")
    for y in (top - 8, bottom + 16):
        marks.text(svg, MARGIN_PX, y, "Months", "quiet")


def _draw_lane(svg: ET.Element, axis: Axis, lane: Lane, top: float, colour: str) -> None:
    lane_of = marks.group(svg, _sentence(lane))
    y = top + BAR_PX
    marks.path(lane_of, f"M{MARGIN_PX},{top:g} H{WIDTH_PX - MARGIN_PX}", stroke="#f0f2f5", stroke_width="1")
    marks.text(lane_of, MARGIN_PX, y + 4, lane.subject, "subject")
    marks.text(lane_of, MARGIN_PX + 56, y + 4, lane.arm, "quiet")
    begin, end = axis.x(0), axis.x(lane.days_on_study)
    marks.rect(lane_of, begin, y - 3, max(2, end - begin), 6, rx="3", fill=marks.STUDY)
    for span in lane.on_treatment:
        x = axis.x(span.from_day)
        until = axis.x(lane.days_on_study if span.to_day is None else span.to_day)
        marks.rect(lane_of, x, y - 7, max(2, until - x), 14, rx="2", fill=colour)
    _draw_end(lane_of, lane, end, y)
    _draw_improvements(lane_of, axis, lane, top + RESPONSE_PX)
    for made in lane.evaluations:
        marks.evaluation(lane_of, axis.x(made.day), top + RESPONSE_PX, made)
    for dose in lane.doses:
        (marks.infusion if dose.kind == "infusion" else marks.ciclosporin)(lane_of, axis.x(dose.day), y, dose)
    for given in lane.transfusions:
        marks.transfusion(lane_of, axis.x(given.day), top + TRANSFUSION_PX, given)
    for event in lane.adverse_events:
        marks.adverse_event(lane_of, axis.x(event.day), top + ADVERSE_EVENT_PX, event)


def _draw_end(lane_of: ET.Element, lane: Lane, x: float, y: float) -> None:
    words, end = ENDS[lane.end.kind if lane.end else None]
    end(lane_of, x + 3, y)
    marks.text(lane_of, x + 20, y + 4, f"{lane.days_on_study} d · {words}", "quiet")


def _draw_improvements(lane_of: ET.Element, axis: Axis, lane: Lane, y: float) -> None:
    """A line a lineage, one below the other around the height of the responses."""
    lineages = sorted({each.lineage for each in lane.improvements})
    for each in lane.improvements:
        number = lineages.index(each.lineage)
        until = axis.x(lane.days_on_study if each.to_day is None else each.to_day)
        title = f"{each.lineage} from day {each.from_day}" + (f" to day {each.to_day}" if each.to_day else "")
        episode = marks.group(lane_of, title)
        height = y + 5 * (number - (len(lineages) - 1) / 2)
        letter = each.lineage.rpartition("-")[2]
        goes_on = each.to_day is None
        _improvement(episode, (axis.x(each.from_day), until), height, letter, goes_on=goes_on, place=number)


def _improvement(
    parent: ET.Element, ends: tuple[float, float], y: float, letter: str, *, goes_on: bool, place: int = 0
) -> None:
    """A line, with a foot where it ends, and behind it the letter of the lineage, each in a place of its own."""
    x, until = ends[0], max(ends[1], ends[0] + 2)
    foot = "" if goes_on else " m0,-3 v6"
    marks.path(parent, f"M{x:g},{y:g} H{until:g}{foot}", fill="none", stroke=marks.IMPROVED, stroke_width="2.4")
    marks.text(parent, until + 3 + 7 * place, y + 3, letter, "tiny")
