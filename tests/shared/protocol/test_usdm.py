"""USDM 4.0: a schedule that goes out comes back the same, keeps the standard's rules, and takes in nothing by guess.

The rules are those of the standard's conformance rules (DDF…), as far as they concern a schedule.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.protocol import Protocol, Schedule, load_protocol
from shared.protocol.usdm import UsdmImportError, as_toml, import_schedule, study_definition

OWN = load_protocol()
ANOTHER = load_protocol(Path(__file__).with_name("three-arms-2.1.toml"))
BOTH = pytest.mark.parametrize("protocol", [OWN, ANOTHER], ids=["the trial's", "another's"])


@cache
def exported(protocol_id: str) -> str:
    protocol = {"NCT01129739": OWN, "OTHER-1": ANOTHER}[protocol_id]
    return written(protocol)


def written(protocol: Protocol) -> str:
    return study_definition(protocol).model_dump_json(exclude_none=True)


def document(protocol: Protocol) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(exported(protocol.study_id))
    return read


def design_of(definition: dict[str, Any]) -> dict[str, Any]:
    design: dict[str, Any] = definition["study"]["versions"][0]["studyDesigns"][0]
    return design


def instances(value: Any) -> Iterator[dict[str, Any]]:
    """Every instance of a class in a document."""
    match value:
        case dict():
            if "instanceType" in value:
                yield value
            for each in value.values():
                yield from instances(each)
        case list():
            for each in value:
                yield from instances(each)


def items(schedule: Schedule) -> dict[str, list[tuple[object, ...]]]:
    """What a schedule says of each item, in its order, for each origin."""
    said: dict[str, list[tuple[object, ...]]] = {}
    for row in schedule.activities:
        of_row = (row.activity, row.arms, row.unit, row.window, row.condition, row.on_treatment, row.analytes)
        for code, offset in zip(row.codes, row.offsets, strict=True):
            said.setdefault(row.origin, []).append((code, offset, *of_row))
    return said


@BOTH
def test_what_goes_out_comes_back_the_same(protocol: Protocol) -> None:
    imported = import_schedule(exported(protocol.study_id))

    by_origin = sorted(
        protocol.schedule.activities, key=lambda row: ("day-0", "each-infusion", "exit").index(row.origin)
    )
    assert imported.arms == protocol.arms
    assert imported.schedule == protocol.schedule.model_copy(update={"activities": tuple(by_origin)})
    assert written(protocol) == exported(protocol.study_id)


@BOTH
def test_what_came_back_is_written_as_toml(protocol: Protocol) -> None:
    imported = import_schedule(exported(protocol.study_id))
    read = tomllib.loads(as_toml(imported), parse_float=Decimal)

    assert Schedule.model_validate(read["schedule"]) == imported.schedule
    assert [arm["code"] for arm in read["arms"]] == list(protocol.arm_codes)


def with_rows(rows: list[dict[str, Any]]) -> Protocol | None:
    """The trial's protocol with these rows beside its own; None where they are no schedule."""
    own = OWN.model_dump()
    own["schedule"]["activities"] = [*own["schedule"]["activities"], *rows]
    try:
        return Protocol.model_validate(own)
    except ValidationError:
        return None


PREFIXES = st.sampled_from(["A", "X1", "X0", "Q9Z", "A0000000"])
ROWS = st.fixed_dictionaries(
    {
        "prefix": PREFIXES,
        "activity": st.sampled_from(["symptoms", "blood-count", "screening", "anchor", "x"]),
        "arms": st.sampled_from([["MSC"], ["CSA"], ["MSC", "CSA"], ["CSA", "MSC"]]),
        "origin": st.sampled_from(["day-0", "day-0", "each-infusion", "exit"]),
        "unit": st.sampled_from(["hours", "days", "weeks", "months"]),
        "at": st.lists(st.integers(0, 400), min_size=1, max_size=4, unique=True).map(sorted),
        "window": st.fixed_dictionaries({"before": st.integers(0, 9), "after": st.integers(0, 9)}),
        "numbered_from": st.none() | st.integers(0, 20),
        "condition": st.none() | st.sampled_from(["second-dose-eligible", "c"]),
        "on_treatment": st.booleans(),
        "analytes": st.sampled_from([[], ["HGB"], ["PLT", "HGB"]]),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=4))
def test_any_schedule_comes_back_item_by_item(rows: list[dict[str, Any]]) -> None:
    protocol = with_rows(rows)
    if protocol is None:
        return
    definition = written(protocol)

    assert items(import_schedule(definition).schedule) == items(protocol.schedule)
    ids = Counter(each["id"] for each in instances(json.loads(definition)) if "id" in each)
    assert set(ids.values()) == {1}


@BOTH
def test_every_reference_leads_to_an_instance(protocol: Protocol) -> None:
    definition = document(protocol)
    known = {each["id"] for each in instances(definition)}
    referred = {
        id_
        for each in instances(definition)
        for name, value in each.items()
        if re.search(r"Ids?$", name)
        for id_ in (value if isinstance(value, list) else [value])
    }

    assert referred <= known
    assert not any(" " in id_ for id_ in known), "DDF00260"


@BOTH
def test_names_are_unique_among_the_instances_of_a_class_in_one_place(protocol: Protocol) -> None:
    """DDF00011."""
    for each in instances(document(protocol)):
        for value in each.values():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                names = [(child["instanceType"], child["name"]) for child in value if "name" in child]
                assert len(names) == len(set(names))


@BOTH
def test_arms_and_epochs_cross_in_one_cell_each(protocol: Protocol) -> None:
    """DDF00069, DDF00070, DDF00041."""
    design = design_of(document(protocol))
    cells = [(cell["armId"], cell["epochId"]) for cell in design["studyCells"]]

    assert sorted(cells) == sorted((arm["id"], epoch["id"]) for arm in design["arms"] for epoch in design["epochs"])
    undergone = {element for cell in design["studyCells"] for element in cell["elementIds"]}
    assert undergone == {element["id"] for element in design["elements"]}


@BOTH
def test_each_timeline_has_an_anchor_and_leads_to_its_exit_or_on(protocol: Protocol) -> None:
    """DDF00012, DDF00009, DDF00010, DDF00006, DDF00039, DDF00065."""
    timelines = design_of(document(protocol))["scheduleTimelines"]

    assert [timeline["mainTimeline"] for timeline in timelines] == [True] + [False] * (len(timelines) - 1)
    for timeline in timelines:
        assert sum(timing["type"]["code"] == "C201358" for timing in timeline["timings"]) == 1
        for instance in timeline["instances"]:
            if instance["instanceType"] == "ScheduledDecisionInstance":
                assert "defaultConditionId" in instance
                assert "timelineExitId" not in instance
            else:
                assert ("defaultConditionId" in instance) != ("timelineExitId" in instance)
        for timing in timeline["timings"]:
            assert len({"windowLower", "windowUpper", "windowLabel"} & set(timing)) in {0, 3}


@BOTH
def test_a_timeline_visits_each_item_once_in_the_order_of_time(protocol: Protocol) -> None:
    main = design_of(document(protocol))["scheduleTimelines"][0]
    known = {instance["id"]: instance for instance in main["instances"]}
    visited, at = [], main["entryId"]
    while at is not None:
        instance = known[at]
        if instance["instanceType"] == "ScheduledDecisionInstance":
            at = instance["conditionAssignments"][0]["conditionTargetId"]
            assert known[at]["defaultConditionId"] == instance["defaultConditionId"], "passed by, it goes on alike"
        else:
            visited.append(instance["name"])
            at = instance.get("defaultConditionId")

    assert visited[:2] == ["SCREENING", "DAY-0"]
    days = [protocol.schedule.days_of(code).nominal for code in visited[2:]]
    assert days == sorted(days)
    assert len(days) == sum(len(row.codes) for row in protocol.schedule.activities if row.origin == "day-0")


def test_the_schedule_is_said_in_the_standards_words() -> None:
    design = design_of(document(OWN))
    main, infusion, exit_ = design["scheduleTimelines"]
    timing = {each["name"]: each for timeline in (main, infusion, exit_) for each in timeline["timings"]}

    assert [arm["name"] for arm in design["arms"]] == ["MSC", "CSA"]
    assert (timing["C3"]["value"], timing["C3"]["valueLabel"]) == ("P91D", "3 months")
    assert (timing["C3"]["windowLower"], timing["C3"]["windowUpper"]) == ("P7D", "P7D")
    assert (timing["W52"]["value"], timing["INF2"]["windowUpper"]) == ("P52W", "P28D")
    assert (timing["S6H"]["value"], timing["S6H"]["windowLower"]) == ("PT6H", "PT1H")
    assert (timing["SCREENING"]["value"], timing["SCREENING"]["windowLower"]) == ("P1D", "P27D")
    together = {i["encounterId"] for i in main["instances"] if i["name"] in {"C3", "B3", "T3", "E3", "W13", "CR7"}}
    assert len(together) == 1, "what is due on one day shares a visit"


def main_of(definition: dict[str, Any]) -> dict[str, Any]:
    timeline: dict[str, Any] = design_of(definition)["scheduleTimelines"][0]
    return timeline


def timing_of(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda definition: next(each for each in main_of(definition)["timings"] if each["name"] == name)


def instance_of(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda definition: next(each for each in main_of(definition)["instances"] if each["name"] == name)


@pytest.mark.parametrize(
    ("at", "name", "value", "refusal"),
    [
        (timing_of("C3"), "value", "P3M", r"Timing 'C3' .*'P3M' is no duration in whole days, weeks or hours"),
        (timing_of("C3"), "value", "P90D", r"Timing 'C3' .*3 months are day 91 of the schedule, not day 90"),
        (timing_of("C3"), "windowLower", "PT2H", r"Timing 'C3' .*window of 'PT2H'"),
        (timing_of("C3"), "relativeToScheduledInstanceId", "nowhere", "Instance 'C3' .*is not timed from the anchor"),
        (lambda d: timing_of("C3")(d)["type"], "code", "C201357", "Timing 'C3' .*only a time after the anchor"),
        (lambda d: timing_of("C3")(d)["relativeToFrom"], "code", "C201352", "Timing 'C3' .*from start to start"),
        (instance_of("C3"), "activityIds", ["Activity_1", "Activity_2"], "Instance 'C3' .*one activity"),
        (instance_of("C3"), "timelineId", "ScheduleTimeline_2", "Instance 'C3' .*without a timeline of its own"),
        (instance_of("C3"), "name", "Month 3", "prefix"),
        (lambda d: design_of(d)["arms"][0], "extensionAttributes", [], "StudyArm 'MSC' .*urn:marrow:usdm:ratio"),
        (main_of, "extensionAttributes", [], "ScheduleTimeline 'day-0' .*urn:marrow:usdm:month_rule"),
        (main_of, "mainTimeline", False, "0 main timelines"),
        (
            lambda d: design_of(d)["scheduleTimelines"][1],
            "name",
            "relapse",
            "ScheduleTimeline 'relapse' .*counted from",
        ),
        (lambda d: d["study"]["versions"][0]["conditions"][0], "extensionAttributes", [], "Condition 'arms MSC'"),
        (
            lambda d: instance_of("INF2-DECISION")(d)["conditionAssignments"][0],
            "condition",
            "If the subject responds",
            "ScheduledDecisionInstance 'INF2-DECISION' .*no code in kebab case",
        ),
        (lambda d: d["study"]["versions"][0]["conditions"][0], "contextIds", ["Activity_1"], "Condition 'arms MSC'"),
        (lambda d: timing_of("C3")(d)["type"], "code", "C201358", "ScheduleTimeline 'day-0' .*has one anchor"),
        (
            lambda d: design_of(d)["activities"][0],
            "timelineId",
            "ScheduleTimeline_2",
            "Activity 'symptoms' .*no timeline",
        ),
        (lambda d: d, "usdmVersion", "3.0.0", "USDM version 3.0.0"),
        (lambda d: d["study"], "versions", [], "Study 'NCT01129739'"),
        (timing_of("C3"), "type", None, "study.versions.0"),
    ],
)
def test_what_a_protocol_document_cannot_say_is_refused_by_name(at: Any, name: str, value: Any, refusal: str) -> None:
    definition = document(OWN)
    at(definition)[name] = value

    with pytest.raises(UsdmImportError, match=refusal):
        import_schedule(json.dumps(definition))


def test_all_that_is_refused_is_told_at_once() -> None:
    definition = document(OWN)
    timing_of("C3")(definition)["value"] = "P3M"
    timing_of("W1")(definition)["value"] = "P0.5W"

    with pytest.raises(UsdmImportError) as refused:
        import_schedule(json.dumps(definition))

    assert [told.split(" (")[0] for told in refused.value.refused] == ["Timing 'W1'", "Timing 'C3'"]


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(UsdmImportError, match="EOF while parsing"):
        import_schedule("{")


def test_what_stands_beside_the_schedule_is_left_out() -> None:
    definition = document(OWN)
    design_of(definition)["objectives"] = [{"id": "Objective_1", "instanceType": "Objective"}]
    definition["study"]["documentedBy"] = [{"whatever": 1}]

    assert import_schedule(json.dumps(definition)) == import_schedule(exported("NCT01129739"))
