"""What nobody had planned: a reaction, a serious event, a transfusion, mistakes of laboratory and site, a withdrawal.

Each is dealt to a certain subject of an arm, by its number in the arm, so that a small trial has them as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial

from services.demo.people import Person
from services.demo.treatment import Treatment
from services.demo.trial import Agenda, Step, Team, Trial

DAY = timedelta(days=1)

MISTYPED_COUNT = "C1"
MISTAKEN_COUNT = "C3"  # one that the first evaluation rests on
TRANSFUSION_DAY = 37
HAEMOGLOBIN_BEFORE_G_L = "69"
SERIOUS_EVENT_DAY, AUTHORITY_AFTER_DAYS, RECOVERED_AFTER_DAYS = 66, 9, 12
WRONG_CHART_DAY = 24
REDUCTION_DAY = 75
WITHDRAWAL_DAY = 158

WRONG_TREATMENT_DAY = 12
INELIGIBILITY_DAY = 20
STRATUM_DAY = 30
LOST_DAY, REACHED_DAY = 108, 110


class Incidents:
    """What befalls one subject."""

    def __init__(self, trial: Trial, person: Person, subject: str, treatment: Treatment, number: int) -> None:
        self._trial = trial
        self._client = trial.client
        self._team: Team = trial.teams[person.site]
        self._person = person
        self._subject = subject
        self._treatment = treatment
        self._is_first, self._is_second = number == 0, number == 1
        self._nobody = f"{person.site}-999"
        self._infection = 0

    async def on_day_0(self, on: date) -> None:
        """The first infusion brings a fever; and somebody mistypes an order, and a laboratory a subject."""
        if self._treatment.kind == "msc-infusion" and self._is_first:
            await self._adverse_event("Infusion related reaction", 1, on, related=True, infusion_reaction=True)
            await self._client.post_refused(
                self._team.investigator,
                f"{self._treatment.path}/csa-doses",
                self._treatment.csa_dose(on),
                expect=409,
                what="give ciclosporin in the arm of the cells",
            )
        if self._trial.first_time("report on an unknown subject"):
            await self._report_on_a_stranger(on)

    def plan(self, agenda: Agenda, day_0: date, leave: Step) -> None:
        """Put what will befall the subject into its agenda; `leave` is the last step of who withdraws."""
        if self._treatment.kind == "msc-infusion":
            self._plan_errors(agenda, day_0)
            return
        if self._is_first:
            transfuse = partial(self._treatment.transfuse, HAEMOGLOBIN_BEFORE_G_L)
            agenda.plan(day_0 + TRANSFUSION_DAY * DAY, transfuse)
            agenda.plan(day_0 + WITHDRAWAL_DAY * DAY, leave)
        if self._is_second:
            self._plan_serious_event(agenda, day_0)
            reduce = partial(self._treatment.reduce_csa, "An infection, and a trough above the range.")
            agenda.plan(day_0 + REDUCTION_DAY * DAY, reduce)

    def _plan_errors(self, agenda: Agenda, day_0: date) -> None:
        """What the site finds to have been wrong with two allocations; and one of the two is lost for days."""
        if self._is_first:
            agenda.plan(day_0 + WRONG_TREATMENT_DAY * DAY, self._give_wrong_treatment)
            agenda.plan(day_0 + STRATUM_DAY * DAY, self._correct_stratum)
        if self._is_second:
            agenda.plan(day_0 + INELIGIBILITY_DAY * DAY, self._find_ineligible)
            agenda.plan(day_0 + LOST_DAY * DAY, self._lose)
            agenda.plan(day_0 + REACHED_DAY * DAY, self._reach)

    async def _give_wrong_treatment(self, on: date) -> None:
        arms = self._trial.protocol.arms
        received = next(arm.code for arm in arms if arm.treatment != self._treatment.kind)
        body = {"received": received, "reason": "A nurse gave the capsules of the neighbouring bed, once."}
        await self._tell("wrong-treatment", body, on)

    async def _correct_stratum(self, on: date) -> None:
        other = {"RA": "RARS", "RARS": "RA"}[self._person.diagnosis]
        body = {"diagnosis": other, "reason": "A second reader counted the ring sideroblasts anew."}
        await self._tell("stratum-correction", body, on)

    async def _find_ineligible(self, on: date) -> None:
        body = {"cause": "ineligible", "reason": "Had been in another trial three weeks before, as the monitor found."}
        await self._tell("randomization-error", body, on)

    async def _lose(self, on: date) -> None:
        last = on - DAY
        body = {"last_contact_on": last.isoformat(), "reason": "No answer at any number, and the letter came back."}
        await self._tell("loss-to-follow-up", body, on)

    async def _reach(self, on: date) -> None:
        await self._tell("contact", {"reason": "A daughter gave the new number."}, on)

    async def _tell(self, route: str, body: Mapping[str, str], on: date) -> None:
        """The coordinator records it of the subject."""
        path = f"/randomization/subjects/{self._subject}/{route}"
        await self._client.post(self._team.coordinator, path, {**body, "occurred_at": self._team.at(on, 13)})

    def as_first_sent(self, item: str, specimen: Mapping[str, str]) -> dict[str, str]:
        """The count as the laboratory first sends it: once with the platelets of somebody else."""
        is_mistaken = item == MISTAKEN_COUNT and self._treatment.kind == "msc-infusion" and self._is_first
        return dict(specimen) | ({"PLT": "412"} if is_mistaken else {})

    def as_addressed(self, item: str) -> str:
        """The number under which the laboratory sends a count: once a wrong one."""
        is_mistyped = item == MISTYPED_COUNT and self._trial.first_time("mistype a number")
        return self._nobody if is_mistyped else self._subject

    async def release(self, on: date) -> None:
        """The coordinator finds out whose the quarantined count is, and releases it."""
        coordinator = self._team.coordinator
        quarantine = await self._client.get(
            coordinator, "/labs/quarantine", at_least=self._client.position, site=self._team.site
        )
        body = {
            "reason": "The request form shows the right number.",
            "subject": self._subject,
            "occurred_at": self._team.at(on, 9),
        }
        await self._client.post(coordinator, f"/labs/quarantine/{quarantine['items'][-1]['id']}/release", body)

    def _plan_serious_event(self, agenda: Agenda, day_0: date) -> None:
        """A lung infection, from the ward to the authority; and before it a fever that was somebody else's."""
        begun = day_0 + SERIOUS_EVENT_DAY * DAY
        agenda.plan(day_0 + WRONG_CHART_DAY * DAY, self._read_wrong_chart)
        agenda.plan(begun, self._serious_event)
        agenda.plan(begun + AUTHORITY_AFTER_DAYS * DAY, partial(self._hand_in, "authority"))
        agenda.plan(begun + RECOVERED_AFTER_DAYS * DAY, self._recover)

    async def _serious_event(self, on: date) -> None:
        self._infection = await self._adverse_event(
            "Lung infection", 3, on, related=True, seriousness=["hospitalisation"]
        )
        await self._hand_in("sponsor", on)

    async def _hand_in(self, report: str, on: date) -> None:
        body = {"report": report, "occurred_at": self._team.at(on, 17)}
        await self._tell_of(self._infection, "reports", body)

    async def _recover(self, on: date) -> None:
        course = {"outcome": "recovered", "resolved_on": on.isoformat(), "action_taken": "dose-reduced"}
        times = {"aware_at": self._team.at(on, 14), "occurred_at": self._team.at(on, 14)}
        await self._tell_of(self._infection, "follow-ups", course | times)

    async def _read_wrong_chart(self, on: date) -> None:
        """A fever that was in another's chart, and a diary left at home, which is graver than was thought."""
        fever = await self._adverse_event("Pyrexia", 1, on, related=False)
        void = {"reason": "The chart of the neighbouring bed was read.", "occurred_at": self._team.at(on, 15)}
        await self._tell_of(fever, "nullification", void)
        noted = {"kind": "assessment", "code": "diary-not-collected", "grade": "minor", "item": "W3"}
        why = {"reason": "The week's diary was left at home.", "occurred_at": self._team.at(on, 15)}
        path = f"{self._treatment.path}/deviations"
        deviation = (await self._client.post(self._team.coordinator, path, noted | why))["position"]
        graver = {"reason": "Symptoms are a primary endpoint.", "occurred_at": self._team.at(on, 16)}
        await self._client.post(self._team.investigator, f"{path}/{deviation}/grade", graver | {"grade": "important"})

    async def _tell_of(self, adverse_event: int, route: str, body: Mapping[str, str]) -> None:
        """The investigator records it of an adverse event."""
        path = f"{self._treatment.path}/adverse-events/{adverse_event}/{route}"
        await self._client.post(self._team.investigator, path, body)

    async def _adverse_event(
        self,
        term: str,
        grade: int,
        on: date,
        *,
        related: bool,
        seriousness: Sequence[str] = (),
        infusion_reaction: bool = False,
    ) -> int:
        """Its number."""
        body = {
            "term": term,
            "grade": grade,
            "serious": bool(seriousness),
            "related": related,
            "seriousness_criteria": list(seriousness),
            "infusion_reaction": infusion_reaction,
            "aware_at": self._team.at(on, 14),
            "occurred_at": self._team.at(on, 12),
        }
        answer = await self._client.post(self._team.investigator, f"{self._treatment.path}/adverse-events", body)
        return int(answer["position"])

    async def _report_on_a_stranger(self, on: date) -> None:
        """A report on somebody who is not in the trial is quarantined, another under the same number is refused."""
        laboratory = self._team.laboratory
        specimen = {"HGB": "102", "PLT": "187"}
        message = laboratory.oru(self._person, self._nobody, laboratory.order(), specimen, collected_on=on)
        await self._client.post_hl7(self._team.lab, message, expect="AE")
        await self._client.post_hl7(self._team.lab, message.replace("|187|", "|178|"), expect="AE")
