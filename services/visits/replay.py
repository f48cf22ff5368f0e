"""What a version of the protocol would change for a subject that moves to it: nothing is recorded, all is reckoned.

The same rules reckon it that would after a real move, on a consent that nobody has signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import reduce
from typing import Literal, NamedTuple

from services.visits.calendar import Calendar
from services.visits.commands import ReviewEvaluations
from services.visits.evaluation import evaluation_review
from services.visits.events import EvaluationInputsChanged, SubjectEvaluated
from services.visits.item_state import ItemState
from services.visits.second_dose import NEEDS as SECOND_DOSE_NEEDS
from services.visits.second_dose import SecondDoseState, second_dose_of
from services.visits.subject import Subject, evolve, subject_query
from shared.events import Recorded
from shared.eventstore.model import Query
from shared.protocol import Protocol
from shared.protocol.versions import Signed, Version

Change = Literal["added", "dropped", "moved", "restated"]
"""`moved`: another date or window; `restated`: another state alone."""


class ItemChange(NamedTuple):
    """How an item stands before and after the move; None where it is not planned."""

    change: Change
    before: ItemState | None
    after: ItemState | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation says."""

    lineages: Mapping[str, str]
    progression: bool
    response: str


class EvaluationChange(NamedTuple):
    """An evaluation, as it was made or last reviewed, and as the version would have it."""

    timepoint: str
    evaluation: int
    before: Outcome
    after: Outcome


class Move(NamedTuple):
    """A subject's calendar before and after a move, and the day of it."""

    before: Calendar
    after: Calendar
    on: date


def moved(calendar: Calendar, version: Version, on: date) -> Move:
    """The move of a subject that signs the version's form on a day; never before the version is in effect there."""
    site = calendar.standing.site
    on = max(on, version.effective_at(site))
    signed_at = datetime.combine(on, time(12), tzinfo=calendar.protocols.zone(site))
    signed = Signed(version.consent_version or "", signed_at, version.position)
    after = replace(calendar, protocols=calendar.protocols.amended(version), signed=(*calendar.signed, signed))
    return Move(calendar, after, on)


def changed_items(move: Move) -> Iterator[ItemChange]:
    """The items that the move changes, as of its day, in the order of their dates."""
    before = {state.item.code: state for state in move.before.states(move.on)}
    after = {state.item.code: state for state in move.after.states(move.on)}
    for code, state in after.items():
        earlier = before.get(code)
        change = _change(earlier, state)
        if change is not None:
            yield ItemChange(change, earlier, state)


def _change(before: ItemState | None, after: ItemState) -> Change | None:
    if before is None:
        return "added"
    if after.cancelled == "amended" and before.cancelled != "amended":
        return "dropped"
    if (before.item.nominal_on, before.item.window) != (after.item.nominal_on, after.item.window):
        return "moved"
    return "restated" if (before.state, before.done_on) != (after.state, after.done_on) else None


# Decisions. They are reckoned from the subject's events, which are those that the rules of both must have seen.


def about_decisions(protocol: Protocol, subject: str) -> Query:
    """What the second dose and the evaluations of a subject rest on; the same under every version."""
    review = evaluation_review(protocol).boundary(ReviewEvaluations(subject=subject))
    return subject_query(subject, *SECOND_DOSE_NEEDS) | review


def second_dose_before_and_after(
    move: Move, events: Sequence[Recorded]
) -> tuple[SecondDoseState, SecondDoseState] | None:
    """Whether the subject gets a second dose, on the day of the move; None where the move does not change it."""
    subject = reduce(evolve, events, Subject())
    before, after = (
        second_dose_of(calendar.protocol_on(move.on), subject, move.on).state for calendar in (move.before, move.after)
    )
    return None if before == after else (before, after)


def changed_evaluations(
    protocol: Protocol, subject_id: str, events: Sequence[Recorded], at: datetime
) -> Iterator[EvaluationChange]:
    """The evaluations on record that the version would have made otherwise. They stand: no move makes them anew."""
    made: dict[int, tuple[str, Outcome]] = {}
    for recorded in events:
        match recorded.event:
            case SubjectEvaluated(timepoint=timepoint) as event:
                made[recorded.position] = timepoint, _outcome(event)
            case EvaluationInputsChanged(timepoint=timepoint, evaluation=position) as event:
                made[position] = timepoint, _outcome(event)
    review = evaluation_review(protocol)
    command = ReviewEvaluations(subject=subject_id, occurred_at=at)
    for change in review.decide(command, reduce(review.evolve, events, review.initial(command))):
        if isinstance(change, EvaluationInputsChanged) and change.evaluation in made:
            timepoint, before = made[change.evaluation]
            if before != (after := _outcome(change)):
                yield EvaluationChange(timepoint, change.evaluation, before, after)


def _outcome(event: SubjectEvaluated | EvaluationInputsChanged) -> Outcome:
    return Outcome(dict(event.lineages), event.progression, event.response)
