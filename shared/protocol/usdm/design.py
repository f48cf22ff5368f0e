"""How a protocol's arms and schedule become a study design of USDM: arms, epochs, cells, visits, activities.

Times and windows are said as `Timing`, visits as `Encounter` (items of one day share one), an item on a condition
behind a `ScheduledDecisionInstance`, an item of some arms alone or of the treatment alone through a `Condition`. Ratio,
treatment and anchor of an arm and the month rule, which the standard has no attribute for, are extensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shared.protocol.model import Arm, Protocol
from shared.protocol.schedule import Activity as Row
from shared.protocol.schedule import Origin
from shared.protocol.usdm.model import (
    Activity,
    BiomedicalConceptSurrogate,
    Condition,
    EligibilityCriterion,
    Encounter,
    ExtensionAttribute,
    InterventionalStudyDesign,
    ScheduledActivityInstance,
    ScheduleTimeline,
    StudyArm,
    StudyCell,
    StudyDesignPopulation,
    StudyElement,
    StudyEpoch,
    Timing,
)
from shared.protocol.usdm.terms import (
    BEFORE,
    EXTENSION,
    INTERVENTIONAL,
    ON_TREATMENT,
    PARALLEL,
    SCREENING,
    SINGLE_GROUP,
    TREATMENT,
    TREATMENT_ARM,
    VISIT,
    WITHIN_STUDY,
    coded,
)
from shared.protocol.usdm.timelines import NewId, TimelineWriter, hours_after, items_of

SCREENING_VISIT = -1
"""Stands for the day of the visit of screening, which is before any day that is counted."""


class DesignWriter:
    """Writes the study design of one protocol; `surrogates` and `conditions` belong to its study version."""

    def __init__(self, protocol: Protocol, new_id: NewId) -> None:
        self._protocol = protocol
        self._new_id = new_id
        self._arms = tuple(self._arm(arm) for arm in protocol.arms)
        self._epochs = self._chain_of_epochs()
        self.surrogates = self._analytes_and_deeds()
        self._activities: dict[str, Activity] = {}
        """By name; two rows that do the same with the same analytes share one."""
        self._of_row = {place: self._activity(row) for place, row in enumerate(protocol.schedule.activities)}
        self._timelines = TimelineWriter(protocol.schedule, new_id, self._epochs[1].id, self._of_row)

    def _extension(self, name: str, value: str | int) -> ExtensionAttribute:
        id_, url = self._new_id("ExtensionAttribute"), EXTENSION + name
        if isinstance(value, int):
            return ExtensionAttribute(id=id_, url=url, value_integer=value)
        return ExtensionAttribute(id=id_, url=url, value_string=value)

    def _arm(self, arm: Arm) -> StudyArm:
        return StudyArm(
            id=self._new_id("StudyArm"),
            name=arm.code,
            label=arm.name,
            type=coded(TREATMENT_ARM, self._new_id),
            data_origin_description="Collected in this study",
            data_origin_type=coded(WITHIN_STUDY, self._new_id),
            extension_attributes=(
                self._extension("ratio", arm.ratio),
                self._extension("treatment", arm.treatment),
                self._extension("anchor", arm.anchor),
            ),
        )

    def _chain_of_epochs(self) -> tuple[StudyEpoch, StudyEpoch]:
        screening, treatment = self._new_id("StudyEpoch"), self._new_id("StudyEpoch")
        return (
            StudyEpoch(id=screening, name="SCREENING", type=coded(SCREENING, self._new_id), next_id=treatment),
            StudyEpoch(id=treatment, name="TREATMENT", type=coded(TREATMENT, self._new_id), previous_id=screening),
        )

    def _analytes_and_deeds(self) -> dict[str, BiomedicalConceptSurrogate]:
        """A surrogate for each analyte, and for each deed that has none."""
        rows = self._protocol.schedule.activities
        names = [name for row in rows for name in (row.analytes or (row.activity,))]
        names = ["screening", "anchor", *self._protocol.eligibility.screening.analytes, *names]
        return {
            name: BiomedicalConceptSurrogate(id=self._new_id("BiomedicalConceptSurrogate"), name=name)
            for name in dict.fromkeys(names)
        }

    def _activity(self, row: Row) -> str:
        return self._activity_named(row.activity, row.analytes or (row.activity,))

    def _activity_named(self, code: str, measures: Sequence[str]) -> str:
        """The id of the activity that does this; its label is the code, its name is the code and unique."""
        measured = tuple(self.surrogates[measure].id for measure in measures)
        alike = [activity for activity in self._activities.values() if activity.label == code]
        for activity in alike:
            if activity.bc_surrogate_ids == measured:
                return activity.id
        name = f"{code}-{len(alike) + 1}" if alike else code
        while name in self._activities:
            name += "-"
        id_ = self._new_id("Activity")
        self._activities[name] = Activity(id=id_, name=name, label=code, bc_surrogate_ids=measured)
        return id_

    def design(self, criteria: tuple[EligibilityCriterion, ...]) -> InterventionalStudyDesign:
        """The design, with the criteria of eligibility that its version words."""
        encounters = self._visits()
        timelines = self._schedule_timelines(encounters)
        elements, cells = self._cells()
        many = len(self._arms) > 1
        return InterventionalStudyDesign(
            id=self._new_id("InterventionalStudyDesign"),
            name=self._protocol.study_id,
            rationale=self._protocol.title,
            model=coded(PARALLEL if many else SINGLE_GROUP, self._new_id),
            study_type=coded(INTERVENTIONAL, self._new_id),
            population=StudyDesignPopulation(
                id=self._new_id("StudyDesignPopulation"), name="POPULATION", includes_healthy_subjects=False
            ),
            eligibility_criteria=criteria,
            arms=self._arms,
            epochs=self._epochs,
            elements=elements,
            study_cells=cells,
            encounters=self._chain_of_encounters(encounters),
            activities=self._chain_of_activities(),
            schedule_timelines=timelines,
        )

    def _schedule_timelines(self, encounters: Mapping[int, str]) -> tuple[ScheduleTimeline, ...]:
        schedule = self._protocol.schedule
        anchor_activity = self._activity_named("anchor", ("anchor",))
        main = self._timelines.timeline(
            "day-0",
            anchor_activity_id=anchor_activity,
            before=(self._screening(encounters[SCREENING_VISIT]),),
            encounter_ids=encounters,
            extensions=(
                self._extension("month_rule", schedule.month_rule),
                self._extension("days_per_month", str(schedule.days_per_month)),
                self._extension("treatment_start_max_days", schedule.treatment_start_max_days),
                self._extension("anchor_otherwise", schedule.anchor_otherwise),
            ),
        )
        others: tuple[Origin, ...] = ("each-infusion", "exit")
        return main, *(
            self._timelines.timeline(origin, anchor_activity_id=anchor_activity)
            for origin in others
            if items_of(schedule, origin)
        )

    def _visits(self) -> dict[int, str]:
        """An encounter for screening, and one for each day of the main timeline."""
        items = items_of(self._protocol.schedule, "day-0")
        days = {hours_after(self._protocol.schedule, item) // 24 for item in items}
        return {day: self._new_id("Encounter") for day in sorted({SCREENING_VISIT, 0} | days)}

    def _screening(self, visit: str) -> tuple[ScheduledActivityInstance, Timing]:
        window = self._protocol.eligibility.screening
        instance = ScheduledActivityInstance(
            id=self._new_id("ScheduledActivityInstance"),
            name="SCREENING",
            default_condition_id=self._timelines.anchor_id("day-0"),
            epoch_id=self._epochs[0].id,
            activity_ids=(self._activity_named("screening", window.analytes or ("screening",)),),
            encounter_id=visit,
            instance_type="ScheduledActivityInstance",
        )
        timing = self._timelines.timing(
            "SCREENING",
            BEFORE,
            f"P{-window.latest_day}D",
            f"{-window.latest_day} days",
            instance.id,
            self._timelines.anchor_id("day-0"),
            window=(
                f"P{window.latest_day - window.earliest_day}D",
                "P0D",
                f"day {window.earliest_day} to day {window.latest_day}",
            ),
        )
        return instance, timing

    def _cells(self) -> tuple[tuple[StudyElement, ...], tuple[StudyCell, ...]]:
        """The elements, one of screening and one of each arm; and a cell for each arm in each epoch."""
        screening, treatment = self._epochs
        before = StudyElement(id=self._new_id("StudyElement"), name="SCREENING")
        elements, cells = [before], []
        for arm in self._arms:
            element = StudyElement(id=self._new_id("StudyElement"), name=arm.name, label=arm.label)
            elements.append(element)
            for epoch, undergone in ((screening, before), (treatment, element)):
                cells.append(
                    StudyCell(
                        id=self._new_id("StudyCell"), arm_id=arm.id, epoch_id=epoch.id, element_ids=(undergone.id,)
                    )
                )
        return tuple(elements), tuple(cells)

    def _chain_of_encounters(self, ids: Mapping[int, str]) -> tuple[Encounter, ...]:
        before, after = _neighbours(tuple(ids.values()))
        return tuple(
            Encounter(
                id=id_,
                name="SCREENING" if day == SCREENING_VISIT else f"DAY-{day}",
                label="Screening" if day == SCREENING_VISIT else f"Day {day}",
                type=coded(VISIT, self._new_id),
                previous_id=before[id_],
                next_id=after[id_],
            )
            for day, id_ in ids.items()
        )

    def _chain_of_activities(self) -> tuple[Activity, ...]:
        before, after = _neighbours([activity.id for activity in self._activities.values()])
        return tuple(
            activity.model_copy(update={"previous_id": before[activity.id], "next_id": after[activity.id]})
            for activity in self._activities.values()
        )

    def conditions(self) -> Iterator[Condition]:
        """What limits instances to some arms, in their order, and to the time of treatment; after `design`."""
        rows = dict(enumerate(self._protocol.schedule.activities))
        arms = {arm.name: arm.id for arm in self._arms}
        for codes in dict.fromkeys(row.arms for row in rows.values() if row.arms != tuple(arms)):
            of_them = [place for place, row in rows.items() if row.arms == codes]
            ids = tuple(
                ExtensionAttribute(id=self._new_id("ExtensionAttribute"), url=EXTENSION + "arm", value_id=arms[code])
                for code in codes
            )
            yield self._condition(f"arms {' '.join(codes)}", f"In arm {' or '.join(codes)}", of_them, ids)
        if treated := [place for place, row in rows.items() if row.on_treatment]:
            yield self._condition(ON_TREATMENT, "While the subject is on treatment", treated)

    def _condition(
        self,
        name: str,
        text: str,
        places: Sequence[int],
        extensions: tuple[ExtensionAttribute, ...] = (),
    ) -> Condition:
        rows = self._protocol.schedule.activities
        return Condition(
            id=self._new_id("Condition"),
            name=name,
            text=text,
            context_ids=tuple(self._timelines.instance_ids[code] for place in places for code in rows[place].codes),
            applies_to_ids=tuple(dict.fromkeys(self._of_row[place] for place in places)),
            extension_attributes=extensions,
        )


def _neighbours(ids: Sequence[str]) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Of each of a chain: the one before it, and the one after it."""
    before, after = [None, *ids[:-1]], [*ids[1:], None]
    return dict(zip(ids, before, strict=True)), dict(zip(ids, after, strict=True))
