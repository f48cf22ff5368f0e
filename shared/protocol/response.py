"""How the protocol writes its response criteria: baseline, wash-out, confirmation, and a rule set's thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.protocol.criteria import Part
from shared.protocol.faults import BrokenRule, require_none
from shared.protocol.language import AnalyteCode
from shared.signing import SignatureMeaning

Timepoint = Annotated[str, StringConstraints(pattern=r"^M[0-9]{1,2}$")]
"""A time of evaluation, such as `M3`."""

Positive = Annotated[Decimal, Field(gt=0)]
"""A threshold above zero, in the unit that its part says."""

Share = Annotated[Decimal, Field(ge=0, le=100)]
"""From 0 to 100 %."""


class Evaluation(Part):
    """A time of evaluation and the schedule item that plans it."""

    timepoint: Timepoint
    item: str


class Baseline(Part):
    """Which counts before treatment make the baseline: their mean, if they are enough and far enough apart."""

    earliest_day: int = Field(le=0)
    latest_day: int = Field(le=0)
    values_min: int = Field(ge=1)
    apart_days_min: int = Field(ge=0)

    @model_validator(mode="after")
    def _holds_its_counts(self) -> Baseline:
        if self.latest_day - self.earliest_day < self.apart_days_min:
            require_none(
                BrokenRule((key,), "leaves no room for counts so far apart") for key in ("earliest_day", "latest_day")
            )
        return self


class WashOut(Part):
    """For how many days after a transfusion of a component the counts of an analyte do not count."""

    component: str
    analyte: AnalyteCode
    days: int = Field(ge=0)


class HaemoglobinRise(Part):
    """HI-E: a rise of haemoglobin, or fewer red-cell units given for a low haemoglobin. g/L, units, days."""

    analyte: AnalyteCode
    baseline_below: Positive
    rise_min: Positive
    transfusion_component: str
    transfusion_period_days: int = Field(gt=0)
    transfusion_reduction_units_min: int = Field(gt=0)
    transfusion_haemoglobin_max: Positive


class PlateletRise(Part):
    """HI-P: an absolute rise, or from a low start a relative rise to above a floor. 10*9/L, %."""

    analyte: AnalyteCode
    baseline_below: Positive
    rise_min: Positive
    low_start_below: Positive
    low_start_to_above: Positive
    low_start_rise_pct_min: Positive


class NeutrophilRise(Part):
    """HI-N: a relative and an absolute rise, both. 10*9/L, %."""

    analyte: AnalyteCode
    baseline_below: Positive
    rise_pct_min: Positive
    rise_above: Positive


class BlastBand(Part):
    """For a baseline below this share of marrow blasts (%): the share above which it is progression."""

    baseline_below: Share
    progression_above: Share


class Progression(Part):
    """Progression, and relapse after haematologic improvement. g/L, %, units."""

    blast_analyte: AnalyteCode
    blast_increase_pct_min: Positive
    blast_bands: tuple[BlastBand, ...] = Field(min_length=1)
    decrement_pct_min: Share
    haemoglobin_fall_min: Positive
    haemoglobin_fall_after_hi_min: Positive
    transfusion_dependence_units_min: int = Field(gt=0)

    @model_validator(mode="after")
    def _bands_rise(self) -> Progression:
        require_none(
            BrokenRule(("blast_bands", place, "baseline_below"), "must be above the one before")
            for place, (before, band) in enumerate(pairwise(self.blast_bands), start=1)
            if band.baseline_below <= before.baseline_below
        )
        return self


class Remission(Part):
    """CR, PR and marrow CR: what marrow and blood must show, and for how long. %, g/L, 10*9/L, days."""

    blood_blast_analyte: AnalyteCode
    marrow_blasts_max: Share
    marrow_blasts_decrease_pct_min: Share
    haemoglobin_min: Positive
    platelets_min: Positive
    neutrophils_min: Positive
    blood_blasts_max: Share
    lasting_days: int = Field(gt=0)
    marrow_gap_days_max: int = Field(gt=0)


class Iwg2006(Part):
    """The thresholds of the IWG 2006 criteria (Cheson et al., Blood 2006;108:419)."""

    hi_e: HaemoglobinRise
    hi_p: PlateletRise
    hi_n: NeutrophilRise
    progression: Progression
    remission: Remission


class TransfusionBurden(Part):
    """The groups by red-cell units before treatment: none (NTD), low (LTB) and high (HTB). Units, days.

    `most` counts are of any `period_days` within the `history_days` before day 0.
    """

    component: str
    history_days: int = Field(gt=0)
    period_days: int = Field(gt=0)
    low_units_min: int = Field(gt=0)
    low_units_max: int = Field(gt=0)
    low_episodes_min: int = Field(gt=0)
    low_most_in_period: int = Field(gt=0)
    high_units_min: int = Field(gt=0)
    high_least_in_period: int = Field(gt=0)

    @model_validator(mode="after")
    def _groups_are_apart(self) -> TransfusionBurden:
        require_none(self._broken())
        return self

    def _broken(self) -> Iterator[BrokenRule]:
        if not self.low_units_min <= self.low_units_max:
            yield BrokenRule(("low_units_max",), "must not be below low_units_min")
        if self.low_units_max >= self.high_units_min:
            yield BrokenRule(("low_units_max",), "must be below high_units_min")
        if self.low_most_in_period >= self.high_least_in_period:
            yield BrokenRule(("low_most_in_period",), "must be below high_least_in_period")
        if self.period_days > self.history_days:
            yield BrokenRule(("period_days",), "is part of history_days")


class Iwg2018(Part):
    """HI-E of the IWG 2018 criteria (Platzbecker et al., Blood 2019;133:1020). g/L, units, %, days."""

    analyte: AnalyteCode
    baseline_below: Positive
    baseline_values: int = Field(ge=1)
    baseline_apart_days_min: int = Field(ge=0)
    rise_min: Positive
    rise_counts_min: int = Field(ge=1)
    burden: TransfusionBurden
    independence_days: int = Field(gt=0)
    reduction_pct_min: Share
    observation_days_min: int = Field(gt=0)


RuleSet = Literal["IWG-2006", "IWG-2018"]


class Response(Part):
    """How response is judged: by which rule set, when, from which baseline, lasting for how long.

    IWG 2018 replaces HI-E alone: all the rest is judged by IWG 2006 under either rule set.
    """

    rule_set: RuleSet
    evaluations: tuple[Evaluation, ...] = Field(min_length=1)
    signature_meanings: tuple[SignatureMeaning, ...] = Field(min_length=1)
    baseline: Baseline
    wash_outs: tuple[WashOut, ...]
    confirmation_days: int = Field(gt=0)
    gap_days_max: int = Field(gt=0)
    iwg_2006: Iwg2006
    iwg_2018: Iwg2018 | None = None

    @model_validator(mode="after")
    def _rule_set_has_its_numbers(self) -> Response:
        if self.rule_set == "IWG-2018" and self.iwg_2018 is None:
            require_none([BrokenRule(("iwg_2018",), "must stand where the rule set is IWG-2018")])
        return self

    def evaluation(self, timepoint: str) -> Evaluation:
        """The evaluation at a timepoint. Raises LookupError when the protocol plans none."""
        for evaluation in self.evaluations:
            if evaluation.timepoint == timepoint:
                return evaluation
        raise LookupError(f"no evaluation at {timepoint!r} in the protocol")
