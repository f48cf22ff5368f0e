"""What follows by itself: the second dose's eligibility, the review of evaluations on corrected results, deviations."""

from __future__ import annotations

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
)
from services.visits.second_dose import second_dose
from services.visits.versions import following, following_on, reviewing
from shared.policy import Policy, Reaction


async def conclude_second_dose(reaction: Reaction) -> None:
    """Conclude as of the day of what happened, so that a policy that comes late concludes the same."""
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
            await reaction.handle(following_on(reaction.runtime.protocols, second_dose), command)


async def review_evaluations(reaction: Reaction) -> None:
    """A result that takes the place of an earlier one may be one that an evaluation rests on."""
    match reaction.recorded.event:
        case LabReportRecorded(subject=subject, results=results) if any(
            result.current and result.supersedes is not None for result in results
        ):
            rules = reviewing(reaction.runtime.protocols, evaluation_review)
            await reaction.handle(rules, ReviewEvaluations(subject=subject))


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
            AdverseEventReported,
            AdverseEventFollowedUp,
            AdverseEventNullified,
            SubjectWithdrawn,
            InformedConsentObtained,  # to another version of the protocol
        ),
        react=conclude_second_dose,
    ),
    Policy(name="ciclosporin-advice", reacts_to=(CiclosporinDosed, LabReportRecorded), react=advise_on_ciclosporin),
    Policy(name="evaluation-review", reacts_to=(LabReportRecorded,), react=review_evaluations),
    Policy(name="deviations", reacts_to=tuple(RULES), react=record_deviations),
)
