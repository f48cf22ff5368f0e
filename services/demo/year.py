"""What happens to a subject from the first treatment on: visits by the schedule, doses, laboratory work, evaluations.

The schedule is the one that the service derives from the protocol. A visit is a few days off, now and then one is
missed, and now and then something happens that nobody had planned.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Any

from services.demo.biology import Body
from services.demo.incidents import Incidents
from services.demo.messages import SI, UNITS, chosen
from services.demo.people import Person, chance_of
from services.demo.treatment import Treatment
from services.demo.trial import Agenda, Team, Trial

DAY = timedelta(days=1)
VISIT_OFF_DAYS = 2
MISSED_SHARE = 0.04
EVALUATED_AFTER_DAYS = 2
CORRECTED_AFTER_DAYS = 5  # when the evaluation has been made on the mistaken count
TRANSFUSED_BELOW_G_L = 72  # ordinary practice, not the protocol's


class Year:
    """The year of one randomized subject."""

    def __init__(self, trial: Trial, person: Person, subject: str, arm: str, body: Body, agenda: Agenda) -> None:
        self._trial = trial
        self._client = trial.client
        self._protocol = trial.protocol
        self._team: Team = trial.teams[person.site]
        self._person = person
        self._subject = subject
        self._body = body
        self._agenda = agenda
        self._chance = chance_of(person.number, "year")
        self._number, self._course = trial.deal(arm)
        self._treatment = Treatment(trial, person, subject, arm, agenda)
        self._incidents = Incidents(trial, person, subject, self._treatment, self._number)
        self._day_0 = date.min
        self._visit_days: dict[date, date] = {}
        self._count_days: list[date] = []

    async def begin(self, on: date) -> None:
        """Day 0: the first treatment, and the schedule that follows from it."""
        self._day_0 = on
        await self._treatment.first(on)
        await self._incidents.on_day_0(on)
        path = f"/visits/subjects/{self._subject}/schedule"
        schedule = await self._client.get(self._team.coordinator, path, at_least=self._client.position)
        self._plan(schedule["items"])
        self._incidents.plan(self._agenda, on, self._leave)

    def _plan(self, items: list[dict[str, Any]]) -> None:
        """Put the items of the schedule into the agenda; what the laboratory does on a day goes into one report."""
        reports: dict[date, list[str]] = {}
        evaluations: list[tuple[date, str]] = []
        for item in items:
            code, on = item["code"], self._visit_day(item)
            match item["activity"]:
                case "symptoms" if self._chance.random() > MISSED_SHARE:
                    activity = self._protocol.schedule.activity_of(code)
                    self._agenda.plan(on, partial(self._symptoms, int(code.removeprefix(activity.prefix))))
                case "blood-count":
                    self._count_days.append(on)
                    self._agenda.plan(on, partial(self._count, code))
                case "marrow" | "treg" | "csa-creatinine" | "csa-trough":
                    reports.setdefault(on, []).extend(self._protocol.schedule.activity_of(code).analytes)
                case "evaluation":
                    evaluations.append((on + EVALUATED_AFTER_DAYS * DAY, code))
                case _:
                    pass  # a second infusion follows from the evaluation; safety looks are clinical notes
        for on, analytes in reports.items():
            self._agenda.plan(on, partial(self._report, analytes))
        timepoint_of = {each.item: each.timepoint for each in self._protocol.response.evaluations}
        for on, code in evaluations:
            self._agenda.plan(on, partial(self._evaluate, timepoint_of[code]))

    def _visit_day(self, item: dict[str, Any]) -> date:
        """The day on which the subject comes: a little off the nominal one, the same for all that is due then."""
        nominal = date.fromisoformat(item["nominal_on"])
        if nominal not in self._visit_days:
            self._visit_days[nominal] = nominal + self._chance.randint(-VISIT_OFF_DAYS, VISIT_OFF_DAYS) * DAY
        earliest, latest = (date.fromisoformat(item["window"][end]) for end in ("from", "to"))
        return max(self._day_0 + DAY, earliest, min(self._visit_days[nominal], latest))

    def _specimen(self, on: date) -> dict[str, str]:
        return self._body.specimen(self._treatment.kind, self._course, (on - self._day_0).days)

    async def _symptoms(self, week: int, on: date) -> None:
        scores = self._body.symptoms(self._specimen(on)["HGB"])
        body = {"week": week, **scores, "occurred_at": self._team.at(on, 9)}
        await self._client.post(self._team.coordinator, f"/visits/subjects/{self._subject}/symptoms", body)

    async def _count(self, code: str, on: date) -> None:
        """A monthly blood count, sent as HL7 v2; red cells where it shows too little haemoglobin."""
        analytes = [code for code in self._protocol.schedule.activity_of(code).analytes if code in SI]
        specimen = chosen(self._specimen(on), analytes)
        laboratory = self._team.laboratory
        order = laboratory.order()
        sent = self._incidents.as_first_sent(code, specimen)
        addressed = self._incidents.as_addressed(code)
        message = laboratory.oru(self._person, addressed, order, sent, collected_on=on)
        if addressed == self._subject:
            await self._client.post_hl7(self._team.lab, message)
        else:
            await self._client.post_hl7(self._team.lab, message, expect="AE")
            self._agenda.plan(on + DAY, self._incidents.release)
        if sent != specimen:
            self._agenda.plan(on + CORRECTED_AFTER_DAYS * DAY, partial(self._correct, order, specimen, on))
        haemoglobin = specimen.get("HGB")
        if haemoglobin is not None and int(haemoglobin) < TRANSFUSED_BELOW_G_L:
            self._agenda.plan(on + DAY, partial(self._treatment.transfuse, haemoglobin))

    async def _correct(self, order: str, specimen: dict[str, str], collected_on: date, on: date) -> None:
        """The laboratory has found its mistake and sends the count again as corrected."""
        message = self._team.laboratory.oru(
            self._person, self._subject, order, specimen, collected_on=collected_on, sent_on=on, status="C"
        )
        await self._client.post_hl7(self._team.lab, message)

    async def _report(self, analytes: list[str], on: date) -> None:
        """What the laboratory sends as JSON: marrow, Treg, creatinine, trough."""
        specimen = chosen(self._specimen(on), analytes)
        report = self._team.laboratory.report(self._subject, specimen, UNITS, on)
        await self._client.post(self._team.lab, "/labs/results", report)

    async def _evaluate(self, timepoint: str, on: date, reason: str | None = None) -> None:
        """An investigator evaluates; in the arm that may get a second dose, what follows from it is done."""
        body = {"timepoint": timepoint, "occurred_at": self._team.at(on, 15)} | ({"reason": reason} if reason else {})
        path = f"/visits/subjects/{self._subject}/evaluations"
        evaluated = await self._client.post(self._team.investigator, path, body)
        if timepoint == self._protocol.response.evaluations[-1].timepoint:
            signature = {"positions": [evaluated["position"]], "meaning": "responsibility"}
            await self._client.post(self._team.investigator, "/audit/signatures", signature)
        if not self._treatment.may_be_repeated_after(timepoint):
            return
        if await self._treatment.second_dose_waits_for_a_count(on, evaluated):
            later = next((day for day in self._count_days if day > on), None)
            if later is not None:
                again = partial(self._evaluate, timepoint, reason="A later count may confirm the response.")
                self._agenda.plan(later + DAY, again)

    async def _leave(self, on: date) -> None:
        """A last count, and the subject leaves the study; what was planned is not done any more."""
        await self._client.post(
            self._team.coordinator,
            f"/randomization/subjects/{self._subject}/withdrawal",
            {"scope": "study", "reason": "Moves to another province.", "occurred_at": self._team.at(on, 16)},
        )
        self._agenda.clear()
