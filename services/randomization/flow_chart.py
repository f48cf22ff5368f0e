"""How the CONSORT flow is drawn (CONSORT 2025, item 22): the way to randomization above, a column an arm below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from services.randomization.answers import ArmFlow, Flow

MEDIA_TYPE = "image/svg+xml"

COLUMN_PX, GAP_PX, MARGIN_PX = 260, 40, 20
LINE_PX, PADDING_PX = 18, 12
FONT = "font: 13px sans-serif"


@dataclass(frozen=True, slots=True)
class Box:
    """A box of the chart: where it stands, in pixels, and what stands in it, a line each."""

    x: float
    y: float
    lines: Sequence[str]

    @property
    def height(self) -> int:
        return 2 * PADDING_PX + LINE_PX * len(self.lines)

    @property
    def centre(self) -> float:
        return self.x + COLUMN_PX / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


def draw(flow: Flow) -> str:
    """The flow as an SVG document (SVG 1.1), its texts as texts; arms are named by their codes."""
    columns = max(2, len(flow.arms))
    width = 2 * MARGIN_PX + _span(columns)
    middle = (width - COLUMN_PX) / 2
    assessed = Box(middle, MARGIN_PX, [f"Assessed for eligibility (n = {flow.assessed})"])
    excluded = Box(width - MARGIN_PX - COLUMN_PX, assessed.bottom + GAP_PX, _excluded(flow))
    randomized = Box(middle, excluded.bottom + GAP_PX, [f"Randomized (n = {flow.randomized})"])
    boxes = [assessed, excluded, randomized]
    arrows = [
        _path(assessed.centre, assessed.bottom, randomized.centre, randomized.y),
        _path(assessed.centre, assessed.bottom, excluded.centre, excluded.y),
    ]
    left = MARGIN_PX + (width - 2 * MARGIN_PX - _span(len(flow.arms))) / 2
    for number, (arm, counts) in enumerate(flow.arms.items()):
        above = randomized
        for lines in _column(arm, counts):
            box = Box(left + number * (COLUMN_PX + GAP_PX), above.bottom + GAP_PX, lines)
            arrows.append(_path(above.centre, above.bottom, box.centre, box.y))
            boxes.append(box)
            above = box
    height = max(box.bottom for box in boxes) + MARGIN_PX
    return _document(width, height, boxes, arrows)


def _span(columns: int) -> int:
    """The width of so many columns, in pixels."""
    return columns * COLUMN_PX + max(0, columns - 1) * GAP_PX


def _excluded(flow: Flow) -> list[str]:
    return [
        f"Excluded (n = {sum(flow.excluded.values())})",
        *(f"  {reason} (n = {number})" for reason, number in sorted(flow.excluded.items())),
    ]


def _column(arm: str, counts: ArmFlow) -> list[list[str]]:
    """What became of an arm, from above to below."""
    return [
        [
            f"Allocated to {arm} (n = {counts.allocated})",
            f"  received it (n = {counts.received})",
            f"  did not receive it (n = {counts.not_received})",
        ],
        [f"Lost to follow-up (n = {counts.lost_to_follow_up})", f"Discontinued (n = {counts.discontinued})"],
        [f"Analysed (n = {counts.analysed})"],
    ]


def _path(from_x: float, from_y: float, to_x: float, to_y: float) -> str:
    """Down, across and down again."""
    half = (from_y + to_y) / 2
    return f"M{from_x:g},{from_y:g} V{half:g} H{to_x:g} V{to_y:g}"


def _document(width: float, height: float, boxes: Sequence[Box], arrows: Sequence[str]) -> str:
    size = {"width": f"{width:g}", "height": f"{height:g}", "viewBox": f"0 0 {width:g} {height:g}"}
    svg = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size})
    ET.SubElement(svg, "title").text = "Flow of participants"
    marker = ET.SubElement(
        ET.SubElement(svg, "defs"),
        "marker",
        {"id": "arrow", "orient": "auto", "markerWidth": "8", "markerHeight": "8", "refX": "8", "refY": "4"},
    )
    ET.SubElement(marker, "path", {"d": "M0,0 L8,4 L0,8 z"})
    for arrow in arrows:
        ET.SubElement(svg, "path", {"d": arrow, "fill": "none", "stroke": "black", "marker-end": "url(#arrow)"})
    for box in boxes:
        place = {"x": f"{box.x:g}", "y": f"{box.y:g}", "width": f"{COLUMN_PX}", "height": f"{box.height}"}
        ET.SubElement(svg, "rect", {**place, "fill": "white", "stroke": "black"})
        text = ET.SubElement(svg, "text", {"style": FONT, "xml:space": "preserve"})
        for number, line in enumerate(box.lines, start=1):
            baseline = box.y + PADDING_PX + LINE_PX * number - LINE_PX / 4
            ET.SubElement(text, "tspan", {"x": f"{box.x + PADDING_PX:g}", "y": f"{baseline:g}"}).text = line
    return ET.tostring(svg, encoding="unicode", xml_declaration=True)
