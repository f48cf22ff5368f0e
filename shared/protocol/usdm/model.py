"""The classes of USDM 4.0 that a schedule of activities is written in, with the standard's own names.

Attributes are the standard's in snake case; JSON has them in camel case (`relativeToFrom`). What a class of the
standard has besides is left out when it is read.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

USDM_VERSION = "4.0.0"


class UsdmClass(BaseModel):
    """An instance of a class of the standard."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class ExtensionAttribute(UsdmClass):
    """What the standard has no attribute for, under an address of who defined it; one value is given."""

    id: str
    url: str
    value_string: str | None = None
    value_integer: int | None = None
    value_id: str | None = None
    instance_type: Literal["ExtensionAttribute"] = "ExtensionAttribute"


class Identified(UsdmClass):
    """What others refer to by its id."""

    id: str
    extension_attributes: tuple[ExtensionAttribute, ...] = ()


class Named(Identified):
    """What a person knows by its name."""

    name: str
    label: str | None = None
    description: str | None = None


class Code(Identified):
    """A term of controlled terminology."""

    code: str
    code_system: str
    code_system_version: str
    decode: str
    instance_type: Literal["Code"] = "Code"


class StudyArm(Named):
    """A treatment group."""

    type: Code
    data_origin_description: str
    data_origin_type: Code
    instance_type: Literal["StudyArm"] = "StudyArm"


class StudyEpoch(Named):
    """A period of the study that every arm has."""

    type: Code
    previous_id: str | None = None
    next_id: str | None = None
    instance_type: Literal["StudyEpoch"] = "StudyEpoch"


class StudyElement(Named):
    """What a subject undergoes in a cell."""

    instance_type: Literal["StudyElement"] = "StudyElement"


class StudyCell(Identified):
    """An arm in an epoch."""

    arm_id: str
    epoch_id: str
    element_ids: tuple[str, ...]
    instance_type: Literal["StudyCell"] = "StudyCell"


class Encounter(Named):
    """A visit."""

    type: Code
    previous_id: str | None = None
    next_id: str | None = None
    scheduled_at_id: str | None = None
    environmental_settings: tuple[Code, ...] = ()
    contact_modes: tuple[Code, ...] = ()
    instance_type: Literal["Encounter"] = "Encounter"


class BiomedicalConceptSurrogate(Named):
    """A measure that is named and not modelled: an analyte."""

    instance_type: Literal["BiomedicalConceptSurrogate"] = "BiomedicalConceptSurrogate"


class Activity(Named):
    """What is done."""

    previous_id: str | None = None
    next_id: str | None = None
    child_ids: tuple[str, ...] = ()
    bc_surrogate_ids: tuple[str, ...] = ()
    timeline_id: str | None = None
    instance_type: Literal["Activity"] = "Activity"


class Timing(Named):
    """When an instance is, relative to another, with its window; durations are ISO 8601."""

    type: Code
    value: str
    value_label: str
    relative_to_from: Code
    relative_from_scheduled_instance_id: str
    relative_to_scheduled_instance_id: str | None = None
    window_lower: str | None = None
    window_upper: str | None = None
    window_label: str | None = None
    instance_type: Literal["Timing"] = "Timing"


class ScheduledActivityInstance(Named):
    """A time at which activities are done."""

    default_condition_id: str | None = None
    epoch_id: str | None = None
    timeline_id: str | None = None
    timeline_exit_id: str | None = None
    activity_ids: tuple[str, ...] = ()
    encounter_id: str | None = None
    instance_type: Literal["ScheduledActivityInstance"]


class ConditionAssignment(Identified):
    """Where a timeline goes on when a condition is met."""

    condition: str
    condition_target_id: str
    instance_type: Literal["ConditionAssignment"] = "ConditionAssignment"


class ScheduledDecisionInstance(Named):
    """A fork of a timeline."""

    default_condition_id: str | None = None
    epoch_id: str | None = None
    condition_assignments: tuple[ConditionAssignment, ...]
    instance_type: Literal["ScheduledDecisionInstance"]


class ScheduleTimelineExit(Identified):
    """The end of a timeline."""

    instance_type: Literal["ScheduleTimelineExit"] = "ScheduleTimelineExit"


class Duration(Identified):
    """How long something is planned to take."""

    text: str | None = None
    duration_will_vary: bool
    reason_duration_will_vary: str | None = None
    instance_type: Literal["Duration"] = "Duration"


class ScheduleTimeline(Named):
    """Instances in their order, with their times."""

    main_timeline: bool
    entry_condition: str
    entry_id: str
    exits: tuple[ScheduleTimelineExit, ...] = ()
    timings: tuple[Timing, ...] = ()
    instances: tuple[ScheduledActivityInstance | ScheduledDecisionInstance, ...] = ()
    planned_duration: Duration | None = None
    instance_type: Literal["ScheduleTimeline"] = "ScheduleTimeline"


class StudyDesignPopulation(Named):
    """Who is studied."""

    includes_healthy_subjects: bool
    instance_type: Literal["StudyDesignPopulation"] = "StudyDesignPopulation"


class EligibilityCriterionItem(Named):
    """The wording of a criterion."""

    text: str
    instance_type: Literal["EligibilityCriterionItem"] = "EligibilityCriterionItem"


class EligibilityCriterion(Named):
    """A criterion of inclusion or exclusion, in its order."""

    category: Code
    identifier: str
    criterion_item_id: str
    previous_id: str | None = None
    next_id: str | None = None
    instance_type: Literal["EligibilityCriterion"] = "EligibilityCriterion"


class InterventionalStudyDesign(Named):
    """Arms, epochs and schedule of a trial."""

    rationale: str
    model: Code
    study_type: Code | None = None
    sub_types: tuple[Code, ...] = ()
    intent_types: tuple[Code, ...] = ()
    characteristics: tuple[Code, ...] = ()
    population: StudyDesignPopulation
    eligibility_criteria: tuple[EligibilityCriterion, ...] = ()
    arms: tuple[StudyArm, ...]
    epochs: tuple[StudyEpoch, ...]
    elements: tuple[StudyElement, ...] = ()
    study_cells: tuple[StudyCell, ...]
    encounters: tuple[Encounter, ...] = ()
    activities: tuple[Activity, ...] = ()
    schedule_timelines: tuple[ScheduleTimeline, ...] = ()
    instance_type: Literal["InterventionalStudyDesign"] = "InterventionalStudyDesign"


class Condition(Named):
    """Under which circumstances activities are done at some instances of a schedule."""

    text: str
    context_ids: tuple[str, ...] = ()
    applies_to_ids: tuple[str, ...] = ()
    instance_type: Literal["Condition"] = "Condition"


class Organization(Identified):
    """An organisation that has a part in the study."""

    name: str
    type: Code
    identifier_scheme: str
    identifier: str
    instance_type: Literal["Organization"] = "Organization"


class StudyRole(Named):
    """Which part an organisation has."""

    code: Code
    applies_to_ids: tuple[str, ...] = ()
    organization_ids: tuple[str, ...] = ()
    instance_type: Literal["StudyRole"] = "StudyRole"


class StudyIdentifier(Identified):
    """What the study is called by an organisation."""

    text: str
    scope_id: str
    instance_type: Literal["StudyIdentifier"] = "StudyIdentifier"


class StudyTitle(Identified):
    """A title of the study."""

    text: str
    type: Code
    instance_type: Literal["StudyTitle"] = "StudyTitle"


class StudyVersion(Identified):
    """A version of the study's definition."""

    version_identifier: str
    rationale: str
    study_identifiers: tuple[StudyIdentifier, ...]
    titles: tuple[StudyTitle, ...]
    organizations: tuple[Organization, ...] = ()
    roles: tuple[StudyRole, ...] = ()
    study_designs: tuple[InterventionalStudyDesign, ...] = ()
    eligibility_criterion_items: tuple[EligibilityCriterionItem, ...] = ()
    bc_surrogates: tuple[BiomedicalConceptSurrogate, ...] = ()
    conditions: tuple[Condition, ...] = ()
    instance_type: Literal["StudyVersion"] = "StudyVersion"


class Study(UsdmClass):
    """A study with its versions."""

    id: str | None = None
    name: str
    versions: tuple[StudyVersion, ...] = ()
    instance_type: Literal["Study"] = "Study"


class StudyDefinition(UsdmClass):
    """A whole USDM document."""

    study: Study
    usdm_version: str
    system_name: str | None = None
    system_version: str | None = None
