"""What departs from the protocol, found in what was recorded or noted by a person, and how grave it is.

A deviation is any departure; an important one may bear on the data or on a subject's rights, safety or well-being (ICH
E3 Q&A R1, Q7). Which are important stands in the protocol document, and what is found by itself in `deviation_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.visits.commands_safety import NoteDeviation, RaiseDeviations, RegradeDeviation
from services.visits.deviation_rules import RULES, Year, item_done
from services.visits.events import ProtocolDeviationGraded, ProtocolDeviationRecorded
from services.visits.second_dose import NEEDS as SECOND_DOSE_NEEDS
from services.visits.subject import evolve, subject_query
from shared.chronology import require_since_start
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.problems import UNKNOWN_SUBJECT, refusal
from shared.protocol import Protocol
from shared.protocol.language import site_of

UNKNOWN_DEVIATION = refusal("unknown-deviation", 404, "No deviation of the subject was recorded there.")
GRADE_UNCHANGED = refusal("deviation-grade-unchanged", 409, "The deviation has this grade already.")


NEEDS: tuple[type[Event], ...] = tuple(
    dict.fromkeys((*RULES, *SECOND_DOSE_NEEDS, ProtocolDeviationRecorded, ProtocolDeviationGraded))
)
"""What bears on a deviation, besides the subject's standing."""


def evolve_year(protocol: Protocol, year: Year, recorded: Recorded) -> Year:
    """The year after one more event."""
    year = replace(year, subject=evolve(year.subject, recorded))
    match recorded.event:
        case ProtocolDeviationRecorded() as deviation:
            return replace(year, deviations={**year.deviations, recorded.position: deviation})
        case ProtocolDeviationGraded(deviation=position, grade=grade) if position in year.deviations:
            regraded = year.deviations[position].model_copy(update={"grade": grade})
            return replace(year, deviations={**year.deviations, position: regraded})
    code = item_done(protocol, year.subject.arm, recorded.event)
    return year if code is None else replace(year, done_by={code: recorded.position, **year.done_by})


def raise_deviations(protocol: Protocol, command: RaiseDeviations, fact: Recorded, year: Year) -> Sequence[Event]:
    """What the policy records of one fact: each departure that the rules find and that is not on record yet."""
    on_record = {(each.code, each.fact) for each in year.deviations.values()}
    return [
        ProtocolDeviationRecorded(
            subject=command.subject,
            site=site_of(command.subject),
            kind=found.kind,
            code=found.code,
            grade=protocol.deviations.grade(found.code),
            item=found.item,
            fact=found.fact,
        )
        for rule in RULES.get(type(fact.event), ())
        for found in rule(protocol, fact, year)
        if (found.code, found.fact) not in on_record
    ]


def deviations_of(protocol: Protocol, fact: Recorded) -> Decider[RaiseDeviations, Year]:
    """The rules of deviations, asked of one fact, under a protocol."""
    return Decider(
        boundary=lambda command: subject_query(command.subject, *NEEDS),
        initial=lambda _: Year(),
        evolve=lambda year, recorded: evolve_year(protocol, year, recorded),
        decide=lambda command, year: raise_deviations(protocol, command, fact, year),
    )


def note_deviation(protocol: Protocol, command: NoteDeviation, year: Year) -> Sequence[Event]:
    """What a person noted, also of a subject in screening: a departure that no rule finds, graded by who noted it."""
    if not year.subject.known:
        raise UNKNOWN_SUBJECT()
    require_since_start(protocol, site_of(command.subject), command.at)
    return [
        ProtocolDeviationRecorded(
            subject=command.subject,
            site=site_of(command.subject),
            kind=command.kind,
            code=command.code,
            grade=command.grade,
            item=command.item,
            fact=None,
        )
    ]


def regrade_deviation(command: RegradeDeviation, year: Year) -> Sequence[Event]:
    """The single deviation is more or less grave than its code; both grades stay in the log."""
    if not year.subject.known:
        raise UNKNOWN_SUBJECT()
    deviation = year.deviations.get(command.deviation)
    if deviation is None:
        raise UNKNOWN_DEVIATION()
    if deviation.grade == command.grade:
        raise GRADE_UNCHANGED(grade=command.grade)
    return [
        ProtocolDeviationGraded(
            subject=command.subject,
            site=site_of(command.subject),
            deviation=command.deviation,
            grade_before=deviation.grade,
            grade=command.grade,
        )
    ]


def noting(protocol: Protocol) -> Decider[NoteDeviation, Year]:
    """The rules of deviations that people note, under a protocol."""
    return Decider(
        boundary=lambda command: subject_query(command.subject),
        initial=lambda _: Year(),
        evolve=lambda year, recorded: evolve_year(protocol, year, recorded),
        decide=lambda command, year: note_deviation(protocol, command, year),
    )


def regrading(protocol: Protocol) -> Decider[RegradeDeviation, Year]:
    """The rules of another grade, under a protocol."""
    return Decider(
        boundary=lambda command: subject_query(command.subject, ProtocolDeviationRecorded, ProtocolDeviationGraded),
        initial=lambda _: Year(),
        evolve=lambda year, recorded: evolve_year(protocol, year, recorded),
        decide=regrade_deviation,
    )
