"""How a person comes into the trial: screening, consent, two counts, eligibility, enrolment, an arm. Or does not."""

from __future__ import annotations

from datetime import date, timedelta

from services.demo.biology import Body
from services.demo.errors import DemoError
from services.demo.messages import SI, UNITS, chosen
from services.demo.people import Person, chance_of
from services.demo.trial import Agenda, Team, Trial
from services.demo.year import Year

FORM_VERSION = "1.0"
DAY = timedelta(days=1)
COMES_AGAIN_AFTER_DAYS = 28


class Entry:
    """One person's way from the first visit to an arm."""

    def __init__(self, trial: Trial, person: Person, agenda: Agenda, opens_on: date) -> None:
        self._trial = trial
        self._client = trial.client
        self._person = person
        self._team: Team = trial.teams[person.site]
        self._agenda = agenda
        self._chance = chance_of(person.number, "visits")
        self._body = Body(person, chance_of(person.number, "body"))
        self._subject = ""
        agenda.plan(opens_on + timedelta(days=person.comes_after_days), self._screen)

    @property
    def _path(self) -> str:
        return f"/randomization/subjects/{self._subject}"

    async def _screen(self, on: date) -> None:
        """The first visit: a number, informed consent, the first count, chemistry and marrow."""
        person, team = self._person, self._team
        body = {"site": person.site, "birth_year": person.birth_year, "sex": person.sex, "occurred_at": team.at(on, 8)}
        screened = await self._client.post(team.coordinator, "/randomization/subjects", body)
        self._subject = screened["subject"]
        await self._client.post(
            team.coordinator, f"{self._path}/consent", {"version": FORM_VERSION, "occurred_at": team.at(on, 8)}
        )
        await self._count(on)
        await self._chemistry_and_marrow(on)
        if person.fate == "changes-their-mind":
            self._agenda.plan(on + 3 * DAY, self._withdraw)
            return
        rule = self._trial.protocol.eligibility.screening
        wait = rule.blood_counts_apart_days_min + self._chance.randint(0, 2)
        self._agenda.plan(on + wait * DAY, self._second_count)

    async def _count(self, on: date) -> None:
        laboratory = self._team.laboratory
        analytes = [code for code in self._trial.protocol.eligibility.screening.analytes if code in SI]
        specimen = chosen(self._body.specimen(), analytes)
        message = laboratory.oru(self._person, self._subject, laboratory.order(), specimen, collected_on=on)
        await self._client.post_hl7(self._team.lab, message)

    async def _chemistry_and_marrow(self, on: date) -> None:
        analytes = [code for code in self._trial.protocol.eligibility.screening.analytes if code in UNITS]
        specimen = chosen(self._body.specimen(), analytes)
        report = self._team.laboratory.report(self._subject, specimen, UNITS, on)
        await self._client.post(self._team.lab, "/labs/results", report)

    async def _withdraw(self, on: date) -> None:
        body = {
            "scope": "study",
            "reason": "Lives too far away for weekly visits.",
            "occurred_at": self._team.at(on, 9),
        }
        await self._client.post(self._team.coordinator, f"{self._path}/withdrawal", body)

    async def _second_count(self, on: date) -> None:
        await self._count(on)
        self._agenda.plan(on + DAY, self._assess)

    async def _assess(self, on: date) -> None:
        """Eligibility by the protocol; who is eligible is enrolled."""
        team, client = self._team, self._client
        findings = self._person.findings | {"occurred_at": team.at(on, 9)}
        assessed = await client.post(team.investigator, f"{self._path}/eligibility", findings)
        if assessed["eligible"] != (self._person.fate == "takes-part"):
            raise DemoError(f"{self._subject} was to be {self._person.fate!r}, but was assessed as {assessed}.")
        if not assessed["eligible"]:
            if self._trial.first_time("enrol who is not eligible"):
                await client.post_refused(
                    team.coordinator,
                    f"{self._path}/enrolment",
                    {},
                    expect=409,
                    what="enrol a subject that is not eligible",
                )
            if self._trial.first_time("come again after failing"):
                self._agenda.plan(on + COMES_AGAIN_AFTER_DAYS * DAY, self._come_again)
            return
        await client.post(team.coordinator, f"{self._path}/enrolment", {"occurred_at": team.at(on, 10)})
        self._agenda.plan(on + self._chance.randint(0, 1) * DAY, self._randomize)

    async def _come_again(self, on: date) -> None:
        """Who failed is screened once more under a new number, and fails again."""
        rescreened = await self._client.post(
            self._team.coordinator, f"{self._path}/rescreening", {"occurred_at": self._team.at(on, 8)}
        )
        self._subject = rescreened["subject"]
        await self._client.post(
            self._team.coordinator,
            f"{self._path}/consent",
            {"version": FORM_VERSION, "occurred_at": self._team.at(on, 8)},
        )
        self._agenda.plan(on + DAY, self._assess)

    async def _randomize(self, on: date) -> None:
        """Allocation. The first answer gets lost on its way: the same request under the same key gets it again."""
        team, client, path = self._team, self._client, f"{self._path}/randomization"
        body = {"occurred_at": team.at(on, 11)}
        key = f"randomize-{self._subject}"
        allocated = await client.post(team.coordinator, path, body, key=key)
        if self._trial.first_time("randomize twice"):
            again = await client.post(team.coordinator, path, body, key=key)
            if again != allocated:
                raise DemoError(f"The retry of {path} was answered {again}, not {allocated}.")
            await client.post_refused(
                team.coordinator, path, body, expect=409, what="randomize a subject a second time"
            )
        await self._let_others_try()
        wait = self._chance.randint(1, min(3, self._trial.protocol.schedule.treatment_start_max_days))
        year = Year(self._trial, self._person, self._subject, allocated["arm"], self._body, self._agenda)
        self._agenda.plan(on + wait * DAY, year.begin)

    async def _let_others_try(self) -> None:
        """The first time that there are two sites, one tries to act for a subject of the other."""
        others = [team for site, team in self._trial.teams.items() if site != self._person.site]
        if others and self._trial.first_time("act for another site"):
            await self._client.post_refused(
                others[0].coordinator,
                f"{self._path}/consent",
                {"version": FORM_VERSION},
                expect=403,
                what="act for a subject of another site",
            )
