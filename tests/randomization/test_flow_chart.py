"""The chart of the CONSORT flow: every number of the flow stands in it, once, and no box hides another."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from services.randomization.answers import ArmFlow, Flow
from services.randomization.flow_chart import draw

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.integers(0, 10_000)
COUNTS = ("allocated", "received", "not_received", "lost_to_follow_up", "discontinued", "analysed")
ARM_FLOWS = st.builds(ArmFlow, **dict.fromkeys(COUNTS, NUMBERS), errors=st.just({}))
FLOWS = st.builds(
    Flow,
    assessed=NUMBERS,
    rescreened=NUMBERS,
    excluded=st.dictionaries(st.sampled_from(["age", "hiv", "ecog <&>", "withdrawn-before-randomization"]), NUMBERS),
    randomized=NUMBERS,
    arms=st.dictionaries(st.sampled_from(["MSC", "CSA", "BSC", "PLACEBO"]), ARM_FLOWS, max_size=4),
)


def lines(svg: str) -> list[str]:
    return [(span.text or "").strip() for span in ET.fromstring(svg).iter(f"{SVG}tspan")]


def test_a_flow_is_read_from_above_to_below() -> None:
    msc = dict(zip(COUNTS, (2, 1, 1, 0, 1, 1), strict=True))
    csa = dict(zip(COUNTS, (1, 1, 0, 1, 0, 1), strict=True))
    arms = {"MSC": ArmFlow(**msc, errors={}), "CSA": ArmFlow(**csa, errors={})}
    flow = Flow(assessed=5, rescreened=0, excluded={"hiv": 1, "age": 1}, randomized=3, arms=arms)
    assert lines(draw(flow)) == [
        "Assessed for eligibility (n = 5)",
        "Excluded (n = 2)",
        "age (n = 1)",
        "hiv (n = 1)",
        "Randomized (n = 3)",
        "Allocated to MSC (n = 2)",
        "received it (n = 1)",
        "did not receive it (n = 1)",
        "Lost to follow-up (n = 0)",
        "Discontinued (n = 1)",
        "Analysed (n = 1)",
        "Allocated to CSA (n = 1)",
        "received it (n = 1)",
        "did not receive it (n = 0)",
        "Lost to follow-up (n = 1)",
        "Discontinued (n = 0)",
        "Analysed (n = 1)",
    ]


@given(FLOWS)
def test_every_number_stands_in_the_chart(flow: Flow) -> None:
    drawn = Counter(int(number) for line in lines(draw(flow)) for number in re.findall(r"\(n = (\d+)\)", line))
    members = [flow.assessed, sum(flow.excluded.values()), flow.randomized, *flow.excluded.values()]
    for arm in flow.arms.values():
        members += arm.model_dump(include=set(COUNTS)).values()
    assert drawn == Counter(members)


@given(FLOWS)
def test_no_box_lies_on_another_or_outside_of_the_chart(flow: Flow) -> None:
    svg = ET.fromstring(draw(flow))
    width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
    boxes = [tuple(float(box.attrib[name]) for name in ("x", "y", "width", "height")) for box in svg.iter(f"{SVG}rect")]
    for number, (x, y, wide, high) in enumerate(boxes):
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
        for other_x, other_y, other_wide, other_high in boxes[:number]:
            beside = x + wide <= other_x or other_x + other_wide <= x
            assert beside or y + high <= other_y or other_y + other_high <= y
