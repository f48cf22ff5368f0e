"""What a site has to do now: what is due or overdue by the schedule, and what waits for a judgement.

Each kind of task is found by a function of its own from what is known of one subject; a new kind is one more
in FINDERS.
What can still be done in time or was asked for comes first, by its last day, then visits whose window has closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.visits.answers_views import Task, TaskKind
from services.visits.events import ReportKind
from services.visits.item_state import ItemState
from services.visits.second_dose import EvaluationMade, SecondDoseFacts, decide_second_dose
from shared.protocol import Protocol

DUE, OVERDUE = "due", "missed"


@dataclass(frozen=True, slots=True)
class OpenReport:
    """A safety report that is to be handed in by a day, and where its clock was started."""

    report: ReportKind
    from_on: date
    due_on: date
    position: int


@dataclass(frozen=True, slots=True)
class OpenAdvice:
    """What a result calls for that nobody has acted on yet: a dose to be reviewed, or an analyte to be repeated."""

    analyte: str
    from_on: date
    due_on: date
    position: int


@dataclass(frozen=True, slots=True)
class Dossier:
    """What is known of a subject on a day at its site: its items, its evaluations by timepoint, its second dose, …

    `has_left`: it has died or has left the study. `reports` and `advice` are open.
    """

    subject: str
    day_0: date
    on: date
    items: Sequence[ItemState]
    evaluations: Mapping[str, EvaluationMade]
    second_dose: SecondDoseFacts
    has_left: bool = False
    reports: Sequence[OpenReport] = ()
    advice: Sequence[OpenAdvice] = ()


def worklist(protocol: Protocol, dossiers: Iterable[Dossier]) -> list[Task]:
    """The tasks of some subjects, the most urgent first."""
    tasks = (task for dossier in dossiers for find in FINDERS for task in find(protocol, dossier))
    return sorted(tasks, key=lambda task: task.cursor)


def page_after(tasks: Sequence[Task], after: str | None, limit: int) -> tuple[tuple[Task, ...], str | None]:
    """Those after a cursor, at most `limit`, and the cursor of the next page, if there is one."""
    rest = [task for task in tasks if after is None or task.cursor > after]
    return tuple(rest[:limit]), rest[limit - 1].cursor if len(rest) > limit else None


def visits(_protocol: Protocol, dossier: Dossier) -> Iterator[Task]:
    """What is due or overdue by the schedule; items of one nominal day that stand alike are one visit."""
    days: dict[tuple[date, str], list[ItemState]] = {}
    for state in dossier.items:
        if state.state in {DUE, OVERDUE}:
            days.setdefault((state.item.nominal_on, state.state), []).append(state)
    for (_, standing), states in days.items():
        yield Task(
            subject=dossier.subject,
            kind="visit-missed" if standing == OVERDUE else "visit",
            items=tuple(state.item.code for state in states),
            due_from=max(state.item.window.opens_on for state in states),
            due_by=min(state.item.window.closes_on for state in states),
            overdue=standing == OVERDUE,
            position=None,
        )


def evaluations(protocol: Protocol, dossier: Dossier) -> Iterator[Task]:
    """Evaluations that hold no longer, that no investigator has signed, or that later counts may confirm.

    One that is outdated has to be made again, whatever else is to be said of it. Who has left is judged no more.
    """
    if dossier.has_left:
        return
    for planned in protocol.response.evaluations:
        made = dossier.evaluations.get(planned.timepoint)
        if made is None:
            continue  # it is an item of a visit
        if made.outdated_by is not None:
            yield _task(protocol, dossier, "evaluation-outdated", planned.item, made.outdated_by)
        elif not made.signed:
            yield _task(protocol, dossier, "evaluation-unsigned", planned.item, made.position)
        elif _is_provisional(made):
            yield _task(protocol, dossier, "evaluation-provisional", planned.item, made.position)


def _is_provisional(made: EvaluationMade) -> bool:
    """Whether later counts may still make a response of it: a lineage is provisional, and none is confirmed."""
    statuses = set(made.lineages.values())
    return "provisional" in statuses and "confirmed" not in statuses and not made.progression


def second_dose(protocol: Protocol, dossier: Dossier) -> Iterator[Task]:
    """A second infusion that nothing decides yet, from the day on which it could be given to the last one."""
    rule, facts = protocol.second_dose, dossier.second_dose
    if rule is None or facts.first_infusion is None:
        return
    if decide_second_dose(rule, facts).state == "pending":
        made = facts.evaluation
        task = _task(protocol, dossier, "second-dose-pending", rule.item, None if made is None else made.position)
        if task.due_from <= dossier.on <= task.due_by:
            yield task


def _task(protocol: Protocol, dossier: Dossier, kind: TaskKind, item: str, position: int | None) -> Task:
    """Something about an item of the schedule, until the item's window closes."""
    days = protocol.schedule.days_of(item)
    due_by = dossier.day_0 + timedelta(days=days.closes)
    return Task(
        subject=dossier.subject,
        kind=kind,
        items=(item,),
        due_from=dossier.day_0 + timedelta(days=days.opens),
        due_by=due_by,
        overdue=dossier.on > due_by,
        position=position,
    )


def reports(_protocol: Protocol, dossier: Dossier) -> Iterator[Task]:
    """Safety reports whose clocks run, also of who has left."""
    for each in dossier.reports:
        yield _until(dossier, "safety-report", each.report, each.from_on, each.due_on, each.position)


def advice(_protocol: Protocol, dossier: Dossier) -> Iterator[Task]:
    """What results under ciclosporin call for. Who has left is treated no more."""
    for each in () if dossier.has_left else dossier.advice:
        yield _until(dossier, "ciclosporin-advice", each.analyte, each.from_on, each.due_on, each.position)


def _until(dossier: Dossier, kind: TaskKind, about: str, due_from: date, due_by: date, position: int) -> Task:
    return Task(
        subject=dossier.subject,
        kind=kind,
        items=(about,),
        due_from=due_from,
        due_by=due_by,
        overdue=dossier.on > due_by,
        position=position,
    )


Find = Callable[[Protocol, Dossier], Iterator[Task]]

FINDERS: tuple[Find, ...] = (visits, evaluations, second_dose, reports, advice)
