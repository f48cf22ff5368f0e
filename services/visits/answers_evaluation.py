"""What the calls about evaluations answer with: what was judged, who signed it, and what has changed since."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from services.visits.evaluated import Evaluated, Noted, Signed
from services.visits.events import EvaluationSignature, LineageStatus, OverallResponse, StatusChange, SubjectEvaluated
from shared.answers import Written
from shared.protocol import Protocol
from shared.protocol.language import SubjectId
from shared.signing import SignatureMeaning

Lineages = Annotated[dict[str, LineageStatus], Field(description="As they hold, after an override if there is one.")]
Computed = Annotated[dict[str, LineageStatus], Field(description="The lineages by the rule set alone.")]
Remissions = Annotated[dict[str, LineageStatus], Field(description="CR, PR and mCR of IWG 2006.")]
Inputs = Annotated[list[int], Field(description="The positions of the log that it rests on.")]


class MadeEvaluation(Written):
    """The response at a timepoint; `inputs` are the positions of the log that it rests on."""

    timepoint: str
    rule_set: str
    lineages: Lineages
    computed: Computed
    remissions: Remissions
    grounds: Annotated[dict[str, str], Field(description="Why each lineage and each remission has its status.")]
    progression: bool
    findings: Annotated[list[str], Field(description="What shows progression.")]
    response: OverallResponse
    inputs: Inputs
    signed: Annotated[bool, Field(description="Whether it was signed with its making; else it waits for a signature.")]
    signature: EvaluationSignature | None

    @classmethod
    def of(cls, evaluated: SubjectEvaluated, position: int) -> Self:
        """The evaluation that was recorded."""
        signed = evaluated.signature is not None
        return cls.model_validate({**dict(evaluated), "position": position, "signed": signed}, extra="ignore")


class GivenSignature(BaseModel):
    """A signature over an evaluation (21 CFR 11.50), and what superseded it."""

    position: Annotated[int, Field(description="Where it stands in the log; the evaluation's, if given with it.")]
    signed_at: datetime
    meaning: SignatureMeaning
    printed_name: str
    signer: str
    state: Literal["valid", "superseded"]
    superseded_by: Annotated[int | None, Field(description="The position of what superseded it.")]

    @classmethod
    def of(cls, made: Evaluated, signed: Signed) -> Self:
        """A signature as it stands."""
        ended = made.superseded_by(signed)
        return cls(
            position=signed.position,
            signed_at=signed.at,
            meaning=signed.meaning,
            printed_name=signed.printed_name,
            signer=signed.signer,
            state="valid" if ended is None else "superseded",
            superseded_by=ended,
        )


class NotedChange(BaseModel):
    """What an evaluation rested on from then on, and what it would have said."""

    position: int
    recorded_at: datetime
    cause: Annotated[int | None, Field(description="The position of what was corrected or came in late.")]
    outcome_changed: bool
    inputs: Inputs
    added: list[int]
    removed: list[int]
    lineages: Lineages
    response: OverallResponse
    changes: Annotated[list[StatusChange], Field(description="Against what the evaluation says.")]

    @classmethod
    def of(cls, note: Noted) -> Self:
        """What was noted."""
        members = {**dict(note.event), "position": note.position, "recorded_at": note.at, "cause": note.cause}
        return cls.model_validate(members, extra="ignore")


class EvaluationItem(BaseModel):
    """An evaluation that was made, by whom and why, who signed it, and what has been noted of it since."""

    position: int
    timepoint: str
    evaluated_at: datetime
    recorded_at: datetime
    by: Annotated[str, Field(description="Printed name of who made it.")]
    reason: str | None
    rule_set: str
    lineages: Lineages
    computed: Computed
    remissions: Remissions
    grounds: dict[str, str]
    progression: bool
    findings: list[str]
    response: OverallResponse
    inputs: Inputs
    state: Annotated[
        Literal["valid", "superseded", "unsigned"],
        Field(description="Of its signature: valid, superseded once the last was, unsigned where none was given."),
    ]
    signatures: Annotated[list[GivenSignature], Field(description="Those that the protocol asks for.")]
    outdated_by: Annotated[int | None, Field(description="The position of the change under which it holds no longer.")]
    made_anew_by: Annotated[int | None, Field(description="The position of the evaluation that took its place.")]
    changes: Annotated[list[NotedChange], Field(description="What has been noted of it since, in order.")]

    @classmethod
    def of(cls, protocol: Protocol, made: Evaluated) -> Self:
        """An evaluation as it stands."""
        signatures = [GivenSignature.of(made, each) for each in made.meant(protocol)]
        members = dict(made.event) | {
            "position": made.position,
            "evaluated_at": made.at,
            "recorded_at": made.recorded.recorded_at,
            "by": made.recorded.by["name"],
            "reason": made.recorded.document.get("reason"),
            "state": "valid" if made.signature(protocol) else "superseded" if signatures else "unsigned",
            "signatures": signatures,
            "outdated_by": made.outdated_by,
            "made_anew_by": made.made_anew_by,
            "changes": [NotedChange.of(note) for note in made.notes],
        }
        return cls.model_validate(members, extra="ignore")


class EvaluationList(BaseModel):
    """A subject's evaluations in the order of the log, also those that were made anew since."""

    subject: SubjectId
    items: list[EvaluationItem]
