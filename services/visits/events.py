"""What has happened to a subject in the trial's year: this service's published language."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.events import Event
from shared.protocol.language import Measurement, SiteId, SubjectId


class Product(BaseModel):
    """A lot of mesenchymal stem cells, as its certificate of analysis describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lot: str
    cells_per_mL: Measurement  # noqa: N815 (the unit's own case)
    viability_pct: Measurement
    cd73_pct: Measurement
    cd90_pct: Measurement
    cd105_pct: Measurement
    negative_markers_pct: Measurement
    sterility: Literal["negative", "positive"]
    mycoplasma: Literal["negative", "positive"]
    endotoxin_EU_per_kg: Measurement  # noqa: N815


class ProductInfused(Event, name="product-infused", version=1, tags=("subject", "site")):
    """The subject received a dose of stem cells. Day 0 is the day of the first."""

    subject: SubjectId
    site: SiteId
    dose_number: int
    weight_kg: Measurement
    volume_mL: Measurement  # noqa: N815
    product: Product
    cells: Measurement
    cells_per_kg: Measurement
    deviation: bool


class CiclosporinDosed(Event, name="ciclosporin-dosed", version=1, tags=("subject", "site")):
    """A daily dose of ciclosporin was ordered; it holds until the next. Day 0 is the day of the first."""

    subject: SubjectId
    site: SiteId
    mg_per_kg_per_day: Measurement


class SymptomsScored(Event, name="symptoms-scored", version=1, tags=("subject", "site")):
    """The symptoms of one week, each from 0 (none) to 4."""

    subject: SubjectId
    site: SiteId
    week: int
    fatigue: int
    dyspnoea: int
    pallor: int
    palpitations: int
    dizziness: int


class TransfusionGiven(Event, name="transfusion-given", version=1, tags=("subject", "site")):
    """Units of a blood component were given."""

    subject: SubjectId
    site: SiteId
    component: Literal["RBC", "PLT"]
    units: int
    haemoglobin_before_g_L: Measurement | None = None  # noqa: N815


class SubjectEvaluated(Event, name="subject-evaluated", version=1, tags=("subject", "site")):
    """The response at a timepoint was assessed by a rule set, on the events at `inputs`."""

    subject: SubjectId
    site: SiteId
    timepoint: str
    rule_set: str
    lineages: dict[str, Literal["confirmed", "provisional", "not-met", "not-evaluable"]]
    progression: bool
    response: Literal["HI", "SD", "PD", "NE"]
    inputs: tuple[int, ...]
    final: bool
