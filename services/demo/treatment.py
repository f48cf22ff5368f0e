"""How a subject is treated: infusions of a released lot in the dose that the service reckons, or daily ciclosporin."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from services.demo.errors import DemoError
from services.demo.people import Person, chance_of
from services.demo.trial import Agenda, Team, Trial

DAY = timedelta(days=1)
FIRST_DOSE = 1
INFUSED_AT_HOUR = 10
UNITS_OF_RED_CELLS = 2
HUNDRED = Decimal(100)
POLLS_MAX = 50
POLL_S = 0.1


class Treatment:
    """The treatment of one subject by its arm."""

    def __init__(self, trial: Trial, person: Person, subject: str, arm: str, agenda: Agenda) -> None:
        self._trial = trial
        self._client = trial.client
        self._protocol = trial.protocol
        self._team: Team = trial.teams[person.site]
        self._person = person
        self._agenda = agenda
        self._chance = chance_of(person.number, "lots")
        self._day_0 = date.min
        self.path = f"/visits/subjects/{subject}"
        self.arm = arm
        self.kind = trial.protocol.arm(arm).treatment

    async def first(self, on: date) -> None:
        """The treatment of day 0."""
        self._day_0 = on
        if self.kind == "msc-infusion":
            await self._infuse_first(on)
        else:
            await self._client.post(self._team.investigator, f"{self.path}/csa-doses", self.csa_dose(on))

    async def _infuse_first(self, on: date) -> None:
        """The first infusion of the trial is tried with a lot that has not been released."""
        if self._trial.first_time("infuse a lot that fails release"):
            failed = await self._infusion(FIRST_DOSE, on) | {"product": self._lot(viability_pct="74")}
            await self._client.post_refused(
                self._team.investigator,
                f"{self.path}/infusions",
                failed,
                expect=409,
                what="infuse a lot that fails its release criteria",
            )
        await self._infuse(FIRST_DOSE, on)

    async def _infuse(self, dose_number: int, on: date) -> None:
        """An infusion, and the looks after it that the protocol asks for."""
        infusion = await self._infusion(dose_number, on)
        await self._client.post(self._team.investigator, f"{self.path}/infusions", infusion)
        for activity in self._protocol.activities_for(self.arm):
            if activity.origin == "each-infusion":
                for offset in activity.offsets:
                    at = self._team.instant(on, INFUSED_AT_HOUR) + timedelta(**{activity.unit: offset})
                    self._agenda.plan(at.date(), partial(self._look_after, f"{activity.prefix}-{dose_number}", at))

    async def _look_after(self, look: str, at: datetime, _: date) -> None:
        body = {"look": look, "occurred_at": at.isoformat()}
        await self._client.post(self._team.coordinator, f"{self.path}/infusion-safety", body)

    async def _infusion(self, dose_number: int, on: date) -> dict[str, Any]:
        """An infusion of the volume that the service gives for the weight of the day and the lot."""
        weight_kg = f"{self._person.weight_kg + self._chance.uniform(-1.5, 1.5):.1f}"
        lot = self._lot()
        dose = await self._client.get(
            self._team.investigator,
            f"{self.path}/dose",
            at_least=self._client.position,
            weight_kg=weight_kg,
            cells_per_mL=lot["cells_per_mL"],
            viability_pct=lot["viability_pct"],
        )
        return {
            "dose_number": dose_number,
            "weight_kg": weight_kg,
            "volume_mL": dose["volume_mL"],
            "product": lot,
            "occurred_at": self._team.at(on, INFUSED_AT_HOUR),
        }

    def _lot(self, **shown: str) -> dict[str, str]:
        """A lot's certificate of analysis; `shown` replaces what a good lot would show."""
        certificate = {
            "lot": f"UC{self._chance.randint(100, 999)}",
            "cells_per_mL": f"{self._chance.randint(18, 24) * 10**5}",
            "viability_pct": f"{self._chance.uniform(89, 97):.1f}",
            "cd73_pct": f"{self._chance.uniform(97, 99.5):.1f}",
            "cd90_pct": f"{self._chance.uniform(97, 99.5):.1f}",
            "cd105_pct": f"{self._chance.uniform(96, 99):.1f}",
            "negative_markers_pct": f"{self._chance.uniform(0.2, 1.4):.1f}",
            "sterility": "negative",
            "mycoplasma": "negative",
            "endotoxin_EU_per_kg": f"{self._chance.uniform(0.1, 0.9):.2f}",
        }
        return certificate | shown

    def may_be_repeated_after(self, timepoint: str) -> bool:
        """Whether the evaluation at a timepoint decides on a second dose of this subject."""
        rule = self._protocol.second_dose
        return rule is not None and (rule.arm, rule.timepoint) == (self.arm, timepoint)

    async def second_dose_waits_for_a_count(self, on: date, evaluated: dict[str, Any]) -> bool:
        """Whether the second dose is open until a later count; where it is not, it is given, or is not due.

        The service concludes on it from the log, a moment after the evaluation: it is asked until it has.
        """
        statuses = set(evaluated["lineages"].values())
        is_provisional = "provisional" in statuses and "confirmed" not in statuses
        for _ in range(POLLS_MAX):
            decision = await self._client.get(
                self._team.investigator, f"{self.path}/second-dose", at_least=evaluated["position"]
            )
            match decision["state"]:
                case "eligible":
                    number, nominal = self._second_infusion()
                    self._agenda.plan(max(nominal, on + DAY), partial(self._infuse, number))
                    return False
                case "not-eligible":
                    await self._try_without_response(on)
                    return False
                case "pending" if is_provisional:
                    return True
            await asyncio.sleep(POLL_S)
        raise DemoError(f"{self.path}/second-dose stays {decision} after {evaluated}.")

    def _second_infusion(self) -> tuple[int, date]:
        """The number of the second infusion and the day for which the protocol plans it."""
        rule = self._protocol.second_dose
        if rule is None:
            raise DemoError("The protocol has no second dose.")
        activity = self._protocol.schedule.activity_of(rule.item)
        days = self._protocol.schedule.days_of(rule.item)
        return int(rule.item.removeprefix(activity.prefix)), self._day_0 + days.nominal * DAY

    async def _try_without_response(self, on: date) -> None:
        if self._trial.first_time("infuse a second dose without a response"):
            number, _ = self._second_infusion()
            await self._client.post_refused(
                self._team.investigator,
                f"{self.path}/infusions",
                await self._infusion(number, on),
                expect=409,
                what="infuse a second dose without a response",
            )

    def csa_dose(self, on: date, reduced_by_pct: Decimal = Decimal(0)) -> dict[str, str]:
        """The order of a daily dose of ciclosporin: the protocol's, or less."""
        if self._protocol.csa is None:
            raise DemoError("The protocol has no ciclosporin.")
        dose = self._protocol.csa.mg_per_kg_per_day * (HUNDRED - reduced_by_pct) / HUNDRED
        return {"mg_per_kg_per_day": f"{dose:.2f}", "occurred_at": self._team.at(on, 10)}

    async def reduce_csa(self, reason: str, on: date) -> None:
        """Order less ciclosporin, by the least reduction that the protocol names."""
        reduction_pct = self._protocol.csa.reduction_pct_min if self._protocol.csa else Decimal(0)
        body = self.csa_dose(on, reduction_pct) | {"reason": reason}
        await self._client.post(self._team.investigator, f"{self.path}/csa-doses", body)

    async def transfuse(self, haemoglobin_g_L: str, on: date) -> None:  # noqa: N803 (the unit is written as the field writes it)
        """Give red cells for a low haemoglobin."""
        body = {
            "component": "RBC",
            "units": UNITS_OF_RED_CELLS,
            "haemoglobin_before_g_L": haemoglobin_g_L,
            "occurred_at": self._team.at(on, 13),
        }
        await self._client.post(self._team.coordinator, f"{self.path}/transfusions", body)
