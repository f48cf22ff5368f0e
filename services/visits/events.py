"""What has happened to a subject in the trial's year: this service's published language."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.visits.partial_dates import PartialDate
from shared.clock import Instant
from shared.events import Event, upcaster
from shared.protocol.deviations import DeviationGrade
from shared.protocol.language import AnalyteCode, Code, Measurement, SiteId, SubjectId
from shared.signing import SignatureMeaning, changes_tag

LineageStatus = Literal["confirmed", "provisional", "not-met", "not-evaluable"]
OverallResponse = Literal["CR", "PR", "mCR", "HI", "SD", "PD", "NE"]

AdverseEventOutcome = Literal["recovered", "recovering", "not-recovered", "recovered-with-sequelae", "fatal", "unknown"]
"""ICH E2B(R3), E.i.7."""

ActionTaken = Literal["withdrawn", "dose-reduced", "dose-increased", "not-changed", "unknown", "not-applicable"]
"""With the treatment; ICH E2B(R3), G.k.8."""

ReportKind = Literal["sponsor", "authority", "authority-follow-up"]
"""To whom a safety report goes: the sponsor, the authority first, the authority with what became known later."""

DeviationKind = Literal["consent", "eligibility", "treatment", "assessment", "safety-reporting", "other"]
"""What a protocol deviation departs from (CDISC DVCAT)."""


class Product(BaseModel):
    """A lot of mesenchymal stem cells, as its certificate of analysis describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

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
    karyotype: Literal["normal", "abnormal"] | None = None  # of lots that it is reported of


class ProductInfused(Event, name="product-infused", version=2, tags=("subject", "site")):
    """The subject received a dose of stem cells. Day 0 is the day of the first.

    Version 1 did not say when the subject was weighed, nor the karyotype of the lot.
    """

    subject: SubjectId
    site: SiteId
    dose_number: int
    weight_kg: Measurement
    weighed_on: date | None
    volume_mL: Measurement  # noqa: N815
    product: Product
    cells: Measurement
    cells_per_kg: Measurement
    deviation: bool


@upcaster("product-infused", 1)
def _without_weighing_and_karyotype(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"weighed_on": None, "product": data["product"] | {"karyotype": None}}


class InfusionSafetyChecked(Event, name="infusion-safety-checked", version=1, tags=("subject", "site")):
    """The subject was looked at some hours or days after an infusion; `look` is the schedule's item, such as S6H-1."""

    subject: SubjectId
    site: SiteId
    look: str


class CiclosporinDosed(Event, name="ciclosporin-dosed", version=1, tags=("subject", "site")):
    """A daily dose of ciclosporin was ordered; it holds until the next, and none a day is an interruption.

    Day 0 is the day of the first.
    """

    subject: SubjectId
    site: SiteId
    mg_per_kg_per_day: Measurement


CiclosporinAdvice = Literal["repeat-creatinine", "reduce-dose", "stop-treatment", "review-dose", "none"]


class CiclosporinDoseAdvised(Event, name="ciclosporin-dose-advised", version=1, tags=("subject", "site")):
    """What a result of creatinine or trough calls for by the protocol, on the events at `inputs`; `none` takes it back.

    `result` is the key of the laboratory's result. A dose to be reduced is to lie between the two that are named.
    """

    subject: SubjectId
    site: SiteId
    analyte: AnalyteCode
    result: str
    collected_at: Instant
    advice: CiclosporinAdvice
    ground: Code
    inputs: tuple[int, ...]
    repeat_by: date | None = None
    mg_per_kg_per_day_min: Measurement | None = None
    mg_per_kg_per_day_max: Measurement | None = None


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


class ItemMissed(Event, name="item-missed", version=1, tags=("subject", "site")):
    """The window of an item closed, by the site's calendar, and nothing that does it had been recorded.

    `protocol_version` is that of the schedule that the window is of. What is recorded later makes the item done late.
    """

    subject: SubjectId
    site: SiteId
    code: str
    activity: Code
    nominal_on: date
    opens_on: date
    closes_on: date
    protocol_version: str


class TransfusionGiven(Event, name="transfusion-given", version=1, tags=("subject", "site")):
    """Units of a blood component were given."""

    subject: SubjectId
    site: SiteId
    component: Literal["RBC", "PLT"]
    units: int
    haemoglobin_before_g_L: Measurement | None = None  # noqa: N815


class AdverseEventReported(Event, name="adverse-event-reported", version=2, tags=("subject", "site")):
    """Something untoward befell the subject; `grade` is by CTCAE, `aware_at` is when the sponsor could know.

    Its position is its identity for good: later words on it name it as `adverse_event`. The last three fields say by
    when it is to be reported, under the protocol that it was recorded under: to the sponsor, to the authority, and to
    the authority in full. Where nothing is to be reported they are None.
    """

    subject: SubjectId
    site: SiteId
    term: str
    grade: int
    serious: bool
    seriousness_criteria: tuple[Code, ...]
    related: bool
    expected: bool
    infusion_reaction: bool
    fatal: bool
    onset_on: PartialDate | None
    outcome: AdverseEventOutcome | None
    action_taken: ActionTaken | None
    aware_at: Instant
    sponsor_by: Instant | None
    authority_on: date | None
    follow_up_on: date | None


@upcaster("adverse-event-reported", from_version=1)
def _onset_may_be_partial(data: dict[str, Any]) -> dict[str, Any]:
    """A whole day, which was all that version 1 could hold, is written as version 2 writes it."""
    return data


class AdverseEventFollowedUp(Event, name="adverse-event-followed-up", version=1, tags=("subject", "site")):
    """More became known, at `aware_at`, of the event that was reported at `adverse_event`: how it is judged now.

    All that may change is said, changed or not. The last of the times say which reports are due because of this, beside
    those that were due before. `death_retracted`: the subject was on record as dead and, by this, is no longer.
    """

    subject: SubjectId
    site: SiteId
    adverse_event: int
    grade: int
    serious: bool
    seriousness_criteria: tuple[Code, ...]
    related: bool
    expected: bool
    infusion_reaction: bool
    fatal: bool
    resolved_on: PartialDate | None
    outcome: AdverseEventOutcome | None
    action_taken: ActionTaken | None
    aware_at: Instant
    sponsor_by: Instant | None
    authority_on: date | None
    follow_up_on: date | None
    death_retracted: bool


class ClockEnded(BaseModel):
    """A reporting clock that runs no more: the position of what started it, the report, and whether that was late."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    started_by: int
    report: ReportKind
    late: bool


class AdverseEventNullified(Event, name="adverse-event-nullified", version=1, tags=("subject", "site")):
    """The event at `adverse_event` was reported in error and is void as a whole (ICH E2B(R3), C.1.11.1)."""

    subject: SubjectId
    site: SiteId
    adverse_event: int
    clocks: tuple[ClockEnded, ...]
    death_retracted: bool


class SafetyReportSubmitted(Event, name="safety-report-submitted", version=1, tags=("subject", "site")):
    """A report of the event at `adverse_event` was handed in; it answers the clocks that ran for it."""

    subject: SubjectId
    site: SiteId
    adverse_event: int
    report: ReportKind
    clocks: tuple[ClockEnded, ...]


class ProtocolDeviationRecorded(Event, name="protocol-deviation-recorded", version=1, tags=("subject", "site")):
    """Something departed from the protocol (ICH E3 Q&A R1 Q7): which code, how grave, and which item of the schedule.

    `fact` is the position of what departs; None where a person noted it.
    """

    subject: SubjectId
    site: SiteId
    kind: DeviationKind
    code: Code
    grade: DeviationGrade
    item: str | None
    fact: int | None


class ProtocolDeviationGraded(Event, name="protocol-deviation-graded", version=1, tags=("subject", "site")):
    """A person judged anew how grave the deviation that was recorded at a position is."""

    subject: SubjectId
    site: SiteId
    deviation: int
    grade_before: DeviationGrade
    grade: DeviationGrade


class EvaluationSignature(BaseModel):
    """What whoever made an evaluation signed it as; signer and time stand in the event's own record (21 CFR 11.50)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    meaning: SignatureMeaning
    printed_name: str


class SubjectEvaluated(Event, name="subject-evaluated", version=2, tags=("subject", "site", "timepoint")):
    """The response at a timepoint was assessed by a rule set, on the events at `inputs`.

    `grounds` says why the rule set gives each lineage and each remission its status, `findings` what shows progression.
    `lineages` and `response` hold; `computed` is what the rule set alone says of the lineages, which is something else
    where an investigator has overridden it. `signature` is None where the evaluation was not signed as it was made.
    `final` marks the protocol's last timepoint. Version 1 knew neither `remissions`, which are CR, PR and mCR, nor
    overrides and signatures.
    """

    subject: SubjectId
    site: SiteId
    timepoint: str
    rule_set: str
    lineages: dict[str, LineageStatus]
    computed: dict[str, LineageStatus]
    remissions: dict[str, LineageStatus]
    grounds: dict[str, Code]
    progression: bool
    findings: tuple[Code, ...]
    response: OverallResponse
    inputs: tuple[int, ...]
    final: bool
    signature: EvaluationSignature | None = None

    @property
    def overridden(self) -> dict[str, LineageStatus]:
        """The lineages of which an investigator says something else than the rule set, and what."""
        return {code: status for code, status in self.lineages.items() if status != self.computed[code]}


class StatusChange(BaseModel):
    """What an evaluation would say now of a lineage, a remission, `progression` or `response`, and what it said."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    criterion: str
    before: str | None
    after: str


class EvaluationInputsChanged(Event, name="evaluation-inputs-changed", version=2, tags=("subject", "site")):
    """What the evaluation at a position rests on was corrected, or came in late; it would now rest on `inputs`.

    Where `outcome_changed`, it would now come out as `lineages`, `remissions`, `progression` and `response` say, and it
    holds no longer: an investigator has to evaluate again, and its signature is superseded. `added` and `removed` are
    inputs, `changes` what it would say otherwise, each against the evaluation; version 1 did not say what changed.
    """

    subject: SubjectId
    site: SiteId
    timepoint: str
    evaluation: int
    inputs: tuple[int, ...]
    lineages: dict[str, LineageStatus]
    remissions: dict[str, LineageStatus]
    progression: bool
    response: OverallResponse
    outcome_changed: bool
    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    changes: tuple[StatusChange, ...] = ()

    def tags(self) -> tuple[str, ...]:
        """`subject:`, `site:`, and `changes:N` of the evaluation at N that holds no longer."""
        return (*super().tags(), *((changes_tag(self.evaluation),) if self.outcome_changed else ()))


@upcaster("subject-evaluated", 1)
def _without_remissions_and_override(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"remissions": {}, "computed": data["lineages"], "signature": None}


@upcaster("evaluation-inputs-changed", 1)
def _without_remissions_and_changes(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"remissions": {}, "added": (), "removed": (), "changes": ()}


class StatusReason(BaseModel):
    """Why something stands as it does: a stable code, and the position of an event that it rests on, if on one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    code: Code
    position: int | None = None


class SecondDoseEligible(Event, name="second-dose-eligible", version=1, tags=("subject", "site")):
    """The subject may be given the second infusion, because of these events."""

    subject: SubjectId
    site: SiteId
    because: tuple[StatusReason, ...]


class SecondDoseIneligible(Event, name="second-dose-ineligible", version=1, tags=("subject", "site")):
    """The subject may not, or may no longer, be given the second infusion, because of these events."""

    subject: SubjectId
    site: SiteId
    because: tuple[StatusReason, ...]
