"""A site's work list: what is due or overdue, what waits for a judgement, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from services.visits.answers_views import Task
from services.visits.events import LineageStatus
from services.visits.evidence import Finding
from services.visits.item_state import Done, states
from services.visits.schedule import plan
from services.visits.second_dose import AdverseEventSeen, EvaluationMade, SecondDoseFacts
from services.visits.worklist import Dossier, OpenAdvice, OpenReport, page_after, worklist
from tests.visits.examples import PROTOCOL, S

DAY_0 = date(2026, 1, 1)


def on(day: int) -> date:
    return DAY_0 + timedelta(days=day)


def made(hi_e: LineageStatus = "confirmed", *, signed: bool = True, outdated_by: int | None = None) -> EvaluationMade:
    return EvaluationMade(
        7, (), {"HI-E": hi_e, "HI-P": "not-evaluable"}, progression=False, signed=signed, outdated_by=outdated_by
    )


def dossier(
    day: int,
    subject: str = S,
    arm: str = "MSC",
    evaluations: Mapping[str, EvaluationMade] | None = None,
    undone: tuple[str, ...] = (),
    **facts: Any,
) -> Dossier:
    """A subject of which everything is done but some items; in the arm of the cells its first infusion stands at 3."""
    items = plan(PROTOCOL, arm, "01", DAY_0)
    done = [Done(item.activity, item.window.opens_on, 5, item.code) for item in items if item.code not in undone]
    known = evaluations or {}
    has_left = facts.pop("has_left", False)
    return Dossier(
        subject=subject,
        day_0=DAY_0,
        on=on(day),
        items=states(items, done, on(day)),
        evaluations=known,
        second_dose=SecondDoseFacts(arm=arm, first_infusion=3, evaluation=known.get("M3"), **facts),
        has_left=has_left,
    )


def told(*dossiers: Dossier) -> list[tuple[str, tuple[str, ...], bool]]:
    return [(task.kind, task.items, task.overdue) for task in worklist(PROTOCOL, dossiers)]


def judged(found: Dossier) -> list[str]:
    return [kind for kind, _, _ in told(found) if not kind.startswith("visit")]


def test_items_of_one_day_that_stand_alike_are_one_visit() -> None:
    found = dossier(100, undone=("C3", "B3", "T3", "E3", "C4"), evaluations={"M3": made()})
    assert told(found) == [("visit", ("B3", "E3"), False), ("visit-missed", ("C3", "T3"), True)]
    second, first = worklist(PROTOCOL, [found])
    assert (first.due_from, first.due_by) == (on(84), on(98))
    assert (second.due_from, second.due_by) == (on(77), on(105))


def test_nothing_to_do_is_an_empty_list() -> None:
    assert told(dossier(100, evaluations={"M3": made()})) == []


@pytest.mark.parametrize(
    ("evaluation", "kind"),
    [
        (made(), None),
        (made("not-met"), None),
        (made("provisional"), "evaluation-provisional"),
        (made(signed=False), "evaluation-unsigned"),
        (made(outdated_by=9), "evaluation-outdated"),
        (made("provisional", signed=False), "evaluation-unsigned"),
        (made(signed=False, outdated_by=9), "evaluation-outdated"),
    ],
)
def test_an_evaluation_is_to_be_made_again_or_signed_or_waited_for(
    evaluation: EvaluationMade, kind: str | None
) -> None:
    found = dossier(200, evaluations={"M3": evaluation})
    assert judged(found) == ([] if kind is None else [kind])


def test_an_outdated_evaluation_names_what_outdated_it() -> None:
    (task,) = worklist(PROTOCOL, [dossier(200, evaluations={"M3": made(outdated_by=9)})])
    assert (task.position, task.items, task.due_by, task.overdue) == (9, ("E3",), on(105), True)


def test_a_second_dose_is_to_be_decided_on_while_its_window_is_open() -> None:
    pending = {"M3": made("provisional")}
    assert "second-dose-pending" not in judged(dossier(90, evaluations=pending))
    assert "second-dose-pending" in judged(dossier(91, evaluations=pending))
    assert "second-dose-pending" in judged(dossier(126, evaluations=pending))
    assert "second-dose-pending" not in judged(dossier(127, evaluations=pending))


def test_a_second_dose_that_is_decided_on_by_rule_is_no_task() -> None:
    assert judged(dossier(100, evaluations={"M3": made()})) == []  # eligible: the infusion itself is due
    assert judged(dossier(100, evaluations={"M3": made("not-met")})) == []
    assert "second-dose-pending" in judged(dossier(100))
    assert judged(dossier(100, second_infusion=8)) == []
    assert judged(dossier(100, arm="CSA")) == []
    barred = AdverseEventSeen(6, grade=3, serious=True, related=True)
    assert judged(dossier(100, adverse_events=(barred,))) == []
    assert judged(dossier(100, left=Finding("left", ()))) == []


def test_who_has_left_is_judged_no_more() -> None:
    evaluations = {"M3": made(outdated_by=9)}
    assert judged(dossier(100, evaluations=evaluations, has_left=True, left=Finding("left", ()))) == []


def test_a_safety_report_is_a_task_until_its_clock_ends_also_of_who_has_left() -> None:
    report = OpenReport("authority", on(90), on(97), 12)
    found = worklist(PROTOCOL, [replace(dossier(98, has_left=True), reports=(report,))])
    assert [(task.kind, task.items, task.overdue, task.position) for task in found if task.kind == "safety-report"] == [
        ("safety-report", ("authority",), True, 12)
    ]


def test_advice_on_ciclosporin_is_a_task_unless_the_subject_has_left() -> None:
    advice = OpenAdvice("CREAT", on(90), on(104), 12)
    assert "ciclosporin-advice" in judged(replace(dossier(98, arm="CSA"), advice=(advice,)))
    assert "ciclosporin-advice" not in judged(replace(dossier(98, arm="CSA", has_left=True), advice=(advice,)))


def test_what_had_to_be_done_first_comes_first_and_pages_hold_everything_once() -> None:
    dossiers = [
        dossier(100, f"01-{number:03}", undone=("W1", "C1", "C3", "E3"), evaluations={"M3": made(signed=False)})
        for number in range(1, 6)
    ]
    tasks = worklist(PROTOCOL, dossiers)
    order = [(task.kind == "visit-missed", task.due_by) for task in tasks]
    assert order == sorted(order)
    assert {task.subject for task in tasks if task.due_by == tasks[0].due_by} == {each.subject for each in dossiers}
    pages: list[Task] = []
    after = None
    while True:
        page, after = page_after(tasks, after, 7)
        pages += page
        if after is None:
            break
    assert pages == tasks
    assert len({task.cursor for task in tasks}) == len(tasks)
