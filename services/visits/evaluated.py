"""How an evaluation stands that has been made: whether an investigator has signed it, and whether it still holds.

A signature is given with the evaluation or later, over its record. What changes the outcome of the evaluation, and
what evaluates its timepoint anew, supersedes the signature for good (21 CFR 11.70): a correction that is taken back
revives the answer and not the signature, and the investigator signs again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from services.audit.events import RecordsSigned
from services.visits.events import EvaluationInputsChanged, SubjectEvaluated
from shared.events import Recorded
from shared.identity import Role
from shared.protocol import Protocol
from shared.signing import SignatureMeaning


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature over an evaluation, by an investigator: its place in the log, when, whose, and what it means."""

    position: int
    at: datetime
    meaning: SignatureMeaning
    printed_name: str
    signer: str


@dataclass(frozen=True, slots=True)
class Noted:
    """That an evaluation rests on something else by now, where and when it was noted, and of which event it comes."""

    event: EvaluationInputsChanged
    position: int
    at: datetime
    cause: int | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation, when it was made and where it stands, who signed it, and what has been noted of it since.

    `made_anew_by` is the position of the evaluation that has taken its place.
    """

    event: SubjectEvaluated
    at: datetime
    position: int
    recorded: Recorded
    signatures: tuple[Signed, ...] = ()
    notes: tuple[Noted, ...] = ()
    made_anew_by: int | None = None

    @property
    def changed(self) -> EvaluationInputsChanged | None:
        """What it rests on now, and what it would say, where that is not what was recorded of it."""
        return self.notes[-1].event if self.notes else None

    @property
    def outdated_by(self) -> int | None:
        """The position of the change under which it would now come out otherwise."""
        return self.notes[-1].position if self.notes and self.notes[-1].event.outcome_changed else None

    def superseded_by(self, signed: Signed) -> int | None:
        """What superseded a signature: the first thing after it that changed the evaluation, or replaced it."""
        changes = [note.position for note in self.notes if note.event.outcome_changed]
        after = [each for each in (*changes, self.made_anew_by) if each is not None and each > signed.position]
        return min(after, default=None)

    def signature(self, protocol: Protocol) -> Signed | None:
        """The signature that the protocol asks for, as long as nothing supersedes it: the first that there is."""
        valid = (each for each in self.meant(protocol) if self.superseded_by(each) is None)
        return next(valid, None)

    def meant(self, protocol: Protocol) -> Sequence[Signed]:
        """The signatures of which the protocol says that they sign an evaluation."""
        return [each for each in self.signatures if each.meaning in protocol.response.signature_meanings]

    def was_signed_by(self, protocol: Protocol, day: date, position: int) -> bool:
        """Whether it bore a valid signature on a day, by the record up to a position."""
        return any(
            each.position < position
            and protocol.civil_date(each.at, self.event.site) <= day
            and ((ended := self.superseded_by(each)) is None or ended > position)
            for each in self.meant(protocol)
        )


Evaluations = tuple[Evaluated, ...]
"""A subject's evaluations in the order of the log, also those that were made anew since."""


def latest_of(evaluations: Evaluations) -> dict[str, Evaluated]:
    """The evaluation of each timepoint that counts: the one that was made last."""
    return {each.event.timepoint: each for each in evaluations}


def evolve_evaluations(evaluations: Evaluations, recorded: Recorded) -> Evaluations:
    """The evaluations after one more event; what is about none of them changes nothing."""
    match recorded.event:
        case SubjectEvaluated() as event:
            replaced = (
                replace(each, made_anew_by=recorded.position)
                if each.event.timepoint == event.timepoint and each.made_anew_by is None
                else each
                for each in evaluations
            )
            return (*replaced, _made(event, recorded))
        case EvaluationInputsChanged(evaluation=position) as event:
            note = Noted(event, recorded.position, recorded.recorded_at, recorded.document.get("cause"))
            return tuple(
                replace(each, notes=(*each.notes, note)) if each.position == position else each for each in evaluations
            )
        case RecordsSigned(records=records) as signed if recorded.by["role"] == Role.INVESTIGATOR:
            positions = {record.position for record in records}
            signature = _signed(signed.meaning, signed.printed_name, recorded)
            return tuple(
                replace(each, signatures=(*each.signatures, signature)) if each.position in positions else each
                for each in evaluations
            )
        case _:
            return evaluations


def _made(event: SubjectEvaluated, recorded: Recorded) -> Evaluated:
    given = event.signature
    signatures = () if given is None else (_signed(given.meaning, given.printed_name, recorded),)
    return Evaluated(event, recorded.occurred_at, recorded.position, recorded, signatures)


def _signed(meaning: SignatureMeaning, printed_name: str, recorded: Recorded) -> Signed:
    """A signature happens when it is recorded, whatever the record says of when what it tells of happened."""
    return Signed(recorded.position, recorded.recorded_at, meaning, printed_name, recorded.by["id"])
