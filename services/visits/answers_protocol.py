"""What the calls about the protocol answer with: its versions, an amendment, and what one would change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, Field

from services.visits.answers_schedule import ItemWindow
from services.visits.events import LineageStatus, OverallResponse
from services.visits.item_state import ItemState, State
from services.visits.replay import Change, EvaluationChange, ItemChange, Move, Outcome
from services.visits.second_dose import SecondDoseState
from shared.protocol import Protocols
from shared.protocol.amendment import ProtocolAmended
from shared.protocol.language import SiteId, SubjectId
from shared.protocol.versions import Version


class PublishedVersion(BaseModel):
    """A version of the protocol, and from when it is in effect."""

    version: str
    sha256: Annotated[str, Field(description="Of the document's UTF-8.")]
    effective_on: date
    sites: Annotated[dict[SiteId, date], Field(description="Sites at which it is in effect from another day on.")]
    consent_version: Annotated[str | None, Field(description="The form that moves a subject; the first has none.")]
    summary: str
    position: Annotated[int | None, Field(description="Where in the log it stands; the first does not.")]
    readable: Annotated[bool, Field(description="Whether this process can decide under it.")]

    @classmethod
    def of(cls, version: Version) -> Self:
        """A version as it is published."""
        return cls(
            version=version.number,
            sha256=version.sha256,
            effective_on=version.effective_on,
            sites=dict(version.sites),
            consent_version=version.consent_version,
            summary=version.summary,
            position=version.position or None,
            readable=version.protocol is not None,
        )


class VersionList(BaseModel):
    """The versions of the protocol, from the first on."""

    study_id: str
    items: list[PublishedVersion]

    @classmethod
    def of(cls, protocols: Protocols) -> Self:
        """All versions."""
        return cls(study_id=protocols.study_id, items=[PublishedVersion.of(each) for each in protocols.versions])


class PublishedAmendment(BaseModel):
    """The amendment that was recorded."""

    version: str
    sha256: str
    effective_on: date
    sites: dict[SiteId, date]
    consent_version: str
    position: Annotated[int, Field(description="Where in the log it stands, behind its document.")]

    @classmethod
    def of(cls, amended: ProtocolAmended, position: int) -> Self:
        """An amendment, from its record."""
        return cls(
            version=amended.protocol_version,
            sha256=amended.sha256,
            effective_on=amended.effective_on,
            sites=dict(amended.sites),
            consent_version=amended.consent_version,
            position=position,
        )


class PlannedAs(BaseModel):
    """How an item is planned and stands, on the day of the move."""

    nominal_on: date
    window: ItemWindow
    state: State
    done_on: date | None
    protocol_version: str

    @classmethod
    def of(cls, state: ItemState | None) -> Self | None:
        """An item; None where it is not planned."""
        if state is None:
            return None
        window = state.item.window
        return cls(
            nominal_on=state.item.nominal_on,
            window=ItemWindow(from_=window.opens_on, to=window.closes_on),
            state=state.state,
            done_on=state.done_on,
            protocol_version=state.item.version,
        )


class ChangedItem(BaseModel):
    """An item that the move would change."""

    code: str
    change: Change
    before: PlannedAs | None
    after: PlannedAs | None

    @classmethod
    def of(cls, changed: ItemChange) -> Self:
        """A change of an item."""
        code = next(state.item.code for state in (changed.after, changed.before) if state is not None)
        before, after = PlannedAs.of(changed.before), PlannedAs.of(changed.after)
        return cls(code=code, change=changed.change, before=before, after=after)


class EvaluationOutcome(BaseModel):
    """What an evaluation says."""

    lineages: dict[str, LineageStatus]
    progression: bool
    response: OverallResponse

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """An outcome."""
        return cls.model_validate(outcome, from_attributes=True)


class ChangedEvaluation(BaseModel):
    """An evaluation on record that the version would have made otherwise; it stands as it was made."""

    timepoint: str
    evaluation: Annotated[int, Field(description="Where in the log it stands.")]
    before: EvaluationOutcome
    after: EvaluationOutcome

    @classmethod
    def of(cls, changed: EvaluationChange) -> Self:
        """A change of an evaluation."""
        return cls(
            timepoint=changed.timepoint,
            evaluation=changed.evaluation,
            before=EvaluationOutcome.of(changed.before),
            after=EvaluationOutcome.of(changed.after),
        )


class ChangedSecondDose(BaseModel):
    """Whether the subject gets a second dose, before the move and after it."""

    before: SecondDoseState
    after: SecondDoseState


class ReplayedSubject(BaseModel):
    """What the move would change for one subject; nothing, where the lists are empty."""

    subject: SubjectId
    protocol_version: Annotated[str, Field(description="The version that it follows without the move.")]
    moved_on: date
    items: list[ChangedItem]
    second_dose: ChangedSecondDose | None
    evaluations: list[ChangedEvaluation]

    @classmethod
    def of(
        cls,
        move: Move,
        items: Iterable[ItemChange],
        second_dose: tuple[SecondDoseState, SecondDoseState] | None,
        evaluations: Iterable[EvaluationChange],
    ) -> Self:
        """A subject that was replayed."""
        return cls(
            subject=move.before.standing.id,
            protocol_version=move.before.protocol_on(move.on).version,
            moved_on=move.on,
            items=[ChangedItem.of(each) for each in items],
            second_dose=None if second_dose is None else ChangedSecondDose(before=second_dose[0], after=second_dose[1]),
            evaluations=[ChangedEvaluation.of(each) for each in evaluations],
        )


class DryRun(BaseModel):
    """What the version would change, by subject; `next` is the cursor of the page after, if any."""

    version: str
    items: list[ReplayedSubject]
    next: str | None
