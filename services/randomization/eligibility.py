"""Who may enter the trial: the findings of screening against the criteria of the protocol, each failed one named.

The bounds stand in the protocol document (NCT01129739; WHO 2008 for the diagnosis), never here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from shared.protocol.criteria import Fact, failed
from shared.protocol.language import Percentage, PositiveMeasurement, Whole
from shared.protocol.model import Eligibility

TestResult = Literal["negative", "positive"]


class Findings(BaseModel):
    """What screening found. Their names are the facts that the protocol's criteria speak of."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    diagnosis: Annotated[Literal["RA", "RARS"], Field(description="By WHO 2008.")]
    marrow_blasts_pct: Annotated[Percentage, Field(description="Of nucleated marrow cells.")]
    blood_blasts_pct: Annotated[Percentage, Field(description="Of leucocytes.")]
    ring_sideroblasts_pct: Annotated[Percentage, Field(description="Of erythroid precursors.")]
    ecog: Annotated[Whole, Field(ge=0, le=5, description="ECOG performance status.")]
    ejection_fraction_pct: Annotated[Percentage, Field(description="Of the left ventricle.")]
    creatinine_umol_L: Annotated[PositiveMeasurement, Field(description="In serum.")]  # noqa: N815 (UCUM's own case)
    hiv: TestResult
    pregnancy: TestResult | Literal["not-applicable"]
    active_infection: Annotated[StrictBool, Field(description="Severe viral or fungal infection.")]
    psychiatric_condition: Annotated[StrictBool, Field(description="One that limits consent.")]
    other_trial_within_4_weeks: StrictBool


@dataclass(frozen=True, slots=True)
class Assessment:
    """The codes of the criteria that the subject fails, in the protocol's order; none means eligible."""

    failed_criteria: tuple[str, ...]

    @property
    def eligible(self) -> bool:
        return not self.failed_criteria


def assess(eligibility: Eligibility, findings: Findings, *, age: int, consented: bool = True) -> Assessment:
    """Check all criteria, also after one has failed: CONSORT counts every reason for exclusion.

    `age` is the difference of calendar years: only the year of birth is known. `consented` is whether written consent
    was given, which the procedures of screening need before any of them may be done (ICH E6(R3) 2.8.1).
    """
    facts: dict[str, Fact] = {name: getattr(findings, name) for name in Findings.model_fields}
    facts |= {"age_years": age, "consented": consented}
    return Assessment(failed_criteria=failed(eligibility.criteria, facts))
