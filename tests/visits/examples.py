"""One subject's year, as events and commands; used by the tests of several modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from services.audit.events import RecordsSigned, SignedRecord
from services.labs.events import AsSent, LabReportRecorded, LabResult, ResultStatus, Sender, Superseded, Tables
from services.randomization.events import SubjectWithdrawn
from services.visits import adverse_events, ciclosporin, domain, evaluation
from services.visits.commands import (
    CheckInfusionSafety,
    DoseCiclosporin,
    InfuseProduct,
    Lot,
    RecordTransfusion,
    ScoreSymptoms,
)
from services.visits.commands_safety import ReportAdverseEvent
from services.visits.events import (
    AdverseEventReported,
    CiclosporinDosed,
    EvaluationSignature,
    LineageStatus,
    OverallResponse,
    Product,
    ProductInfused,
    SecondDoseEligible,
    StatusReason,
    SubjectEvaluated,
    SymptomsScored,
    TransfusionGiven,
)
from shared.events import Event
from shared.identity import Actor, Role
from shared.protocol import Protocol, load_protocol
from shared.signing import SignatureMeaning
from tests.randomization.examples import assessed, randomized, screened
from tests.scenario import DAY_0, At, Scenario, given

S = "01-001"

PROTOCOL = load_protocol()
INFUSION = domain.infusion(PROTOCOL)
INFUSION_SAFETY = domain.infusion_safety(PROTOCOL)
CICLOSPORIN = ciclosporin.dosing(PROTOCOL)
SYMPTOMS = domain.symptoms(PROTOCOL)
TRANSFUSION = domain.transfusion(PROTOCOL)
ADVERSE_EVENTS = adverse_events.adverse_events(PROTOCOL)

INVESTIGATOR = Actor("i1", "Ines Gator", Role.INVESTIGATOR, "site", authenticated_at=DAY_0)
EVALUATION = evaluation.evaluation(PROTOCOL, INVESTIGATOR, DAY_0)
"""By an investigator who has just authenticated."""

DOSE_CICLOSPORIN = DoseCiclosporin(subject=S, mg_per_kg_per_day="5")
LOOK = CheckInfusionSafety(subject=S, look="S6H-1")
TRANSFUSE = RecordTransfusion(subject=S, component="RBC", units=2, haemoglobin_before_g_L="71")

SIGNATURE = EvaluationSignature(meaning="approval", printed_name="Ines Gator")

CERTIFICATE: dict[str, Any] = {
    "lot": "UC-0042",
    "cells_per_mL": Decimal(5_000_000),
    "viability_pct": Decimal(96),
    "cd73_pct": Decimal("98.5"),
    "cd90_pct": Decimal("99.1"),
    "cd105_pct": Decimal("97.8"),
    "negative_markers_pct": Decimal("0.9"),
    "sterility": "negative",
    "mycoplasma": "negative",
    "endotoxin_EU_per_kg": Decimal("0.3"),
}


def in_zone(zone: str) -> Protocol:
    """The protocol as if its site lay elsewhere."""
    site = PROTOCOL.sites.known[0].model_copy(update={"zone": zone})
    return PROTOCOL.model_copy(update={"sites": PROTOCOL.sites.model_copy(update={"known": (site,)})})


History = tuple[Event | At, ...]


def happened(*events: Event | At) -> History:
    """A beginning that several histories share."""
    return events


def in_arm(arm: str) -> History:
    """A subject that has been randomized, some days before its treatment began."""
    return happened(screened(S), randomized(S, 0, arm))


MSC, CSA = in_arm("MSC"), in_arm("CSA")


def left(scope: Any) -> SubjectWithdrawn:
    return SubjectWithdrawn(subject=S, site="01", scope=scope)


def infuse(dose_number: int = 1, volume_mL: str = "12.5", days: float = 0, **shown: Any) -> InfuseProduct:  # noqa: N803
    """Sixty million viable cells for 60 kg, of a lot that meets every criterion but for what it is said to show."""
    return InfuseProduct(
        subject=S,
        dose_number=dose_number,
        weight_kg=Decimal(60),
        volume_mL=Decimal(volume_mL),
        product=Lot(**CERTIFICATE | shown),
        occurred_at=DAY_0 + timedelta(days=days),
    )


def infused(dose_number: int = 1, cells_per_kg: int = 1_000_000, volume_mL: str = "12.5") -> ProductInfused:  # noqa: N803
    return ProductInfused(
        subject=S,
        site="01",
        dose_number=dose_number,
        weight_kg=Decimal(60),
        weighed_on=None,
        volume_mL=Decimal(volume_mL),
        product=Product(**CERTIFICATE),
        cells=Decimal(60 * cells_per_kg),
        cells_per_kg=Decimal(cells_per_kg),
        deviation=not 900_000 <= cells_per_kg <= 1_100_000,
    )


def dosed(mg_per_kg_per_day: str = "5") -> CiclosporinDosed:
    return CiclosporinDosed(subject=S, site="01", mg_per_kg_per_day=Decimal(mg_per_kg_per_day))


def score(week: int = 3, fatigue: int = 2, reason: str | None = None) -> ScoreSymptoms:
    return ScoreSymptoms(
        subject=S, week=week, fatigue=fatigue, dyspnoea=1, pallor=1, palpitations=0, dizziness=0, reason=reason
    )


def scored(week: int = 3, fatigue: int = 2) -> SymptomsScored:
    return SymptomsScored(
        subject=S, site="01", week=week, fatigue=fatigue, dyspnoea=1, pallor=1, palpitations=0, dizziness=0
    )


def transfused(units: int = 2, haemoglobin_g_L: str = "71") -> TransfusionGiven:  # noqa: N803
    return TransfusionGiven(
        subject=S, site="01", component="RBC", units=units, haemoglobin_before_g_L=Decimal(haemoglobin_g_L)
    )


ADVERSE_EVENT: dict[str, Any] = {
    "term": "Pyrexia",
    "grade": 1,
    "serious": False,
    "seriousness_criteria": (),
    "related": True,
    "expected": False,
    "infusion_reaction": False,
    "onset_on": None,
    "outcome": None,
    "action_taken": None,
    "aware_at": DAY_0,
}


def report(**members: Any) -> ReportAdverseEvent:
    """The report of a mild fever, but for what is said of it."""
    return ReportAdverseEvent(subject=S, **ADVERSE_EVENT | members)


def reported(**members: Any) -> AdverseEventReported:
    """That report as an event; by when it is due is given or nothing."""
    unsaid = {"fatal": False, "sponsor_by": None, "authority_on": None, "follow_up_on": None}
    return AdverseEventReported(subject=S, site="01", **ADVERSE_EVENT | unsaid | members)


def counted(
    number: int,
    status: ResultStatus = "F",
    supersedes: int | None = None,
    *,
    current: bool = True,
    **values: str | None,
) -> LabReportRecorded:
    """A blood count, or a later word on it: results with the same number of a report are the same results."""
    before = None if supersedes is None else Superseded(position=supersedes, version=1)
    return LabReportRecorded(
        subject=S,
        site="01",
        message_key=f"m{number}-{status}",
        digest="0" * 64,
        source="json",
        sender=Sender(application="LIS", facility="HOSPITAL"),
        message_id=f"m{number}-{status}",
        reported_at=DAY_0,
        orders=(f"o{number}",),
        results=tuple(
            LabResult(
                key=f"o{number}/{code}",
                version=1 if before is None else 2,
                code=code,
                value=None if value is None else Decimal(value),
                unit="",
                status=status,
                collected_at=DAY_0,
                as_sent=AsSent(code=code, value=value, unit=""),
                current=current,
                supersedes=before,
            )
            for code, value in values.items()
        ),
        tables=Tables(analytes="1.0", other_tests="1.0", ctcae="5.0"),
    )


def collected(days: float, event: LabReportRecorded) -> At:
    """A report whose specimens were taken so many days after day 0, and that came on the same day."""
    at = DAY_0 + timedelta(days=days)
    results = tuple(result.model_copy(update={"collected_at": at}) for result in event.results)
    return At(event.model_copy(update={"results": results}), days)


BASELINE = (
    collected(-14, counted(1, HGB="84", PLT="150", NEUT="1.9")),
    collected(-3, counted(2, HGB="88", PLT="150", NEUT="1.9")),
)
"""Haemoglobin 86 g/L on average: cytopenic in one lineage alone."""

RESPONSE = (
    collected(30, counted(3, HGB="101", PLT="150", NEUT="1.9")),
    collected(61, counted(4, HGB="103", PLT="150", NEUT="1.9")),
    collected(91, counted(5, HGB="102", PLT="150", NEUT="1.9")),
)
"""Haemoglobin at least 15 g/L above the baseline for 61 days."""


NO_REMISSIONS: dict[str, LineageStatus] = {"CR": "not-evaluable", "PR": "not-evaluable", "mCR": "not-evaluable"}
"""Of a subject without a marrow before treatment."""


def evaluated(
    timepoint: str = "M3",
    hi_e: LineageStatus = "confirmed",
    *,
    response: OverallResponse = "HI",
    progression: bool = False,
    inputs: tuple[int, ...] = (),
    final: bool = False,
    signed: bool = True,
    computed: LineageStatus | None = None,
) -> SubjectEvaluated:
    """An evaluation that was signed with its making; of HI-E, what the rule set said where that is something else."""
    lineages: Mapping[str, LineageStatus] = {"HI-E": hi_e, "HI-P": "not-evaluable", "HI-N": "not-evaluable"}
    no_marrow = dict.fromkeys(NO_REMISSIONS, "baseline-marrow-missing")
    ground = {"confirmed": "rise-lasting", "provisional": "rise-not-yet-lasting", "not-met": "rise-too-small"}
    return SubjectEvaluated(
        subject=S,
        site="01",
        timepoint=timepoint,
        rule_set="IWG-2006",
        lineages=dict(lineages),
        computed={**lineages, "HI-E": computed or hi_e},
        grounds={
            "HI-E": ground.get(computed or hi_e, "count-missing"),
            "HI-P": "baseline-not-cytopenic",
            "HI-N": "baseline-not-cytopenic",
        }
        | no_marrow,
        progression=progression,
        findings=("blasts-increased",) if progression else (),
        response=response,
        inputs=inputs,
        final=final,
        remissions=NO_REMISSIONS,
        signature=SIGNATURE if signed else None,
    )


def signature_over(position: int, meaning: SignatureMeaning = "approval") -> RecordsSigned:
    """A signature that was given later, over the record at a position."""
    return RecordsSigned(
        records=(SignedRecord(position=position, leaf_hash=""),),
        meaning=meaning,
        printed_name="Ines Gator",
        subjects=(S,),
        sites=("01",),
    )


def given_by(actor: Actor, *events: Event | At) -> Scenario:
    """A history that was recorded by one actor."""
    return Scenario(tuple(replace(each, by=actor.as_recorded()) for each in given(*events).history))


SCREENED_WITH_FINDINGS = happened(screened(S), assessed(S), randomized(S, 0))


RESPONDER = happened(*MSC, infused(), At(evaluated(), 93))
"""Positions: screened 1, randomized 2, infused 3, evaluated 4."""

ELIGIBLE = SecondDoseEligible(subject=S, site="01", because=(StatusReason(code="hi-e-confirmed", position=4),))
