"""What the views answer with: a timeline, a work list, the table of responses, and the lanes of a swimmer plot.

Days are study days: 0 is the day of the first treatment, and until then that of randomization. Dates are those of the
site's calendar.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.visits.events import LineageStatus, OverallResponse
from shared.protocol.language import ArmCode, Measurement, SiteId, SubjectId

StudyDay = Annotated[int, Field(description="Days since day 0; the day before it is −1.")]


class View(BaseModel):
    """A value that is shown as it is: two that hold the same are equal."""

    model_config = ConfigDict(frozen=True)


MomentKind = Literal[
    "randomization",
    "infusion",
    "infusion-safety",
    "ciclosporin",
    "symptoms",
    "laboratory",
    "transfusion",
    "adverse-event",
    "evaluation",
    "evaluation-outdated",
    "second-dose",
    "lost-to-follow-up",
    "contact-regained",
    "withdrawal",
    "death",
    "adverse-event-follow-up",
    "adverse-event-nullified",
    "safety-report",
    "ciclosporin-advice",
    "allocation-error",
    "missed",
    "deviation",
]


class Moment(View):
    """Something that happened to a subject: when, of which kind, in short, and where in the log it stands."""

    at: datetime
    on: date
    day: Annotated[StudyDay | None, Field(description="Null before randomization, when there is no day 0.")]
    kind: MomentKind
    label: Annotated[str, Field(description="In short, in codes.", examples=["MSC-1", "M3 HI", "RBC ×2", "G3 serious"])]
    detail: Annotated[str | None, Field(description="In words or codes, where there is more to say.")]
    position: int

    @property
    def cursor(self) -> str:
        """What it is sorted by, as text: the instant, then the position."""
        return f"{self.at:%Y-%m-%dT%H:%M:%S.%fZ}/{self.position:019}"


class Timeline(View):
    """One page of what happened to a subject, in the order of occurrence; `next` is the cursor of the page after."""

    subject: SubjectId
    arm: ArmCode | None
    day_0: date | None
    items: tuple[Moment, ...]
    next: str | None


TaskKind = Literal[
    "visit",
    "visit-missed",
    "evaluation-outdated",
    "evaluation-unsigned",
    "evaluation-provisional",
    "second-dose-pending",
    "safety-report",
    "ciclosporin-advice",
]


class Task(View):
    """Something that a site has to do for a subject, until a day.

    A `visit` holds all items of one nominal day that stand alike; a `visit-missed` does too, its window closed. The
    items of any other task are what it is about: an item of the schedule, a kind of report, or an analyte.
    """

    subject: SubjectId
    kind: TaskKind
    items: Annotated[tuple[str, ...], Field(description="Codes of what is to be done.")]
    due_from: date
    due_by: Annotated[date, Field(description="The last day: of several items, that of the first to close.")]
    overdue: Annotated[bool, Field(description="The last day has passed.")]
    position: Annotated[int | None, Field(description="Of the event that gives rise to it, where one does.")]

    @property
    def cursor(self) -> str:
        """What it is sorted by, as text: misses last, else what had to be done first, first."""
        late = int(self.kind == "visit-missed")
        return f"{late}/{self.due_by}/{self.subject}/{self.kind}/{self.items[0]}/{self.position or 0}"


class Worklist(View):
    """One page of what a site has to do; `next` is the cursor of the page after, if any.

    Subjects are gone through by number, so many at a time; of those at a time, the most urgent task comes first.
    """

    site: SiteId
    on: date
    items: tuple[Task, ...]
    next: str | None


class Share(View):
    """A count and what it is of those evaluated and of all randomized, in percent with one decimal, halves up.

    Null where the denominator is 0.
    """

    n: int
    pct_of_evaluated: Measurement | None
    pct_of_randomized: Measurement | None


class ArmResponses(View):
    """The responses of an arm at a timepoint, by intention to treat.

    Denominators are `randomized`, all of the arm but second numbers of one person, and `evaluated`, those of them whose
    evaluation at the timepoint still holds. An `outdated` one, whose results were corrected since, counts no longer.
    """

    timepoint: str
    arm: ArmCode
    randomized: int
    evaluated: int
    outdated: int
    unsigned: Annotated[int, Field(description="Of those evaluated, not by an investigator.")]
    responses: dict[OverallResponse, Share]
    lineages: dict[str, dict[LineageStatus, Share]]


class ResponseTable(View):
    """Responses by timepoint and arm, over the sites that the caller may see."""

    sites: Annotated[tuple[SiteId, ...] | None, Field(description="Null: all.")]
    rounding: Literal["half-up"] = "half-up"
    items: tuple[ArmResponses, ...]


class Span(View):
    """From a day to a day; without an end it goes on."""

    from_day: StudyDay
    to_day: StudyDay | None


class Improvement(Span):
    """How long a lineage was improved, as evaluations say: from the first that confirms it to the first that does not.

    A provisional or unevaluable one in between neither begins nor ends it.
    """

    lineage: str


class OnLane(View):
    """What stands at a day of a lane, and at a position of the log."""

    day: StudyDay
    position: int


class DoseGiven(OnLane):
    """A dose: the number of an infusion, or mg/kg/day of ciclosporin from that day on (0: none)."""

    kind: Literal["infusion", "ciclosporin"]
    amount: Measurement


class EvaluationMark(OnLane):
    """The response at a timepoint, on the day on which it was evaluated."""

    timepoint: str
    response: OverallResponse
    outdated: bool


class TransfusionMark(OnLane):
    """Units of blood on a day."""

    component: Literal["RBC", "PLT"]
    units: int


class AdverseEventMark(OnLane):
    """A severe adverse event (CTCAE grade 3 or more)."""

    grade: int
    serious: bool


EndKind = Literal["completed", "withdrawn", "lost-to-follow-up", "died"]


class End(View):
    """How and when the subject's time on study ended."""

    day: StudyDay
    kind: EndKind


class Lane(View):
    """A subject's lane: its time on study, its treatment, and what happened on which day."""

    subject: SubjectId
    arm: ArmCode
    day_0: date
    days_on_study: Annotated[int, Field(description="From day 0 to the end, or to the day of the plot.")]
    end: Annotated[End | None, Field(description="Null while the subject is on study.")]
    on_treatment: tuple[Span, ...]
    doses: tuple[DoseGiven, ...]
    evaluations: tuple[EvaluationMark, ...]
    improvements: tuple[Improvement, ...]
    transfusions: tuple[TransfusionMark, ...]
    adverse_events: tuple[AdverseEventMark, ...]


class SwimmerPlot(View):
    """One page of lanes as of a day, the longest on study first; `next` is the cursor of the page after, if any."""

    as_of: date
    lanes: tuple[Lane, ...]
    next: str | None
