"""How a subject's schedule stands on a day: what is known of it put to the rules of `schedule` and `item_state`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.visits.followed import Deed, Kind, Specimen, Standing
from services.visits.item_state import Course, Done, ItemState, Miss, match, states
from services.visits.replanning import Plan, replanned
from services.visits.schedule import InfusionGiven, PlannedItem, anchor_on, plan, started_late, symptom_item
from services.visits.subject import FIRST, SECOND
from shared.protocol import Anchor, Protocol, Protocols
from shared.protocol.versions import Entry, Followed, Signed, followed_on


class Start(NamedTuple):
    """Day 0, whether treatment began later after randomization than allowed, and where its beginning was recorded.

    The position is None while treatment has not begun.
    """

    day_0: date
    is_late: bool
    position: int | None


@dataclass(frozen=True)
class Calendar:
    """What is known of a randomized subject, and the versions of the protocol."""

    protocols: Protocols
    standing: Standing
    arm: str
    randomized_at: datetime
    deeds: Sequence[Deed] = ()
    specimens: Sequence[Specimen] = ()
    misses: Sequence[Miss] = ()
    signed: Sequence[Signed] = ()

    @classmethod
    def of(
        cls,
        protocols: Protocols,
        standing: Standing | None,
        deeds: Iterable[Deed],
        specimens: Iterable[Specimen],
        misses: Iterable[Miss],
        signed: Iterable[Signed] = (),
    ) -> Calendar | None:
        """The calendar of a subject; None for one that is not randomized."""
        if standing is None or standing.arm is None or standing.randomized_at is None:
            return None
        known = tuple(deeds), tuple(specimens), tuple(misses), tuple(signed)
        return cls(protocols, standing, standing.arm, standing.randomized_at, *known)

    @cached_property
    def followed(self) -> tuple[Followed, ...]:
        """The versions that the subject has followed and follows, in the order in which it moved to them."""
        entry = Entry(self.standing.screened_at, tuple(self.signed))
        return self.protocols.followed(self.standing.site, entry)

    def protocol_on(self, day: date) -> Protocol:
        """What the version says that the subject follows on a day. Raises VERSION_UNREADABLE."""
        return followed_on(self.followed, day).protocol

    @cached_property
    def protocol(self) -> Protocol:
        """What the version says that the subject moved to last."""
        return self.followed[-1].protocol

    @cached_property
    def start(self) -> Start:
        """When the schedule begins: with treatment, and until then with randomization."""
        began: dict[Anchor, list[tuple[datetime, int]]] = {
            "first-infusion": [
                (deed.at, deed.position) for deed in self._of(Kind.INFUSION) if deed.which == str(FIRST)
            ],
            "first-csa-dose": [(deed.at, deed.position) for deed in self._of(Kind.CICLOSPORIN)],
        }
        milestones = {name: self._on(min(each)[0]) for name, each in began.items() if each}
        randomized_on = self._on(self.randomized_at)
        day_0 = anchor_on(self.protocol, self.arm, milestones | {"randomization": randomized_on}) or randomized_on
        beginning = min(began.get(self.protocol.arm(self.arm).anchor, ()), default=None)
        return Start(
            day_0, started_late(self.protocol, randomized_on, day_0), None if beginning is None else beginning[1]
        )

    def states(self, as_of: date) -> tuple[ItemState, ...]:
        """Every item as of a day, past or future, by nominal day; misses that were recorded later are not known yet."""
        return self._states(as_of, [miss for miss in self.misses if self._on(miss.recorded_at) <= as_of])

    def _states(self, as_of: date, misses: Sequence[Miss]) -> tuple[ItemState, ...]:
        course = Course(
            exit_on=min((day for day in (self._withdrew_on, self._died_on) if day is not None), default=None),
            died_on=self._died_on,
            treatment_ended_on=self._on_if(self.standing.withdrawn_from_treatment_at),
            conditions=self.conditions(as_of),
            misses=misses,
        )
        return states(self._plan(as_of), self._done, as_of, course)

    def unscheduled(self, as_of: date) -> tuple[Done, ...]:
        """What was collected by a day and no item claims, by date.

        A record that names its item is of that item, also where another has done it. A blood count that was the one of
        the visit for an exit is none of these either.
        """
        activities = self.protocol_on(as_of).activities_for(self.arm)
        exits = {each.activity: set(each.analytes) for each in activities if each.origin == "exit"}
        matching = match(self._plan(as_of), (record for record in self._done if record.done_on <= as_of))
        of_exit = {
            (each.activity, record.done_on)
            for record in matching.by_code.values()
            for each in activities
            if record.activity in exits and exits[record.activity].issuperset(each.analytes)
        }
        return tuple(
            record
            for record in matching.unscheduled
            if record.code is None and record.activity not in exits and (record.activity, record.done_on) not in of_exit
        )

    def newly_missed(self, today: date) -> list[ItemState]:
        """The items that are missed, as of today, and whose miss has not been recorded, by whatever clock."""
        found = self._states(today, self.misses)
        return [each for each in found if each.state == "missed" and not each.miss_is_recorded]

    def revised_by(self, item: ItemState) -> int:
        """The position of the last event that may have changed how an item looks: it only ever grows."""
        facts = [self.standing.replanned_by, self.start.position, item.position]
        facts += [item.miss.position] if item.miss else []
        facts += [each.position for each in self.followed]
        return max(position for position in facts if position is not None)

    def conditions(self, as_of: date) -> dict[str, bool]:
        """What has been decided by that day about items that hang on a condition."""
        decided, decided_at = self.standing.may_have_second_dose, self.standing.second_dose_decided_at
        rule = self.protocol_on(as_of).second_dose
        if rule is None or decided is None or decided_at is None or self._on(decided_at) > as_of:
            return {}
        condition = self.protocol.schedule.activity_of(rule.item).condition
        return {condition: decided} if condition else {}

    def _plan(self, as_of: date) -> tuple[PlannedItem, ...]:
        """The items as of a day, under all versions that the subject had moved to by then."""
        moved = [each for each in self.followed if each.since is None or each.since <= as_of]
        ends = [each.since for each in moved[1:]]
        plans = [self._plan_under(each, as_of, until) for each, until in zip(moved, [*ends, None], strict=True)]
        return replanned(plans, self._done if ends else ())

    def _plan_under(self, followed: Followed, as_of: date, until: date | None) -> Plan:
        """What a version plans, of which the subject knew as of a day; what came after another move, is that one's."""

        def falls(day: date) -> bool:
            return day <= as_of and (until is None or day < until)

        left_on = self._left_on
        items = plan(
            followed.protocol,
            self.arm,
            self.standing.site,
            self.start.day_0,
            infusions=[
                InfusionGiven(int(deed.which), deed.at) for deed in self._of(Kind.INFUSION) if falls(self._on(deed.at))
            ],
            early_termination_on=left_on if left_on is not None and falls(left_on) else None,
        )
        return Plan(followed.since, items)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return self.protocols.zone(self.standing.site)

    @property
    def _withdrew_on(self) -> date | None:
        return self._on_if(self.standing.withdrawn_from_study_at)

    @property
    def _died_on(self) -> date | None:
        return self._on_if(self.standing.died_at)

    @property
    def _left_on(self) -> date | None:
        """When the subject left alive."""
        withdrew_on, died_on = self._withdrew_on, self._died_on
        return None if withdrew_on is None or (died_on is not None and died_on <= withdrew_on) else withdrew_on

    @cached_property
    def _done(self) -> list[Done]:
        return [*self._done_by_staff(), *self._done_by_laboratory()]

    def _done_by_staff(self) -> Iterator[Done]:
        for deed in self.deeds:
            code = self._item_of(deed)
            if code is not None:
                yield Done(deed.kind, self._on(deed.at), deed.position, code)

    def _item_of(self, deed: Deed) -> str | None:
        """The item that a record says it is of, by the version that was followed on its day."""
        protocol = self.protocol_on(self._on(deed.at))
        match deed.kind:
            case Kind.SYMPTOMS:
                return symptom_item(protocol, self.arm, int(deed.which))
            case Kind.EVALUATION:
                items = {each.timepoint: each.item for each in protocol.response.evaluations}
                return items.get(deed.which)
            case Kind.SAFETY_LOOK:
                return deed.which
            case Kind.INFUSION if deed.which == str(SECOND) and protocol.second_dose:
                return protocol.second_dose.item
            case _:
                return None

    def _done_by_laboratory(self) -> Iterator[Done]:
        """An activity was done on a day on which any of its analytes was collected, by the version followed then.

        Whether all of them were measured is a matter of the results. What is done at an exit is done from that day on.
        """
        collected = [(specimen, self._on(specimen.at)) for specimen in self.specimens if specimen.stands]
        for number, followed in enumerate(self.followed):
            later = self.followed[number + 1].since if number + 1 < len(self.followed) else None
            within = [
                (specimen, on)
                for specimen, on in collected
                if (followed.since is None or followed.since <= on) and (later is None or on < later)
            ]
            if within:
                yield from self._done_under(followed.protocol, within)

    def _done_under(self, protocol: Protocol, collected: Sequence[tuple[Specimen, date]]) -> Iterator[Done]:
        left_on = self._left_on
        for activity in {activity.activity: activity for activity in protocol.activities_for(self.arm)}.values():
            positions: dict[date, int] = {}
            for specimen, on in collected:
                is_of_its_time = activity.origin != "exit" or (left_on is not None and on >= left_on)
                if specimen.analyte in activity.analytes and is_of_its_time:
                    positions[on] = min(specimen.position, positions.get(on, specimen.position))
            for on, position in positions.items():
                yield Done(activity.activity, on, position)

    def _of(self, kind: Kind) -> Iterator[Deed]:
        return (deed for deed in self.deeds if deed.kind == kind)

    def _on(self, at: datetime) -> date:
        return at.astimezone(self._zone).date()

    def _on_if(self, at: datetime | None) -> date | None:
        return None if at is None else self._on(at)
