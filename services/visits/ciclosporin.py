"""Daily ciclosporin: which dose held when, and what creatinine and trough mean for it by the protocol.

The rules for creatinine are those of the labelling: a rise over the baseline is looked at again soon, one that persists
or is high asks for less, and one that two reductions have not turned asks to stop. A trough outside its range is an
alert. All of it is advice: whoever treats decides, and orders the dose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from services.labs.events import LabReportRecorded, LabResult
from services.randomization.events import EligibilityAssessed, WrongTreatmentGiven
from services.visits.commands import AdviseOnCiclosporin, DoseCiclosporin
from services.visits.evaluation import is_usable
from services.visits.events import CiclosporinAdvice, CiclosporinDoseAdvised, CiclosporinDosed
from services.visits.subject import DailyDose, Subject, policy_decider, require_treated_by, subject_decider
from shared.chronology import require_not_before
from shared.decision import Decider
from shared.events import Event
from shared.problems import refusal
from shared.protocol import Csa, Protocol
from shared.protocol.language import site_of

NOT_TREATED = refusal("treatment-not-started", 409, "There is no treatment to interrupt.")

TREATMENT = "ciclosporin"


@dataclass(frozen=True, slots=True)
class DoseInterval:
    """A daily dose, from when to when it held; without an end it holds still. Nothing a day is an interruption."""

    dose: DailyDose
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """The creatinine before treatment: a mean, kept as a sum so that nothing is rounded."""

    total: Decimal
    number: int
    positions: tuple[int, ...]

    def is_exceeded(self, value: Decimal, by_pct: Decimal) -> bool:
        """Whether a value lies above the mean by that many per cent, or by more."""
        return value * self.number * 100 >= self.total * (100 + by_pct)


@dataclass(frozen=True, slots=True)
class Found:
    """A usable result after treatment began, and where in the log it stands."""

    result: LabResult
    value: Decimal
    position: int


def dose_ciclosporin(protocol: Protocol, command: DoseCiclosporin, subject: Subject) -> Sequence[Event]:
    """The first daily dose or a changed one. It may differ from the protocol's: it follows trough and creatinine.

    An interruption, which is a dose of 0, comes after a first dose.
    """
    require_treated_by(protocol, subject, TREATMENT)
    site, dose = site_of(command.subject), command.mg_per_kg_per_day
    if not dose:
        if subject.ciclosporin_began_at is None:
            raise NOT_TREATED()
        on, began_on = (protocol.civil_date(at, site) for at in (command.at, subject.ciclosporin_began_at))
        require_not_before(on, "first-csa-dose", began_on)
    return [CiclosporinDosed(subject=command.subject, site=site, mg_per_kg_per_day=dose)]


def dosing(protocol: Protocol) -> Decider[DoseCiclosporin, Subject]:
    """The rules of the daily dose under a protocol."""
    return subject_decider(
        protocol,
        lambda command, subject: dose_ciclosporin(protocol, command, subject),
        CiclosporinDosed,
        WrongTreatmentGiven,
    )


def intervals(doses: Sequence[DailyDose]) -> tuple[DoseInterval, ...]:
    """When each dose held, by the time at which it was ordered, whenever that was recorded."""
    ends: list[datetime | None] = [later.at for _, later in pairwise(doses)]
    return tuple(DoseInterval(dose, until) for dose, until in zip(doses, [*ends, None], strict=False))


def advice(protocol: Protocol, subject_id: str, subject: Subject) -> Mapping[str, CiclosporinDoseAdvised]:
    """What the results of a subject call for, by the key of the result; what calls for nothing is not named."""
    csa, began_at = protocol.csa, subject.ciclosporin_began_at
    if csa is None or began_at is None:
        return {}
    about = {"subject": subject_id, "site": site_of(subject_id)}
    creatinine, trough = (
        [each for each in _usable(subject, analyte) if each.result.collected_at > began_at]
        for analyte in (csa.creatinine_analyte, csa.trough_analyte)
    )
    advised = (*_on_creatinine(protocol, csa, subject, creatinine), *_on_trough(csa, trough))
    return {result.key: CiclosporinDoseAdvised.model_validate(about | said) for result, said in advised}


Advised = tuple[LabResult, dict[str, object]]
"""A result that calls for something, and what the event of that says."""


def _on_creatinine(protocol: Protocol, csa: Csa, subject: Subject, found: Sequence[Found]) -> Iterator[Advised]:
    """An episode is an unbroken run of risen results; doses that were lowered in it were lowered because of it."""
    baseline = _baseline(protocol, csa, subject)
    if baseline is None:
        return
    episode: list[Found] = []
    for each in found:
        if not baseline.is_exceeded(each.value, csa.creatinine_alert_rise_pct):
            episode = []
            continue
        episode.append(each)
        at = each.result.collected_at
        lowered = _lowered(subject.ciclosporin, episode[0].result.collected_at, at)
        inputs = (*baseline.positions, *(risen.position for risen in episode), *(dose.position for dose in lowered))
        if len(lowered) >= csa.reductions_max:
            yield _advised(each, "stop-treatment", "creatinine-not-reversible", inputs)
        elif baseline.is_exceeded(each.value, csa.creatinine_reduce_rise_pct):
            yield _advised(each, "reduce-dose", "creatinine-rise-high", inputs, **_reduced(csa, subject, at))
        elif len(episode) > 1:
            yield _advised(each, "reduce-dose", "creatinine-rise-persists", inputs, **_reduced(csa, subject, at))
        else:
            repeat_by = protocol.civil_date(at, subject.site) + timedelta(days=csa.creatinine_repeat_days)
            yield _advised(each, "repeat-creatinine", "creatinine-rise", inputs, repeat_by=repeat_by)


def _on_trough(csa: Csa, found: Sequence[Found]) -> Iterator[Advised]:
    for each in found:
        if each.value < csa.trough_low_ng_per_mL:
            yield _advised(each, "review-dose", "trough-low", (each.position,))
        elif each.value > csa.trough_high_ng_per_mL:
            yield _advised(each, "review-dose", "trough-high", (each.position,))


def _advised(found: Found, what: CiclosporinAdvice, ground: str, inputs: Sequence[int], **members: object) -> Advised:
    result = found.result
    said = {"analyte": result.code, "result": result.key, "collected_at": result.collected_at}
    return result, said | {"advice": what, "ground": ground, "inputs": tuple(dict.fromkeys(inputs))} | members


def _baseline(protocol: Protocol, csa: Csa, subject: Subject) -> Baseline | None:
    """The results of the weeks before treatment; where a laboratory reported none, that of eligibility."""
    began_at = subject.ciclosporin_began_at
    if began_at is None:
        return None
    earliest_at = began_at + timedelta(days=protocol.response.baseline.earliest_day)
    before = [
        each for each in _usable(subject, csa.creatinine_analyte) if earliest_at <= each.result.collected_at <= began_at
    ]
    if before:
        positions = tuple(each.position for each in before)
        return Baseline(sum((each.value for each in before), Decimal(0)), len(before), positions)
    if subject.screening is None:
        return None
    assessed, happened = subject.screening
    return Baseline(assessed.findings.creatinine_umol_L, 1, (happened.position,))


def _usable(subject: Subject, analyte: str) -> list[Found]:
    """The values of an analyte to reckon with, in the order of their collection."""
    found = (
        Found(result, result.value, position)
        for result, position in subject.results.values()
        if result.code == analyte and result.value is not None and is_usable(result)
    )
    return sorted(found, key=lambda each: (each.result.collected_at, each.position))


def _lowered(doses: Sequence[DailyDose], since: datetime, until: datetime) -> list[DailyDose]:
    """The doses of a span of time that were less than the one before, and more than none."""
    return [
        later
        for earlier, later in pairwise(doses)
        if since <= later.at <= until and 0 < later.mg_per_kg_per_day < earlier.mg_per_kg_per_day
    ]


def _reduced(csa: Csa, subject: Subject, at: datetime) -> dict[str, object]:
    """Between which daily doses the one that held is to be lowered; nothing where none was given."""
    held = [dose.mg_per_kg_per_day for dose in subject.ciclosporin if dose.at <= at]
    if not held or not held[-1]:
        return {}
    most, least = (held[-1] * (100 - pct) / 100 for pct in (csa.reduction_pct_min, csa.reduction_pct_max))
    return {"mg_per_kg_per_day_min": least, "mg_per_kg_per_day_max": most}


def advise(protocol: Protocol, command: AdviseOnCiclosporin, subject: Subject) -> Sequence[Event]:
    """What the policy records: advice that is new or says something else, and advice that no longer stands."""
    if subject.arm is None or protocol.arm(subject.arm).treatment != TREATMENT:
        return []
    now = advice(protocol, command.subject, subject)
    changed = [event for key, event in now.items() if subject.ciclosporin_advice.get(key) != event]
    over = [
        earlier.model_copy(update=NOT_STANDING)
        for key, earlier in subject.ciclosporin_advice.items()
        if key not in now and earlier.advice != "none"
    ]
    return [*changed, *over]


NOT_STANDING: dict[str, object] = {
    "advice": "none",
    "ground": "result-changed",
    "repeat_by": None,
    "mg_per_kg_per_day_min": None,
    "mg_per_kg_per_day_max": None,
}
"""What takes back advice whose result was corrected, or whose baseline or dose was."""

NEEDS = (EligibilityAssessed, CiclosporinDosed, LabReportRecorded, CiclosporinDoseAdvised)
"""What advice rests on, besides the subject's standing."""


def advising(protocol: Protocol) -> Decider[AdviseOnCiclosporin, Subject]:
    """The rules of advice under a protocol."""
    return policy_decider(lambda command, subject: advise(protocol, command, subject), *NEEDS)


def is_monitored(protocol: Protocol, report: LabReportRecorded) -> bool:
    """Whether a report holds a result that advice can rest on."""
    csa = protocol.csa
    return csa is not None and any(
        result.code in {csa.creatinine_analyte, csa.trough_analyte} for result in report.results
    )
