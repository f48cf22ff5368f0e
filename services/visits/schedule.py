"""When each item of a subject's calendar is due: nominal days and windows, from the protocol and the subject's dates.

All dates are civil dates in the site's zone. A plan holds the items of the protocol that every subject has (75
in NCT01129739: W1–W52, C1–C12, B, T and E), those of the arm alone (CR and TR for ciclosporin), those that hang on a
condition (INF2), and those that follow an infusion (S6H-1, S24H-1, D7-1 …) or an exit (ET).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from shared.protocol import Activity, Anchor, Protocol

Ending = Literal["exit", "death", "treatment-end"]
"""An exit is a withdrawal from the study or a death, whichever came first."""


@dataclass(frozen=True, slots=True)
class DateWindow:
    """The first and the last civil date on which an item may be done."""

    opens_on: date
    closes_on: date

    def holds(self, day: date) -> bool:
        """Whether the day lies in the window, its ends included."""
        return self.opens_on <= day <= self.closes_on


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One thing to be done for a subject, on a nominal date, within a window; `ended_by` names what cancels it.

    `version` is that of the protocol that plans it. `replanned_on` is when a later version gave it other dates or made
    it new; `dropped_on`, when a later version had it no more.
    """

    code: str
    activity: str
    nominal_on: date
    window: DateWindow
    condition: str | None = None
    ended_by: tuple[Ending, ...] = ("exit",)
    version: str = ""
    replanned_on: date | None = None
    dropped_on: date | None = None


@dataclass(frozen=True, slots=True)
class InfusionGiven:
    """An infusion that safety looks follow: its dose number and its instant (with an offset)."""

    dose_number: int
    given_at: datetime


def anchor_on(protocol: Protocol, arm: str, milestones: Mapping[Anchor, date]) -> date | None:
    """Day 0 of a subject: the date of the arm's own milestone, else of that which the protocol names instead.

    None before either has happened.
    """
    own = milestones.get(protocol.arm(arm).anchor)
    return own if own is not None else milestones.get(protocol.schedule.anchor_otherwise)


def started_late(protocol: Protocol, randomized_on: date, started_on: date) -> bool:
    """Whether treatment began more days after randomization than the protocol allows: a deviation."""
    return (started_on - randomized_on).days > protocol.schedule.treatment_start_max_days


def plan(
    protocol: Protocol,
    arm: str,
    site: str,
    day_0: date,
    *,
    infusions: Sequence[InfusionGiven] = (),
    early_termination_on: date | None = None,
) -> tuple[PlannedItem, ...]:
    """All items of a subject's calendar, by nominal date; a later infusion adds safety looks and moves nothing else.

    `early_termination_on` is the day on which a living subject left, and adds the visit for that.
    """
    items: list[PlannedItem] = []
    for activity in protocol.activities_for(arm):
        match activity.origin:
            case "day-0":
                items.extend(
                    _from_date(protocol, activity, code, offset, day_0)
                    for code, offset in zip(activity.codes, activity.offsets, strict=True)
                )
            case "each-infusion":
                items.extend(
                    _after_infusion(protocol, activity, offset, site, infusion)
                    for infusion in infusions
                    for offset in activity.offsets
                )
            case "exit":
                if early_termination_on is not None:
                    items.append(_after_exit(protocol, activity, early_termination_on))
    return tuple(sorted(items, key=lambda item: item.nominal_on))


def _from_date(protocol: Protocol, activity: Activity, code: str, offset: int, day_0: date) -> PlannedItem:
    days = protocol.schedule.days_at(activity, offset)
    return PlannedItem(
        code=code,
        activity=activity.activity,
        nominal_on=day_0 + timedelta(days=days.nominal),
        window=DateWindow(day_0 + timedelta(days=days.opens), day_0 + timedelta(days=days.closes)),
        condition=activity.condition,
        ended_by=("exit", "treatment-end") if activity.on_treatment else ("exit",),
        version=protocol.version,
    )


def _after_infusion(
    protocol: Protocol, activity: Activity, offset: int, site: str, infusion: InfusionGiven
) -> PlannedItem:
    code = f"{activity.prefix}-{infusion.dose_number}"
    before, after = activity.window.before, activity.window.after
    if activity.unit == "hours":
        nominal_at = infusion.given_at + timedelta(hours=offset)
        nominal_on = protocol.civil_date(nominal_at, site)
        opens_on = protocol.civil_date(nominal_at - timedelta(hours=before), site)
        closes_on = protocol.civil_date(nominal_at + timedelta(hours=after), site)
    else:
        infused_on = protocol.civil_date(infusion.given_at, site)
        days = protocol.schedule.days_at(activity, offset)
        nominal_on = infused_on + timedelta(days=days.nominal)
        opens_on, closes_on = infused_on + timedelta(days=days.opens), infused_on + timedelta(days=days.closes)
    window = DateWindow(opens_on, closes_on)
    return PlannedItem(code, activity.activity, nominal_on, window, version=protocol.version)


def _after_exit(protocol: Protocol, activity: Activity, exit_on: date) -> PlannedItem:
    days = protocol.schedule.days_at(activity, activity.offsets[0])
    window = DateWindow(exit_on + timedelta(days=days.opens), exit_on + timedelta(days=days.closes))
    return PlannedItem(
        activity.prefix,
        activity.activity,
        exit_on + timedelta(days=days.nominal),
        window,
        ended_by=("death",),
        version=protocol.version,
    )


def symptom_item(protocol: Protocol, arm: str, week: int) -> str | None:
    """The item for the symptoms of a week; None when the arm's schedule has none."""
    for activity in protocol.activities_for(arm):
        if (activity.activity, activity.unit) == ("symptoms", "weeks") and week in activity.offsets:
            return activity.codes[activity.offsets.index(week)]
    return None


def safety_looks(protocol: Protocol, arm: str, dose_numbers: Iterable[int]) -> frozenset[str]:
    """The items that follow these infusions, such as S6H-1."""
    prefixes = [a.prefix for a in protocol.activities_for(arm) if a.origin == "each-infusion"]
    return frozenset(f"{prefix}-{number}" for number in dose_numbers for prefix in prefixes)
