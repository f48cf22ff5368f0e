"""Whether IWG 2006 sees a remission: complete (CR), partial (PR), of the marrow (mCR); and whether one was lost again.

Cheson et al., Blood 2006;108:419. These criteria alter the natural history of a disease with blasts to clear. Where
the marrow before treatment had none in excess (RA, RARS), they cannot be reached in a meaningful way, the ground
`baseline-blasts-not-raised` says so, and haematologic improvement is the endpoint. Maturation and dysplasia are for
the investigator who signs: no laboratory reports them as a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.visits.evidence import (
    Count,
    CriterionResult,
    Evidence,
    Finding,
    IsMet,
    has_fallen_pct,
    mean_of,
    positions_of,
    spans,
)
from shared.protocol import Iwg2006

COMPLETE, PARTIAL, MARROW = "CR", "PR", "mCR"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A value in blood that a remission asks for, and the ground to give where nobody has measured it."""

    analyte: str
    is_met: IsMet
    ground_if_missing: str = "count-missing"


def remissions(rules: Iwg2006, evidence: Evidence) -> dict[str, CriterionResult]:
    """The result of each remission at the timepoint, by its IWG code."""
    marrow, rule = rules.progression.blast_analyte, rules.remission
    before, at_timepoint = evidence.before(marrow), evidence.at_timepoint(marrow)
    if not before:
        return _none_evaluable("baseline-marrow-missing", ())
    baseline = before[-1]
    if baseline.value <= rule.marrow_blasts_max:
        return _none_evaluable("baseline-blasts-not-raised", (baseline.position,))
    if at_timepoint is None:
        return _none_evaluable("marrow-missing", (baseline.position,))

    def is_cleared(blasts: Decimal) -> bool:
        return blasts <= rule.marrow_blasts_max

    def has_decreased(blasts: Decimal) -> bool:
        return has_fallen_pct(blasts, baseline.value, rule.marrow_blasts_decrease_pct_min)

    def is_partial(blasts: Decimal) -> bool:
        return has_decreased(blasts) and not is_cleared(blasts)

    def is_marrow_remission(blasts: Decimal) -> bool:
        return has_decreased(blasts) and is_cleared(blasts)

    asked = _requirements(rules)
    normal_before = {each.analyte: positions for each in asked if (positions := _met_before(evidence, each))}
    abnormal = [each for each in asked if each.analyte not in normal_before]
    judge = _Judge(rules, evidence, baseline, at_timepoint)
    return {
        COMPLETE: judge(is_cleared, asked),
        PARTIAL: judge(is_partial, abnormal, sum(normal_before.values(), ())),
        MARROW: judge(is_marrow_remission, ()),
    }


def _none_evaluable(ground: str, positions: tuple[int, ...]) -> dict[str, CriterionResult]:
    result = CriterionResult("not-evaluable", ground, positions)
    return {COMPLETE: result, PARTIAL: result, MARROW: result}


def _requirements(rules: Iwg2006) -> list[Requirement]:
    rule = rules.remission
    return [
        Requirement(rules.hi_e.analyte, lambda value: value >= rule.haemoglobin_min),
        Requirement(rules.hi_p.analyte, lambda value: value >= rule.platelets_min),
        Requirement(rules.hi_n.analyte, lambda value: value >= rule.neutrophils_min),
        Requirement(rule.blood_blast_analyte, lambda value: value <= rule.blood_blasts_max, "blood-blasts-missing"),
    ]


def _met_before(evidence: Evidence, requirement: Requirement) -> tuple[int, ...]:
    """Where it stands that a requirement was met before treatment, if it was: by the baseline, or by one count alone.

    A partial remission asks only for what was abnormal before; what nobody measured is asked for.
    """
    baseline, before = evidence.baseline(requirement.analyte), evidence.before(requirement.analyte)
    if baseline is None and before:
        baseline = mean_of(before[-1:])
    return baseline.positions if baseline is not None and requirement.is_met(baseline.mean) else ()


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges one remission at a timepoint, from the marrow before treatment and the marrow at the timepoint."""

    rules: Iwg2006
    evidence: Evidence
    baseline: Count
    marrow: Count

    def __call__(
        self, marrow_is_met: IsMet, asked: Sequence[Requirement], normal_before: tuple[int, ...] = ()
    ) -> CriterionResult:
        """What is asked of marrow and blood has to hold, and to last; where no blood is asked for, the marrow has to.

        A marrow is taken every three months, so that the monthly counts show whether a remission lasts.
        """
        positions = [self.baseline.position, self.marrow.position, *normal_before]
        if not marrow_is_met(self.marrow.value):
            return CriterionResult("not-met", "marrow-criterion-not-met", tuple(positions))
        missing, lasting = None, True
        for each in asked:
            count = self.evidence.at_timepoint(each.analyte, each.is_met)
            if count is None:
                why = self.evidence.why_no_count(each.analyte, ())
                positions += why.positions
                missing = missing or (why.ground if why.positions else each.ground_if_missing)
            elif not each.is_met(count.value):
                return CriterionResult("not-met", "blood-criterion-not-met", (*positions, count.position))
            else:
                lasts, rests_on = self._lasts(count, each.is_met)
                lasting, positions = lasting and lasts, [*positions, *rests_on]
        if missing is not None:
            return CriterionResult("not-evaluable", missing, tuple(positions))
        if not asked:
            lasting, rests_on = self._lasts(self.marrow, marrow_is_met, self.rules.remission.marrow_gap_days_max)
            positions += rests_on
        if lasting:
            return CriterionResult("confirmed", "remission-lasting", tuple(positions))
        return CriterionResult("provisional", "remission-not-yet-lasting", tuple(positions))

    def _lasts(self, count: Count, is_met: IsMet, gap_days_max: int | None = None) -> tuple[bool, tuple[int, ...]]:
        """Whether the run that holds the timepoint's count lasts, and the positions that this rests on."""
        evidence, days = self.evidence, self.rules.remission.lasting_days
        run = next(run for run in evidence.runs(count.code, is_met, gap_days_max) if count in run)
        disregarded = evidence.influenced(count.code, 1, evidence.horizon.closes_day + days)
        rests_on = (*positions_of(run), *disregarded)
        if spans(run, days):
            return True, rests_on
        return False, (*rests_on, *positions_of(evidence.beside(run, is_met)))


def relapse(rules: Iwg2006, evidence: Evidence, earlier: Sequence[Evidence]) -> Iterator[Finding]:
    """What shows that a complete or partial remission, confirmed at an earlier timepoint, was lost again."""
    for then in earlier:
        found = remissions(rules, then)
        confirmed = next((found[code] for code in (COMPLETE, PARTIAL) if found[code].status == "confirmed"), None)
        if confirmed is not None:
            yield from _relapse_since(rules, then, evidence, confirmed.positions)
            return


def _relapse_since(rules: Iwg2006, then: Evidence, now: Evidence, remission: tuple[int, ...]) -> Iterator[Finding]:
    """The blasts of before treatment are back, or counts have fallen from the best since the remission."""
    rule = rules.progression
    blasts = now.at_timepoint(rule.blast_analyte)
    if blasts is not None and blasts.value >= now.before(rule.blast_analyte)[-1].value:
        yield Finding("blasts-returned-after-remission", (*remission, blasts.position))

    def fell(best: Decimal, value: Decimal) -> bool:
        return best - value >= rule.haemoglobin_fall_after_hi_min

    def halved(best: Decimal, value: Decimal) -> bool:
        return has_fallen_pct(value, best, rule.decrement_pct_min)

    lines = (
        (rules.hi_e.analyte, "haemoglobin-fell", fell),
        (rules.hi_p.analyte, f"{rules.hi_p.analyte.lower()}-halved", halved),
        (rules.hi_n.analyte, f"{rules.hi_n.analyte.lower()}-halved", halved),
    )
    for analyte, code, is_lost in lines:
        if positions := _lost_since(then, now, analyte, is_lost):
            yield Finding(f"{code}-after-remission", (*remission, *positions))


def _lost_since(
    then: Evidence, now: Evidence, analyte: str, is_lost: Callable[[Decimal, Decimal], bool]
) -> tuple[int, ...]:
    """Where the best count since a timepoint stands, and the one now that has fallen from it; nothing if none has."""
    since = now.between(analyte, then.horizon.opens_day, now.horizon.closes_day)
    if not since:
        return ()
    best = max(since, key=lambda each: each.value)
    count = now.at_timepoint(analyte, lambda value: not is_lost(best.value, value))
    return (best.position, count.position) if count is not None and is_lost(best.value, count.value) else ()
