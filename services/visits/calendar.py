"""How a subject's schedule stands on a day: the rows of the read model put to the pure rules of `schedule`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from services.visits.projections import Collected, Kind, Performed, Subject
from services.visits.schedule import (
    Course,
    Done,
    InfusionGiven,
    ItemState,
    anchor_on,
    plan,
    started_late,
    states,
    symptom_item,
)
from services.visits.subject import FIRST, SECOND
from shared.protocol import Anchor, Protocol


class Start(NamedTuple):
    """Day 0, and whether treatment began later after randomization than the protocol allows."""

    day_0: date
    is_late: bool


@dataclass(frozen=True)
class Calendar:
    """What the read model knows of a randomized subject, and the protocol that it is followed under."""

    protocol: Protocol
    subject: Subject
    arm: str
    randomized_at: datetime
    performed: Sequence[Performed]
    collected: Sequence[Collected]

    def start(self) -> Start:
        """When the schedule begins: with treatment, and until then with randomization."""
        began_at: dict[Anchor, list[datetime]] = {
            "first-infusion": [row.at for row in self._of(Kind.INFUSION) if row.which == str(FIRST)],
            "first-csa-dose": [row.at for row in self._of(Kind.CICLOSPORIN)],
        }
        milestones = {name: self._on(min(instants)) for name, instants in began_at.items() if instants}
        randomized_on = self._on(self.randomized_at)
        day_0 = anchor_on(self.protocol, self.arm, milestones | {"randomization": randomized_on}) or randomized_on
        return Start(day_0, started_late(self.protocol, randomized_on, day_0))

    def states(self, as_of: date) -> tuple[ItemState, ...]:
        """Every item as of a day, past or future, by nominal day."""
        exit_on = self._exit_on()
        left_on = None if self.subject.died_at else exit_on
        items = plan(
            self.protocol,
            self.arm,
            self.subject.site,
            self.start().day_0,
            infusions=[
                InfusionGiven(int(row.which), row.at) for row in self._of(Kind.INFUSION) if self._on(row.at) <= as_of
            ],
            early_termination_on=left_on if left_on and left_on <= as_of else None,
        )
        course = Course(
            exit_on=exit_on,
            treatment_ended_on=self._on_if(self.subject.withdrawn_from_treatment_at),
            conditions=self._conditions(as_of),
        )
        return states(items, [*self._done_by_staff(), *self._done_by_laboratory(left_on)], as_of, course)

    def _exit_on(self) -> date | None:
        exits = (self.subject.withdrawn_from_study_at, self.subject.died_at)
        return min((self._on(at) for at in exits if at is not None), default=None)

    def _conditions(self, as_of: date) -> dict[str, bool]:
        """What has been decided by that day about items that hang on a condition."""
        decided, decided_at = self.subject.may_have_second_dose, self.subject.second_dose_decided_at
        rule = self.protocol.second_dose
        if rule is None or decided is None or decided_at is None or self._on(decided_at) > as_of:
            return {}
        condition = self.protocol.schedule.activity_of(rule.item).condition
        return {condition: decided} if condition else {}

    def _done_by_staff(self) -> Iterator[Done]:
        for row in self.performed:
            code = self._item_of(row)
            if code is not None:
                yield Done(row.kind, self._on(row.at), row.position, code)

    def _item_of(self, row: Performed) -> str | None:
        """The item that a record says it is of."""
        match row.kind:
            case Kind.SYMPTOMS:
                return symptom_item(self.protocol, self.arm, int(row.which))
            case Kind.EVALUATION:
                items = {each.timepoint: each.item for each in self.protocol.response.evaluations}
                return items.get(row.which)
            case Kind.SAFETY_LOOK:
                return row.which
            case Kind.INFUSION if row.which == str(SECOND) and self.protocol.second_dose:
                return self.protocol.second_dose.item
            case _:
                return None

    def _done_by_laboratory(self, left_on: date | None) -> Iterator[Done]:
        """An activity was done on a day on which any of its analytes was collected.

        Whether all of them were measured is a matter of the results. A blood count after the exit is that of the early
        termination.
        """
        for activity in {activity.activity: activity for activity in self.protocol.activities_for(self.arm)}.values():
            positions: dict[date, int] = {}
            for row in self.collected:
                if row.stands and row.analyte in activity.analytes:
                    on = self._on(row.at)
                    positions[on] = min(row.position, positions.get(on, row.position))
            for on, position in positions.items():
                yield Done(activity.activity, on, position)
                if activity.activity == "blood-count" and left_on is not None and on >= left_on:
                    yield Done("early-termination", on, position)

    def _of(self, kind: Kind) -> Iterator[Performed]:
        return (row for row in self.performed if row.kind == kind)

    def _on(self, at: datetime) -> date:
        return self.protocol.civil_date(at, self.subject.site)

    def _on_if(self, at: datetime | None) -> date | None:
        return None if at is None else self._on(at)
