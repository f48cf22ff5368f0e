"""The rules of a subject's year: which dose is given to whom, and what may be recorded as observed.

Pure functions. Who a record may be made about at all stands in `subject`; who gets a second dose in `second_dose`; how
the response is judged in `evaluation`; what befell a subject in `adverse_events`. A dose before randomization or
outside its window is a deviation: it was given, and so it is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.randomization.events import WrongTreatmentGiven
from services.visits import dosing
from services.visits.commands import (
    CheckInfusionSafety,
    InfuseProduct,
    RecordTransfusion,
    ScoreSymptoms,
)
from services.visits.events import (
    InfusionSafetyChecked,
    Product,
    ProductInfused,
    SymptomsScored,
    TransfusionGiven,
)
from services.visits.schedule import safety_looks, symptom_item
from services.visits.second_dose import NEEDS as SECOND_DOSE_NEEDS
from services.visits.second_dose import conclusion, second_dose_of, status_reasons
from services.visits.subject import (
    FIRST,
    OTHER_TREATMENT,
    SECOND,
    Subject,
    require_followed,
    require_treated_by,
    subject_decider,
)
from shared.chronology import require_not_before
from shared.decision import Decider
from shared.events import Event
from shared.problems import REASON_REQUIRED, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

DOSE_GIVEN = refusal("dose-already-given", 409, "The dose of this number has been given.")
DOSE_NOT_PLANNED = refusal("dose-not-planned", 409, "The protocol has no dose of this number.")
FIRST_DOSE_MISSING = refusal("first-dose-missing", 409, "The first dose has not been given.")
SECOND_DOSE_NOT_ELIGIBLE = refusal("second-dose-not-eligible", 409, "The subject is not eligible for a second dose.")
LOT_NOT_RELEASED = refusal("lot-not-released", 409, "The lot fails criteria of product release.")
LOOK_NOT_PLANNED = refusal("look-not-planned", 409, "No infusion of the subject is followed by this look.")
WEEK_NOT_PLANNED = refusal("week-not-planned", 422, "The protocol asks for no symptoms in this week.")


# Treatment.


def infuse(protocol: Protocol, command: InfuseProduct, subject: Subject) -> Sequence[Event]:
    """A dose is given once, of a lot that fails no criterion of release, and a second one only to who is eligible.

    Whether what was given keeps to the protocol's dose is recorded, not enforced: it has been given.
    """
    require_treated_by(protocol, subject, "msc-infusion")
    if protocol.dose is None:
        raise OTHER_TREATMENT(arm=subject.arm)
    if command.dose_number in subject.infusions:
        raise DOSE_GIVEN(dose_number=command.dose_number)
    conclusions = _required_before(protocol, command, subject)
    if failed := protocol.failed_release(command.product.model_dump(exclude_none=True)):
        raise LOT_NOT_RELEASED(failed_criteria=list(failed))
    delivered = dosing.deliver(
        protocol.dose,
        weight_kg=command.weight_kg,
        volume_mL=command.volume_mL,
        cells_per_mL=command.product.cells_per_mL,
        viability_pct=command.product.viability_pct,
    )
    return [
        *conclusions,
        ProductInfused(
            subject=command.subject,
            site=site_of(command.subject),
            dose_number=command.dose_number,
            weight_kg=command.weight_kg,
            weighed_on=command.weighed_on,
            volume_mL=command.volume_mL,
            product=Product(**dict(command.product)),
            cells=delivered.cells,
            cells_per_kg=delivered.cells_per_kg,
            deviation=delivered.deviation,
        ),
    ]


def _required_before(protocol: Protocol, command: InfuseProduct, subject: Subject) -> Sequence[Event]:
    """What must stand in the log before a dose of that number: nothing for the first, eligibility for the second.

    Nobody has had the second on a day before the first. A policy records the eligibility a moment after the evaluation;
    who is faster than that records it with the dose.
    """
    if command.dose_number == FIRST:
        return []
    if command.dose_number != SECOND or protocol.second_dose is None:
        raise DOSE_NOT_PLANNED(dose_number=command.dose_number)
    if FIRST not in subject.infusions:
        raise FIRST_DOSE_MISSING()
    on = protocol.civil_date(command.at, subject.site)
    require_not_before(on, "first-infusion", protocol.civil_date(subject.infusions[FIRST].at, subject.site))
    decision = second_dose_of(protocol, subject, on)
    if decision.state != "eligible":
        because = [reason.model_dump() for reason in status_reasons(decision)]
        raise SECOND_DOSE_NOT_ELIGIBLE(state=decision.state, because=because)
    return conclusion(command.subject, subject, decision)


def infusion(protocol: Protocol) -> Decider[InfuseProduct, Subject]:
    """The rules of infusion under a protocol."""
    return subject_decider(
        protocol,
        lambda command, subject: infuse(protocol, command, subject),
        WrongTreatmentGiven,
        *SECOND_DOSE_NEEDS,
    )


def check_infusion_safety(protocol: Protocol, command: CheckInfusionSafety, subject: Subject) -> Sequence[Event]:
    """A look that the protocol asks for, not on a day before its infusion; to have had it twice is to have had it."""
    arm = require_followed(subject)
    if command.look not in safety_looks(protocol, arm, subject.infusions):
        raise LOOK_NOT_PLANNED(look=command.look)
    if command.look in subject.looks:
        return []
    given = subject.infusions[int(command.look.rpartition("-")[2])]
    on, given_on = (protocol.civil_date(at, subject.site) for at in (command.at, given.at))
    require_not_before(on, "infusion", given_on)
    return [InfusionSafetyChecked(subject=command.subject, site=site_of(command.subject), look=command.look)]


def infusion_safety(protocol: Protocol) -> Decider[CheckInfusionSafety, Subject]:
    """The rules of the looks after an infusion under a protocol."""
    return subject_decider(
        protocol,
        lambda command, subject: check_infusion_safety(protocol, command, subject),
        ProductInfused,
        InfusionSafetyChecked,
    )


# Observation.


def score_symptoms(protocol: Protocol, command: ScoreSymptoms, subject: Subject) -> Sequence[Event]:
    """One score a week. Another score of the same week replaces it and needs a reason; the same one changes nothing."""
    arm = require_followed(subject)
    if symptom_item(protocol, arm, command.week) is None:
        raise WEEK_NOT_PLANNED(week=command.week)
    scored = SymptomsScored(
        subject=command.subject,
        site=site_of(command.subject),
        week=command.week,
        fatigue=command.fatigue,
        dyspnoea=command.dyspnoea,
        pallor=command.pallor,
        palpitations=command.palpitations,
        dizziness=command.dizziness,
    )
    earlier = subject.symptoms.get(command.week)
    if earlier == scored:
        return []
    if earlier is not None and command.reason is None:
        raise REASON_REQUIRED(f"The symptoms of week {command.week} have been scored before.")
    return [scored]


def symptoms(protocol: Protocol) -> Decider[ScoreSymptoms, Subject]:
    """The rules of symptom scores under a protocol."""
    return subject_decider(
        protocol, lambda command, subject: score_symptoms(protocol, command, subject), SymptomsScored
    )


def record_transfusion(command: RecordTransfusion, subject: Subject) -> Sequence[Event]:
    """Blood that was given, also before treatment and consent: a reduction is judged against the weeks before."""
    require_followed(subject)
    return [
        TransfusionGiven(
            subject=command.subject,
            site=site_of(command.subject),
            component=command.component,
            units=command.units,
            haemoglobin_before_g_L=command.haemoglobin_before_g_L,
        )
    ]


def transfusion(protocol: Protocol) -> Decider[RecordTransfusion, Subject]:
    """The rules of transfusions under a protocol, which says for how many weeks their history is asked for."""
    weeks = protocol.eligibility.screening.transfusion_history_weeks
    return subject_decider(protocol, record_transfusion, weeks_before_start=weeks)
