"""What may be asked about a subject's year. Each command extends the request body it is made from.

The bounds here tell a slip of the pen from a measurement; what the protocol allows stands in the protocol.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from services.visits.events import LineageStatus, Product
from shared.decision import Command
from shared.protocol.language import MAGNITUDE_MIN, Measurement, Percentage, SubjectId, Whole
from shared.protocol.response import Timepoint

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _written_date(value: Any) -> Any:  # noqa: ANN401 (whatever JSON holds)
    if not isinstance(value, date) and not (isinstance(value, str) and _DATE.fullmatch(value)):
        raise ValueError("a date is written as 2026-05-03")
    return value


CivilDate = Annotated[
    date,
    BeforeValidator(_written_date),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-05-03"]}),
]
"""A day of the calendar, without a time."""

_SMALLEST = 10.0**MAGNITUDE_MIN
_FRACTION = r"(\.[0-9]{1,12})?"


def _described(high: int, below: str, *ranges: tuple[float, float]) -> WithJsonSchema:
    """How a measurement up to `high` is described: a JSON number in some closed ranges, or the same as a string.

    `below` matches the string of every value that is less than `high`.
    """
    numbers = [{"type": "number", "minimum": least, "maximum": greatest} for least, greatest in ranges]
    text = {"type": "string", "pattern": rf"^({high}(\.0{{1,12}})?|{below})$"}
    return WithJsonSchema({"anyOf": [*numbers, text]}, mode="validation")


WeightKg = Annotated[
    Measurement, Field(ge=10, le=400), _described(400, rf"([1-9][0-9]|[1-3][0-9]{{2}}){_FRACTION}", (10, 400))
]
VolumeMl = Annotated[Measurement, Field(ge=1, le=1000), _described(1000, rf"[1-9][0-9]{{0,2}}{_FRACTION}", (1, 1000))]
CellsPerMl = Annotated[
    Measurement, Field(ge=1, le=10**10), _described(10**10, rf"[1-9][0-9]{{0,9}}{_FRACTION}", (1, 10**10))
]
ViabilityPct = Annotated[Measurement, Field(ge=1, le=100), _described(100, rf"[1-9][0-9]?{_FRACTION}", (1, 100))]
EndotoxinEuPerKg = Annotated[
    Measurement, Field(ge=0, le=1000), _described(1000, rf"[0-9]{{1,3}}{_FRACTION}", (0, 0), (_SMALLEST, 1000))
]
MgPerKgPerDay = Annotated[
    Measurement, Field(ge=0, le=50), _described(50, rf"[0-9]{_FRACTION}|[1-4][0-9]{_FRACTION}", (0, 0), (_SMALLEST, 50))
]
HaemoglobinGPerL = Annotated[
    Measurement,
    Field(ge=20, le=250, description="In the range in which a laboratory's result counts as plausible."),
    _described(250, rf"([2-9][0-9]|1[0-9]{{2}}|2[0-4][0-9]){_FRACTION}", (20, 250)),
]


class AboutSubject(Command):
    """What every command here says: whom it is about."""

    subject: SubjectId


class Lot(Product):
    """A lot, as its certificate of analysis describes it; what may be infused is decided by the protocol."""

    lot: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9./_ -]{0,39}$")]
    cells_per_mL: CellsPerMl  # noqa: N815 (the unit's own case)
    viability_pct: ViabilityPct
    cd73_pct: Percentage
    cd90_pct: Percentage
    cd105_pct: Percentage
    negative_markers_pct: Annotated[
        Percentage, Field(description="The highest of CD45, CD34, CD11b or CD14, CD19 or CD79a, HLA-DR.")
    ]
    endotoxin_EU_per_kg: EndotoxinEuPerKg  # noqa: N815


class Infusion(Command):
    """The dose that was given, of which lot, and what the subject weighed."""

    dose_number: Annotated[Whole, Field(ge=1, le=9)]
    weight_kg: WeightKg
    weighed_on: Annotated[CivilDate | None, Field(description="At the site; the protocol says how old at most.")] = None
    volume_mL: VolumeMl  # noqa: N815
    product: Lot


class InfuseProduct(Infusion, AboutSubject):
    """Record that the subject was given a dose of stem cells."""


class SafetyLook(Command):
    """The look after an infusion that was had."""

    look: Annotated[
        str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,7}-[1-9]$"), Field(description="Its code in the schedule.")
    ]


class CheckInfusionSafety(SafetyLook, AboutSubject):
    """Record that the subject was looked at after an infusion; what was seen is an adverse event of its own."""


class CiclosporinDose(Command):
    """The daily dose from now on."""

    mg_per_kg_per_day: Annotated[MgPerKgPerDay, Field(description="0 interrupts the treatment until the next dose.")]


class DoseCiclosporin(CiclosporinDose, AboutSubject):
    """Record the daily dose that was ordered."""


Score = Annotated[Whole, Field(ge=0, le=4, description="From 0 (none) to 4.")]


class Symptoms(Command):
    """The symptoms of one week, counted from day 0."""

    week: Annotated[Whole, Field(ge=1, le=999)]
    fatigue: Score
    dyspnoea: Score
    pallor: Score
    palpitations: Score
    dizziness: Score


class ScoreSymptoms(Symptoms, AboutSubject):
    """Record the symptoms of a week."""


class RecordMissedItems(AboutSubject):
    """Record the items of the subject whose windows have closed without a record of them."""


class BloodTransfusion(Command):
    """Units of a blood component, and the haemoglobin that they were given for."""

    component: Literal["RBC", "PLT"]
    units: Annotated[Whole, Field(ge=1, le=50)]
    haemoglobin_before_g_L: HaemoglobinGPerL | None = None  # noqa: N815


class RecordTransfusion(BloodTransfusion, AboutSubject):
    """Record that the subject was given blood."""


class Override(BaseModel):
    """What the investigator says of some lineages against the rule set."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    lineages: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,4}-[A-Z]$")], LineageStatus],
        Field(
            min_length=1,
            max_length=9,
            examples=[{"HI-E": "confirmed"}],
            json_schema_extra={"additionalProperties": False},  # beside the names of that pattern
        ),
    ]


class Evaluation(Command):
    """The time of the evaluation, and what the investigator says against the rule set, if anything.

    An override needs a reason, an investigator, and fresh authentication.
    """

    timepoint: Timepoint
    override: Override | None = None


class EvaluateSubject(Evaluation, AboutSubject):
    """Judge the response at a timepoint from what the log holds."""


class ConcludeSecondDose(AboutSubject):
    """Settle whether the subject may be given the second infusion, as things stand."""


class AdviseOnCiclosporin(AboutSubject):
    """Settle what the subject's creatinine and troughs call for."""


class ReviewEvaluations(AboutSubject):
    """See whether the subject's evaluations still rest on what the laboratories say."""
