"""Which arms and which schedule of activities a USDM 4.0 document says, in the terms of a protocol document.

What cannot be said in a protocol document is refused by its class and name: nothing is guessed and nothing is dropped
in silence. Left out, because it is no part of [[arms]] and [schedule], is what stands beside the timelines (epochs,
elements, cells, encounters, objectives, populations, biomedical concepts, procedures, notes), the instances of an epoch
of screening, the anchor's own activities, instances without activities, and the order in which instances follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from shared.protocol.language import AnalyteCode, Code
from shared.protocol.model import Arm
from shared.protocol.schedule import Schedule
from shared.protocol.usdm.model import (
    Activity,
    Condition,
    ExtensionAttribute,
    InterventionalStudyDesign,
    Named,
    ScheduledActivityInstance,
    ScheduledDecisionInstance,
    ScheduleTimeline,
    StudyArm,
    StudyDefinition,
    StudyVersion,
    Timing,
)
from shared.protocol.usdm.model import Code as Coded
from shared.protocol.usdm.rows import ReadItem, rows_of
from shared.protocol.usdm.terms import (
    AFTER,
    DURATION,
    EXTENSION,
    FIXED_REFERENCE,
    ON_TREATMENT,
    SCREENING,
    START_TO_START,
    Term,
)

_CODE: TypeAdapter[str] = TypeAdapter(Code)
_ANALYTE: TypeAdapter[str] = TypeAdapter(AnalyteCode)


class UsdmImportError(ValueError):
    """The document says what a protocol document cannot say; `refused` names each such thing, by class and name."""

    def __init__(self, refused: Iterable[str]) -> None:
        self.refused = tuple(refused)
        super().__init__("\n".join(self.refused))


class ImportedSchedule(NamedTuple):
    """The [[arms]] and the [schedule] of a protocol document."""

    arms: tuple[Arm, ...]
    schedule: Schedule


def import_schedule(document: str | bytes) -> ImportedSchedule:
    """The arms and the schedule of a USDM 4.0 document in JSON. Raises UsdmImportError with all that it refuses."""
    try:
        definition = StudyDefinition.model_validate_json(document)
    except ValidationError as error:
        raise UsdmImportError(_told(error)) from error
    versions = definition.study.versions
    if not definition.usdm_version.startswith("4."):
        raise UsdmImportError([f"USDM version {definition.usdm_version}: only version 4 is read"])
    if len(versions) != 1 or len(versions[0].study_designs) != 1:
        raise UsdmImportError([f"Study {definition.study.name!r}: one StudyVersion with one study design is read"])
    return _Import(versions[0], versions[0].study_designs[0]).result()


class _Import:
    """One import: collects what it refuses, so that all of it is told at once."""

    def __init__(self, version: StudyVersion, design: InterventionalStudyDesign) -> None:
        self._version = version
        self._design = design
        self._refused: list[str] = []
        self._surrogates = {each.id: each.name for each in version.bc_surrogates}
        self._activities = {each.id: each for each in design.activities}
        self._screening_epochs = {epoch.id for epoch in design.epochs if epoch.type.code == SCREENING[0]}
        self._arm_names = {arm.id: arm.name for arm in design.arms}
        self._on_treatment: set[str] = set()
        self._arms_of: dict[str, tuple[str, ...]] = {}
        self._months: list[tuple[Timing, int, int]] = []
        """Each timing that is labelled with months: how many, and how many days it has."""

    def result(self) -> ImportedSchedule:
        arms = [self._arm(arm) for arm in self._design.arms]
        for condition in self._version.conditions:
            self._read_condition(condition)
        main = [timeline for timeline in self._design.schedule_timelines if timeline.main_timeline]
        if len(main) != 1:
            self._refuse(self._design, f"{len(main)} main timelines; there must be one")
            raise UsdmImportError(self._refused)
        settings = self._settings(main[0])
        items = [item for timeline in self._design.schedule_timelines for item in self._items(timeline)]
        if self._refused:
            raise UsdmImportError(self._refused)
        try:
            imported = ImportedSchedule(
                arms=tuple(Arm.model_validate(arm) for arm in arms),
                schedule=Schedule.model_validate(settings | {"activities": rows_of(items)}),
            )
        except ValidationError as error:
            raise UsdmImportError(_told(error)) from error
        for timing, months, days in self._months:
            nominal = imported.schedule.nominal_day("months", months)
            if nominal != days:
                self._refuse(timing, f"{months} months are day {nominal} of the schedule, not day {days}")
        if self._refused:
            raise UsdmImportError(self._refused)
        return imported

    def _refuse(self, what: Named | Condition, why: str) -> None:
        self._refused.append(f"{type(what).__name__} {what.name!r} ({what.id}): {why}")

    def _extensions(self, of: Named, names: Iterable[str]) -> dict[str, Any]:
        """The values of extensions of ours, all of which must be there."""
        found = {each.url: _value(each) for each in of.extension_attributes}
        for name in names:
            if EXTENSION + name not in found:
                self._refuse(of, f"has no extension {EXTENSION}{name}, and the standard has no attribute for it")
        return {name: found.get(EXTENSION + name) for name in names}

    def _arm(self, arm: StudyArm) -> dict[str, Any]:
        own = self._extensions(arm, ("ratio", "treatment", "anchor"))
        return {"code": arm.name, "name": arm.label or arm.name} | own

    def _settings(self, main: ScheduleTimeline) -> dict[str, Any]:
        names = ("month_rule", "days_per_month", "treatment_start_max_days", "anchor_otherwise")
        return self._extensions(main, names)

    def _read_condition(self, condition: Condition) -> None:
        arms = [each.value_id or "" for each in condition.extension_attributes if each.url == EXTENSION + "arm"]
        instances = {each.id for timeline in self._design.schedule_timelines for each in timeline.instances}
        limited = set(condition.context_ids)
        if not limited or not limited <= instances or (arms and not limited.isdisjoint(self._arms_of)):
            self._refuse(condition, "limits scheduled instances, at least one, and each but once to some arms")
        elif condition.name == ON_TREATMENT:
            self._on_treatment.update(condition.context_ids)
        elif arms and all(arm in self._arm_names for arm in arms):
            names = tuple(self._arm_names[arm] for arm in arms)
            self._arms_of |= dict.fromkeys(condition.context_ids, names)
        else:
            self._refuse(condition, "only arms and the time of treatment can limit an item")

    def _items(self, timeline: ScheduleTimeline) -> Iterator[ReadItem]:
        origin = "day-0" if timeline.main_timeline else timeline.name
        if origin not in {"day-0", "each-infusion", "exit"}:
            self._refuse(timeline, "items are counted from day 0, from each infusion or from the exit alone")
            return
        anchors = {
            each.relative_from_scheduled_instance_id for each in timeline.timings if _is(each.type, FIXED_REFERENCE)
        }
        timings = {each.relative_from_scheduled_instance_id: each for each in timeline.timings}
        if len(anchors) != 1 or len(timings) != len(timeline.timings):
            self._refuse(timeline, "has one anchor (a Fixed Reference), and one timing for each instance")
        conditions = self._decisions(timeline)
        for instance in timeline.instances:
            if isinstance(instance, ScheduledDecisionInstance) or not instance.activity_ids:
                continue
            if instance.id in anchors or instance.epoch_id in self._screening_epochs:
                continue
            item = self._item(instance, origin, timings.get(instance.id), anchors)
            if item is not None:
                yield item._replace(condition=conditions.get(instance.id))

    def _decisions(self, timeline: ScheduleTimeline) -> dict[str, str]:
        """The condition on which each instance hangs."""
        activities = {each.id for each in timeline.instances if isinstance(each, ScheduledActivityInstance)}
        conditions: dict[str, str] = {}
        for decision in timeline.instances:
            if not isinstance(decision, ScheduledDecisionInstance):
                continue
            for each in decision.condition_assignments:
                if each.condition_target_id not in activities:
                    self._refuse(decision, "leads to no activity instance of its timeline")
                elif not _fits(_CODE, each.condition):
                    self._refuse(decision, f"the condition {each.condition!r} is no code in kebab case")
                conditions[each.condition_target_id] = each.condition
        return conditions

    def _item(
        self, instance: ScheduledActivityInstance, origin: str, timing: Timing | None, anchors: set[str]
    ) -> ReadItem | None:
        activity = self._activities.get(instance.activity_ids[0])
        if instance.timeline_id is not None or len(instance.activity_ids) != 1 or activity is None:
            self._refuse(instance, "an item is one activity of the study design, without a timeline of its own")
            return None
        if timing is None or timing.relative_to_scheduled_instance_id not in anchors:
            self._refuse(instance, "is not timed from the anchor of its timeline")
            return None
        if not _is(timing.type, AFTER) or not _is(timing.relative_to_from, START_TO_START):
            self._refuse(timing, "only a time after the anchor, from start to start, can be said")
            return None
        code = next((each for each in (activity.label, activity.name) if each and _fits(_CODE, each)), None)
        if code is None or activity.child_ids or activity.timeline_id is not None:
            self._refuse(activity, "its label or name is a code in kebab case; it has no children and no timeline")
            return None
        when = self._when(timing)
        window = self._window(timing, hours=when is not None and when[0] == "hours")
        if when is None or window is None:
            return None
        return ReadItem(
            code=instance.name,
            activity=code,
            arms=self._arms_of.get(instance.id, tuple(self._arm_names.values())),
            origin=origin,
            unit=when[0],
            offset=when[1],
            window=window,
            on_treatment=instance.id in self._on_treatment,
            analytes=self._analytes(activity),
        )

    def _analytes(self, activity: Activity) -> tuple[str, ...]:
        names = (self._surrogates.get(id_, "") for id_ in activity.bc_surrogate_ids)
        return tuple(name for name in names if _fits(_ANALYTE, name))

    def _when(self, timing: Timing) -> tuple[str, int] | None:
        """The unit and the offset. Days that are labelled as months are months of the document's month rule."""
        months = re.fullmatch(r"(\d{1,4}) months", timing.value_label, re.ASCII)
        match _duration(timing.value):
            case ("days", days) if months:
                self._months.append((timing, int(months[1]), days))
                return "months", int(months[1])
            case (unit, number):
                return unit, number
        self._refuse(timing, f"{timing.value!r} is no duration in whole days, weeks or hours")
        return None

    def _window(self, timing: Timing, *, hours: bool) -> tuple[int, int] | None:
        """Before and after, in hours or in days; a timing without a window allows its own day alone."""
        ends: list[int] = []
        for written in (timing.window_lower or "P0D", timing.window_upper or "P0D"):
            match _duration(written):
                case ("hours", number) if hours:
                    ends.append(number)
                case ("days", number) if not hours or number == 0:
                    ends.append(number)
                case ("weeks", number) if not hours:
                    ends.append(7 * number)
                case _:
                    self._refuse(timing, f"a window of {written!r} is not counted as its time is")
                    return None
        return ends[0], ends[1]


def _told(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False, include_input=False):
        cause = each.get("ctx", {}).get("error")
        yield f"{'.'.join(map(str, each['loc'])) or 'document'}: {cause or each['msg']}"


def _value(extension: ExtensionAttribute) -> str | int | None:
    return extension.value_string if extension.value_integer is None else extension.value_integer


def _is(code: Coded, term: Term) -> bool:
    return code.code == term[0]


def _fits(kind: TypeAdapter[str], text: str) -> bool:
    try:
        kind.validate_python(text)
    except ValidationError:
        return False
    return True


def _duration(written: str) -> tuple[str, int] | None:
    if found := DURATION.fullmatch(written):
        return next((unit, int(number)) for unit, number in found.groupdict().items() if number is not None)
    return None
