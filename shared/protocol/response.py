"""How the protocol writes its response criteria: baseline, wash-out, confirmation, and a rule set's thresholds."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.protocol.criteria import Part
from shared.protocol.language import AnalyteCode

Timepoint = Annotated[str, StringConstraints(pattern=r"^M[0-9]{1,2}$")]
"""A time of evaluation, such as `M3`."""


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


class WashOut(Part):
    """For how many days after a transfusion of a component the counts of an analyte do not count."""

    component: str
    analyte: AnalyteCode
    days: int = Field(ge=0)


class HaemoglobinRise(Part):
    """HI-E: a rise of haemoglobin, or fewer red-cell units given for a low haemoglobin. g/L, units, days."""

    analyte: AnalyteCode
    baseline_below: Decimal
    rise_min: Decimal
    transfusion_component: str
    transfusion_period_days: int = Field(gt=0)
    transfusion_reduction_units_min: int = Field(gt=0)
    transfusion_haemoglobin_max: Decimal


class PlateletRise(Part):
    """HI-P: an absolute rise, or from a low start a relative rise to above a floor. 10*9/L, %."""

    analyte: AnalyteCode
    baseline_below: Decimal
    rise_min: Decimal
    low_start_below: Decimal
    low_start_to_above: Decimal
    low_start_rise_pct_min: Decimal


class NeutrophilRise(Part):
    """HI-N: a relative and an absolute rise, both. 10*9/L, %."""

    analyte: AnalyteCode
    baseline_below: Decimal
    rise_pct_min: Decimal
    rise_above: Decimal


class BlastBand(Part):
    """For a baseline below this share of marrow blasts (%): the share above which it is progression."""

    baseline_below: Decimal
    progression_above: Decimal


class Progression(Part):
    """Progression, and relapse after haematologic improvement. g/L, %, units."""

    blast_analyte: AnalyteCode
    blast_increase_pct_min: Decimal
    blast_bands: tuple[BlastBand, ...] = Field(min_length=1)
    decrement_pct_min: Decimal
    haemoglobin_fall_min: Decimal
    haemoglobin_fall_after_hi_min: Decimal
    transfusion_dependence_units_min: int = Field(gt=0)


class Iwg2006(Part):
    """The thresholds of the IWG 2006 criteria (Cheson et al., Blood 2006;108:419)."""

    hi_e: HaemoglobinRise
    hi_p: PlateletRise
    hi_n: NeutrophilRise
    progression: Progression


class Response(Part):
    """How response is judged: by which rule set, when, from which baseline, lasting for how long."""

    rule_set: Literal["IWG-2006"]
    evaluations: tuple[Evaluation, ...] = Field(min_length=1)
    baseline: Baseline
    wash_outs: tuple[WashOut, ...]
    confirmation_days: int = Field(gt=0)
    gap_days_max: int = Field(gt=0)
    iwg_2006: Iwg2006

    def evaluation(self, timepoint: str) -> Evaluation:
        """The evaluation at a timepoint. Raises LookupError when the protocol plans none."""
        for evaluation in self.evaluations:
            if evaluation.timepoint == timepoint:
                return evaluation
        raise LookupError(f"no evaluation at {timepoint!r} in the protocol")
