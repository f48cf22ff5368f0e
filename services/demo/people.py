"""Who comes to be screened: invented people with their findings, some of whom the trial cannot take.

Reproducible from a fixed seed. Names and birth dates are known to the hospital alone; the play sends them in the
laboratory's messages to show that the log never holds them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

SEED = 1129739

ONE_SITE_BELOW = 12
"""A smaller trial keeps to one site and one diagnosis: one stratum, so that each arm is sure to get a share."""

Fate = Literal["takes-part", "fails-screening", "changes-their-mind"]

SURNAMES = (
    "Ouyang",
    "Shangguan",
    "Huangfu",
    "Dongfang",
    "Xiahou",
    "Zhangsun",
    "Gongsun",
    "Zhongli",
    "Murong",
    "Linghu",
)
GIVEN_NAMES = {
    "F": ("Xiuying", "Guilan", "Shuzhen", "Fenglan", "Meihua", "Shufen", "Haiyan", "Yuzhen", "Chunxiang", "Lijuan"),
    "M": ("Jianguo", "Guoqiang", "Zhiqiang", "Jianjun", "Yongfu", "Mingyuan", "Weimin", "Shaohua", "Baoguo", "Fuqiang"),
}

FAILINGS: tuple[dict[str, Any], ...] = (
    {"creatinine_umol_L": "212"},
    {"marrow_blasts_pct": "7.5"},
    {"ejection_fraction_pct": "38"},
    {"ecog": 3},
    {"active_infection": True},
    {"other_trial_within_4_weeks": True},
    {"hiv": "positive"},
)
"""What screening finds in those who cannot take part; by the protocol of the trial, each breaks one criterion."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who comes to a site. `comes_after_days` counts from the day on which the trial opens.

    Haemoglobin in g/L, platelets and neutrophils in 10*9/L, creatinine in umol/L, shares in %: the state before
    treatment, around which each specimen varies.
    """

    number: int
    site: str
    surname: str
    given_name: str
    sex: Literal["F", "M"]
    birth_year: int
    birth_day: str
    weight_kg: float
    diagnosis: str
    fate: Fate
    comes_after_days: int
    haemoglobin: float
    platelets: float
    neutrophils: float
    creatinine: float
    blasts: float
    ring_sideroblasts: float
    treg: float
    findings: dict[str, Any]


def recruit(
    subjects: int, sites: Sequence[str], diagnoses: Sequence[str], *, days_between: float, year: int
) -> list[Person]:
    """Everybody who is screened until so many take part, in the order of their coming, in a year.

    One more in five fails screening, at least two, and one more changes their mind after consent.
    """
    fates: list[Fate] = ["takes-part"] * subjects
    fates.extend(["fails-screening"] * max(2, subjects // 5))
    fates.append("changes-their-mind")
    random.Random(SEED).shuffle(fates)  # noqa: S311 (a play, to be the same each time; nothing secret is drawn)
    failing = 0
    people = []
    for number, fate in enumerate(fates):
        findings = FAILINGS[failing % len(FAILINGS)] if fate == "fails-screening" else {}
        failing += fate == "fails-screening"
        large = subjects >= ONE_SITE_BELOW
        site = sites[number % 3 == 2] if large else sites[0]
        diagnosis = diagnoses[number % 4 == 3] if large else diagnoses[0]
        people.append(_person(number, site, diagnosis, fate, round(number * days_between), year, findings))
    return people


def _person(
    number: int, site: str, diagnosis: str, fate: Fate, comes_after_days: int, year: int, failing: dict[str, Any]
) -> Person:
    chance = chance_of(number)
    sex: Literal["F", "M"] = "F" if chance.random() < 0.5 else "M"
    ring_sideroblasts = chance.uniform(18, 45) if diagnosis == "RARS" else chance.uniform(0, 8)
    blasts = chance.uniform(0.5, 3.5)
    creatinine = chance.uniform(58, 96)
    findings: dict[str, Any] = {
        "diagnosis": diagnosis,
        "marrow_blasts_pct": f"{blasts:.1f}",
        "blood_blasts_pct": "0",
        "ring_sideroblasts_pct": f"{ring_sideroblasts:.0f}",
        "ecog": chance.choice((0, 1, 1, 2)),
        "ejection_fraction_pct": f"{chance.uniform(54, 68):.0f}",
        "creatinine_umol_L": f"{creatinine:.0f}",
        "hiv": "negative",
        "pregnancy": "not-applicable",
        "active_infection": False,
        "psychiatric_condition": False,
        "other_trial_within_4_weeks": False,
    }
    return Person(
        number=number,
        site=site,
        surname=SURNAMES[number % len(SURNAMES)],
        given_name=chance.choice(GIVEN_NAMES[sex]),
        sex=sex,
        birth_year=year - chance.randint(48, 76),
        birth_day=f"{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}",
        weight_kg=chance.uniform(52, 84),
        diagnosis=diagnosis,
        fate=fate,
        comes_after_days=comes_after_days,
        haemoglobin=chance.uniform(78, 98),
        platelets=chance.uniform(34, 84),
        neutrophils=chance.uniform(0.6, 1.5),
        creatinine=creatinine,
        blasts=blasts,
        ring_sideroblasts=ring_sideroblasts,
        treg=chance.uniform(3.2, 5.8),
        findings=findings | failing,
    )


def chance_of(number: int, about: str = "person") -> random.Random:
    """A person's own source of chance, so that what befalls one does not depend on the order of the others."""
    return random.Random(f"{SEED}/{about}/{number}")  # noqa: S311 (a play, to be the same each time)
