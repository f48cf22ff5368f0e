"""What follows by itself: the second dose's eligibility, the review of evaluations on what came later, deviations."""

from __future__ import annotations

from collections.abc import Sequence

from services.audit.events import RecordsSigned
from services.labs.events import LabReportRecorded
from services.randomization.events import InformedConsentObtained, SubjectWithdrawn
from services.visits import ciclosporin
from services.visits.commands import AdviseOnCiclosporin, ConcludeSecondDose, ReviewEvaluations
from services.visits.commands_safety import RaiseDeviations
from services.visits.deviation_rules import RULES
from services.visits.deviations import deviations_of
from services.visits.evaluation import evaluation_review
from services.visits.events import (
    AdverseEventFollowedUp,
    AdverseEventNullified,
    AdverseEventReported,
    CiclosporinDosed,
    EvaluationInputsChanged,
    ProductInfused,
    SubjectEvaluated,
    TransfusionGiven,
)
from services.visits.second_dose import second_dose
from services.visits.versions import following, following_on, reviewing
from shared.eventstore.model import Query, QueryItem, StoredEvent
from shared.policy import Policy, Reaction
from shared.runtime import Runtime


async def conclude_second_dose(reaction: Reaction) -> None:
    """Conclude as of the day of what happened, so that a policy that comes late concludes the same.

    A signature may be over records of several subjects.
    """
    rules = following_on(reaction.runtime.protocols, second_dose)
    match reaction.recorded.event:
        case (
            ProductInfused(subject=subject)
            | SubjectEvaluated(subject=subject)
            | EvaluationInputsChanged(subject=subject)
            | AdverseEventReported(subject=subject)
            | AdverseEventFollowedUp(subject=subject)
            | AdverseEventNullified(subject=subject)
            | SubjectWithdrawn(subject=subject)
            | InformedConsentObtained(subject=subject)
        ):
            command = ConcludeSecondDose(subject=subject, occurred_at=reaction.recorded.occurred_at)
            await reaction.handle(rules, command)
        case RecordsSigned(subjects=subjects):
            for number, subject in enumerate(subjects):
                command = ConcludeSecondDose(subject=subject, occurred_at=reaction.recorded.occurred_at)
                await reaction.handle(rules, command, part=number)


async def review_evaluations(reaction: Reaction) -> None:
    """A result, a transfusion or a treatment of a day that an evaluation has looked at may change it."""
    match reaction.recorded.event:
        case LabReportRecorded(subject=subject, results=results) if any(result.current for result in results):
            pass
        case TransfusionGiven(subject=subject) | ProductInfused(subject=subject) | CiclosporinDosed(subject=subject):
            pass
        case _:
            return
    rules = reviewing(reaction.runtime.protocols, evaluation_review)
    await reaction.handle(rules, ReviewEvaluations(subject=subject))


async def about_evaluated(runtime: Runtime, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
    """Those about a subject that has been evaluated: most of what laboratories report comes before any evaluation."""
    subjects = {tag for stored in events for tag in stored.tags if tag.startswith("subject:")}
    if not subjects:
        return ()
    query = Query(tuple(QueryItem((SubjectEvaluated.name,), (subject,)) for subject in sorted(subjects)))
    evaluated = {tag for stored in (await runtime.log.read(query)).events for tag in stored.tags}
    return [stored for stored in events if not subjects.isdisjoint(evaluated.intersection(stored.tags))]


async def advise_on_ciclosporin(reaction: Reaction) -> None:
    """A result of creatinine or trough, or another dose, may call for something."""
    match reaction.recorded.event:
        case LabReportRecorded(subject=subject) as report if any(
            ciclosporin.is_monitored(protocol, report) for protocol in reaction.runtime.protocols.readable
        ):
            pass
        case CiclosporinDosed(subject=subject):
            pass
        case _:
            return
    rules = following_on(reaction.runtime.protocols, ciclosporin.advising)
    await reaction.handle(rules, AdviseOnCiclosporin(subject=subject))


async def record_deviations(reaction: Reaction) -> None:
    """What departs from the protocol is dated by the fact that shows it."""
    fact = reaction.recorded
    subject = next(tag.removeprefix("subject:") for tag in fact.event.tags() if tag.startswith("subject:"))
    command = RaiseDeviations(subject=subject, occurred_at=fact.occurred_at)
    rules = following(reaction.runtime.protocols, lambda protocol: deviations_of(protocol, fact))
    await reaction.handle(rules, command)


POLICIES = (
    Policy(
        name="second-dose",
        reacts_to=(
            ProductInfused,
            SubjectEvaluated,
            EvaluationInputsChanged,
            RecordsSigned,
            AdverseEventReported,
            AdverseEventFollowedUp,
            AdverseEventNullified,
            SubjectWithdrawn,
            InformedConsentObtained,  # to another version of the protocol
        ),
        react=conclude_second_dose,
    ),
    Policy(name="ciclosporin-advice", reacts_to=(CiclosporinDosed, LabReportRecorded), react=advise_on_ciclosporin),
    Policy(
        name="evaluation-review",
        reacts_to=(LabReportRecorded, TransfusionGiven, ProductInfused, CiclosporinDosed),
        react=review_evaluations,
        sift=about_evaluated,
    ),
    Policy(name="deviations", reacts_to=tuple(RULES), react=record_deviations),
)
