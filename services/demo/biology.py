"""What a specimen shows: how blood and marrow vary from day to day, and how they take a treatment.

A simple model, plausible and no more: a response sets in around a day and raises what was low; a worsening comes late
and brings blasts. Whether that counts as a response is for the services to say, by the protocol.
"""

from __future__ import annotations

import math
import random
from enum import StrEnum

from services.demo.people import Person


class Course(StrEnum):
    """How a subject takes the treatment."""

    EARLY = "responds within weeks"
    LATE = "responds in the second month"
    NONE = "does not respond"
    WORSE = "gets worse in the second half of the year"


COURSES = {
    "msc-infusion": (Course.EARLY, Course.NONE, Course.LATE, Course.EARLY, Course.WORSE, Course.NONE, Course.EARLY),
    "ciclosporin": (Course.NONE, Course.EARLY, Course.LATE, Course.NONE, Course.WORSE, Course.EARLY, Course.NONE),
}
"""How the courses are dealt out within a treatment, over and over: a small trial shows several as well."""

ONSET_DAY = {Course.EARLY: 12, Course.LATE: 46}
ONSET_SPREAD_DAYS = 4
WORSENING_FROM_DAY = 130
CREATININE_RISE = {Course.LATE: 1.32}
"""Of whose kidneys ciclosporin is hard on; others retain a little."""


class Body:
    """What can be measured in a person."""

    def __init__(self, person: Person, chance: random.Random) -> None:
        self._person = person
        self._chance = chance

    def specimen(self, treatment: str | None = None, course: Course = Course.NONE, day: int = 0) -> dict[str, str]:
        """Every analyte of the trial on a day after the first treatment, in canonical units, as a laboratory rounds.

        Without a treatment: before it.
        """
        response = _response(course, day) if treatment else 0.0
        worsening = min(1.0, max(0, day - WORSENING_FROM_DAY) / 150) if course is Course.WORSE else 0.0
        person, vary = self._person, self._vary
        haemoglobin = vary(person.haemoglobin + 27 * response - 24 * worsening, 0.02)
        platelets = vary(person.platelets + 48 * response - 0.6 * person.platelets * worsening, 0.05)
        neutrophils = vary(person.neutrophils * (1 + 1.7 * response - 0.6 * worsening), 0.07)
        lymphocytes = vary(1.5, 0.1)
        ciclosporin = treatment == "ciclosporin"
        retained = CREATININE_RISE.get(course, 1.12) if ciclosporin else 1
        return {
            "HGB": f"{haemoglobin:.0f}",
            "PLT": f"{platelets:.0f}",
            "NEUT": f"{neutrophils:.2f}",
            "LYM": f"{lymphocytes:.2f}",
            "WBC": f"{neutrophils + lymphocytes + vary(0.4, 0.1):.2f}",
            "RBC": f"{haemoglobin / vary(31, 0.02):.2f}",
            "CREAT": f"{vary(person.creatinine * retained, 0.04):.0f}",
            "CSA": f"{vary(155, 0.2) if ciclosporin else 0:.0f}",
            "BLAST_BM": f"{vary(person.blasts + 9 * worsening, 0.1):.1f}",
            "RS_BM": f"{vary(person.ring_sideroblasts, 0.08):.0f}",
            "TREG": f"{vary(person.treg + 1.8 * response, 0.07):.1f}",
        }

    def symptoms(self, haemoglobin: str) -> dict[str, int]:
        """The scores of a week, 0 to 4: the less haemoglobin (g/L), the more of each."""
        burden = (118 - float(haemoglobin)) / 13
        names = ("fatigue", "dyspnoea", "pallor", "palpitations", "dizziness")
        weights = (1.0, 0.8, 0.9, 0.6, 0.5)
        return {
            name: min(4, max(0, round(burden * weight + self._chance.gauss(0, 0.5))))
            for name, weight in zip(names, weights, strict=True)
        }

    def _vary(self, value: float, spread: float) -> float:
        """The value with the noise of biology and measurement, a share of it."""
        return max(0.0, value * self._chance.gauss(1, spread))


def _response(course: Course, day: int) -> float:
    """How much of a response has set in by a day, from 0 to 1."""
    onset = ONSET_DAY.get(course)
    return 0.0 if onset is None else 1 / (1 + math.exp(-(day - onset) / ONSET_SPREAD_DAYS))
