"""What a protocol document says: arms, allocation, eligibility, schedule, dose, response, safety; frozen values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shared.protocol.criteria import Criterion, Fact, Part, failed
from shared.protocol.deviations import Deviations
from shared.protocol.faults import BrokenRule, require_none
from shared.protocol.language import AnalyteCode, ArmCode, Code, SiteId
from shared.protocol.response import Response
from shared.protocol.schedule import Activity, Anchor, Schedule


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name!r} is no IANA time zone") from error
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]
Treatment = Literal["msc-infusion", "ciclosporin", "none"]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+$")]


class Arm(Part):
    """A treatment group: its share of the allocation, its treatment, and the milestone that is its day 0."""

    code: ArmCode
    name: str
    ratio: int = Field(ge=1)
    treatment: Treatment
    anchor: Anchor


FactorName = Literal["site", "sex", "diagnosis", "ecog", "hiv", "pregnancy"]
"""What can stratify: what is known of a subject once it has been assessed, and has levels or bands of whole numbers."""

_BAND = re.compile(r"(\d+)-(\d+)", re.ASCII)


class Factor(Part):
    """A stratification factor and its levels; of the site every one is a level, unless some are listed.

    A level may be a band of whole numbers, its ends included: `0-1` of ECOG.
    """

    name: FactorName
    levels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_levels(self) -> Factor:
        # A scheme's lists are drawn before anybody is assessed: only sites may become known later.
        if not self.levels and self.name != "site":
            require_none([BrokenRule(("levels",), f"the factor {self.name} needs its levels")])
        return self

    def level_of(self, value: str) -> str | None:
        """The level that a value lies in; None when it lies in none that the protocol lists."""
        if not self.levels:
            return value
        return next((level for level in self.levels if value == level or _lies_in(value, level)), None)


def _lies_in(value: str, level: str) -> bool:
    band = _BAND.fullmatch(level)
    return band is not None and value.isdecimal() and int(band[1]) <= int(value) <= int(band[2])


class Allocation(Part):
    """How subjects are allocated to arms (ICH E9 §2.3.2)."""

    method: Literal["permuted-blocks"]
    block_sizes: tuple[int, ...] = Field(min_length=1)
    strata: tuple[Factor, ...]


class Screening(Part):
    """What is asked before randomization, in days counted from day 0."""

    earliest_day: int
    latest_day: int
    blood_counts_min: int
    blood_counts_apart_days_min: int
    transfusion_history_weeks: int
    analytes: tuple[AnalyteCode, ...]


class Eligibility(Part):
    """The criteria that a subject must meet; each failed one has a stable code."""

    screening: Screening
    criteria: tuple[Criterion, ...] = Field(min_length=1)


class Release(Part):
    """What a lot must show before it may be infused; a lot that fails any criterion is refused."""

    criteria: tuple[Criterion, ...] = Field(min_length=1)


class Monitoring(Part):
    """Vital signs after each infusion: how often, and for how long. Minutes."""

    vital_signs_every_minutes: int = Field(gt=0)
    vital_signs_for_minutes: int = Field(ge=0)

    @property
    def minutes(self) -> tuple[int, ...]:
        """The minutes after an infusion at which vital signs are due: 15, 30, 45 and 60."""
        every = self.vital_signs_every_minutes
        return tuple(range(every, self.vital_signs_for_minutes + 1, every))


class Dose(Part):
    """The infusion's dose and how it is reckoned. Cells per kg, %, days, mL."""

    cells_per_kg: Decimal = Field(gt=0)
    tolerance_pct: Decimal = Field(ge=0)
    weight_age_days_max: int = Field(ge=0)
    volume_step_mL: Decimal = Field(gt=0)  # noqa: N815 (the unit is written as the field writes it)
    monitoring: Monitoring
    release: Release


class Csa(Part):
    """Ciclosporin A: dose, trough and creatinine rules. mg/kg/day, ng/mL, %, days, months."""

    mg_per_kg_per_day: Decimal = Field(gt=0)
    doses_per_day: int = Field(ge=1)
    duration_months: int = Field(ge=1)
    creatinine_analyte: AnalyteCode
    trough_analyte: AnalyteCode
    trough_low_ng_per_mL: Decimal  # noqa: N815
    trough_high_ng_per_mL: Decimal  # noqa: N815
    creatinine_alert_rise_pct: Decimal
    creatinine_repeat_days: int
    creatinine_reduce_rise_pct: Decimal
    reduction_pct_min: Decimal
    reduction_pct_max: Decimal
    reductions_max: int


class SecondDose(Part):
    """Who gets the second infusion, after which evaluation, and what bars it."""

    rule: Literal["if-responder", "all"]
    arm: ArmCode
    item: str
    timepoint: str
    signed_evaluation: bool
    reaction_grade_bars_from: int = Field(ge=1, le=5)


class Safety(Part):
    """Seriousness and the reporting clocks, in hours and calendar days from awareness (ICH E2A; EU CTR)."""

    ctcae_version: str
    seriousness_criteria: tuple[Code, ...] = Field(min_length=1)
    fatal_or_life_threatening: tuple[Code, ...]
    fatal_grade: int
    sponsor_within_hours: int
    authority_within_days: int
    authority_fatal_within_days: int
    follow_up_within_days: int
    fatal_follow_up_within_days: int
    urgent_measure_within_days: int

    @model_validator(mode="after")
    def _fatal_criteria_are_criteria(self) -> Safety:
        require_none(
            BrokenRule(("fatal_or_life_threatening", place), f"names no seriousness criterion: {code}")
            for place, code in enumerate(self.fatal_or_life_threatening)
            if code not in self.seriousness_criteria
        )
        return self


class Sponsor(Part):
    """The sponsor, in whose civil zone reporting days are counted."""

    name: str
    zone: ZoneName


class Site(Part):
    """A site with a civil zone of its own."""

    id: SiteId
    name: str
    zone: ZoneName


class Sites(Part):
    """The zone of every site: its own if it is listed, else the default."""

    default_zone: ZoneName
    known: tuple[Site, ...] = ()

    def zone(self, site: str) -> ZoneInfo:
        """The civil zone of a site."""
        return ZoneInfo(next((s.zone for s in self.known if s.id == site), self.default_zone))


class Protocol(Part):
    """One version of a trial's protocol: every number and choice of the trial, and none of its rules."""

    study_id: str
    version: Version
    title: str
    starts_on: date
    planned_subjects: int = Field(ge=1)
    sponsor: Sponsor
    sites: Sites
    arms: tuple[Arm, ...] = Field(min_length=1)
    allocation: Allocation
    eligibility: Eligibility
    schedule: Schedule
    dose: Dose | None = None
    csa: Csa | None = None
    second_dose: SecondDose | None = None
    response: Response
    safety: Safety
    deviations: Deviations

    @model_validator(mode="after")
    def _parts_hang_together(self) -> Protocol:
        require_none((*self._broken_of_arms(), *self._broken_of_treatments(), *self._broken_of_items()))
        return self

    def _broken_of_arms(self) -> Iterator[BrokenRule]:
        codes = [arm.code for arm in self.arms]
        for place, code in enumerate(codes):
            if code in codes[:place]:
                yield BrokenRule(("arms", place, "code"), f"the code {code} stands twice")
        shares = sum(arm.ratio for arm in self.arms)
        for place, size in enumerate(self.allocation.block_sizes):
            if size % shares:
                rule = f"each must be a multiple of the ratios' sum, {shares}"
                yield BrokenRule(("allocation", "block_sizes", place), rule)
        for place, activity in enumerate(self.schedule.activities):
            for index, arm in enumerate(activity.arms):
                if arm not in codes:
                    yield BrokenRule(("schedule", "activities", place, "arms", index), f"no arm {arm}")

    def _broken_of_treatments(self) -> Iterator[BrokenRule]:
        treatments = {arm.treatment for arm in self.arms}
        if ("msc-infusion" in treatments) != (self.dose is not None):
            yield BrokenRule(("dose",), "stands exactly when an arm is treated by msc-infusion")
        if ("ciclosporin" in treatments) != (self.csa is not None):
            yield BrokenRule(("csa",), "stands exactly when an arm is treated by ciclosporin")

    def _broken_of_items(self) -> Iterator[BrokenRule]:
        items = {code for activity in self.schedule.activities for code in activity.codes}
        for place, evaluation in enumerate(self.response.evaluations):
            if evaluation.item not in items:
                key = ("response", "evaluations", place, "item")
                yield BrokenRule(key, f"no item {evaluation.item} in the schedule")
        if second := self.second_dose:
            if second.item not in items:
                yield BrokenRule(("second_dose", "item"), f"no item {second.item} in the schedule")
            if second.arm not in {arm.code for arm in self.arms}:
                yield BrokenRule(("second_dose", "arm"), f"no arm {second.arm}")
            if second.timepoint not in {e.timepoint for e in self.response.evaluations}:
                yield BrokenRule(("second_dose", "timepoint"), f"no evaluation at {second.timepoint}")

    @cached_property
    def arm_codes(self) -> tuple[str, ...]:
        """The arms in the document's order, which is the order in which a block is filled."""
        return tuple(arm.code for arm in self.arms)

    @property
    def untreated_arms(self) -> tuple[str, ...]:
        """The arms that get nothing which could be recorded as given: usual care, or observation alone."""
        return tuple(arm.code for arm in self.arms if arm.treatment == "none")

    def arm(self, code: str) -> Arm:
        """The arm of that code. Raises LookupError when the protocol has none."""
        for arm in self.arms:
            if arm.code == code:
                return arm
        raise LookupError(f"no arm {code!r} in protocol {self.version}")

    def stratum(self, **levels: str) -> str:
        """The stratum of a subject: `stratum(diagnosis="RA", site="01")` is `RA|01`, in the factors' order.

        Raises LookupError when a factor is missing, or its value lies in no level that the protocol lists.
        """
        found: list[str] = []
        for factor in self.allocation.strata:
            if factor.name not in levels:
                raise LookupError(f"the stratum needs the factor {factor.name!r}")
            level = factor.level_of(levels[factor.name])
            if level is None:
                raise LookupError(f"{levels[factor.name]!r} is no level of {factor.name}")
            found.append(level)
        return "|".join(found)

    def failed_release(self, lot: Mapping[str, Fact]) -> tuple[str, ...]:
        """The codes of the release criteria that a lot fails; none means it may be infused."""
        return failed(self.dose.release.criteria, lot) if self.dose else ()

    def activities_for(self, arm: str) -> tuple[Activity, ...]:
        """The activities of an arm, in the document's order."""
        return tuple(activity for activity in self.schedule.activities if arm in activity.arms)

    def zone(self, site: str) -> ZoneInfo:
        """The civil zone of a site."""
        return self.sites.zone(site)

    def civil_date(self, at: datetime, site: str) -> date:
        """The date on the site's wall calendar at an instant (which bears an offset)."""
        return at.astimezone(self.zone(site)).date()
