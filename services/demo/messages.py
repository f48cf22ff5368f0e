"""What a hospital's laboratory system sends: ORU^R01 messages for blood counts, JSON for the rest.

Each site has a laboratory of its own, with its own units: one reports as most of the world does, the other as the
United States do. Both say more of the patient than the trial may know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from itertools import count
from typing import Any

from services.demo.people import Person

APPLICATION = "LIS"

COLLECTED = time(8, 30)
REPORTED = time(11, 5)


@dataclass(frozen=True, slots=True)
class Test:
    """How a laboratory reports an analyte: LOINC code and name, unit, decimals, reference range."""

    loinc: str
    name: str
    unit: str
    decimals: int
    reference: str
    factor: Decimal = Decimal(1)


SI = {
    "WBC": Test("6690-2", "Leukocytes", "10*9/L", 2, "3.5-9.5"),
    "NEUT": Test("751-8", "Neutrophils", "10*9/L", 2, "1.8-6.3"),
    "RBC": Test("789-8", "Erythrocytes", "10*12/L", 2, "3.8-5.8"),
    "HGB": Test("718-7", "Hemoglobin", "g/L", 0, "115-175"),
    "PLT": Test("777-3", "Platelets", "10*9/L", 0, "125-350"),
}
CONVENTIONAL = {
    "WBC": Test("6690-2", "WBC # Bld Auto", "10*3/uL", 2, "4.5-11.0"),
    "NEUT": Test("751-8", "Neutrophils # Bld Auto", "/uL", 0, "1800-7700", Decimal(1000)),
    "RBC": Test("789-8", "RBC # Bld Auto", "10*6/uL", 2, "3.9-5.7"),
    "HGB": Test("718-7", "Hgb Bld-mCnc", "g/dL", 1, "12.0-17.5", Decimal("0.1")),
    "PLT": Test("777-3", "Platelet # Bld Auto", "10*3/uL", 0, "150-450"),
}


class Laboratory:
    """The laboratory system of a site; it numbers its messages and its orders."""

    def __init__(self, site: str, zone: tzinfo, subject_authority: str, tests: Mapping[str, Test]) -> None:
        self.site = site
        self.facility = f"HOSPITAL-{site}"
        self._zone = zone
        self._authority = subject_authority
        self._tests = tests
        self._messages = count(1)
        self._orders = count(1)

    def order(self) -> str:
        """A new number of the laboratory for what was taken from a patient (OBR-3)."""
        return f"L{self.site}{next(self._orders):06d}"

    def collected_at(self, on: date) -> datetime:
        return datetime.combine(on, COLLECTED, self._zone)

    def reported_at(self, on: date) -> datetime:
        return datetime.combine(on, REPORTED, self._zone)

    def oru(
        self,
        person: Person,
        subject: str,
        order: str,
        specimen: Mapping[str, str],
        *,
        collected_on: date,
        sent_on: date | None = None,
        status: str = "F",
    ) -> str:
        """A blood count as an ORU^R01 message of version 2.5.1, its segments ended by CR.

        `specimen` holds canonical units; the message those of the laboratory. `status` is that of each result
        (HL7 table 0085): F is final, C corrects what was sent before under the same order number.
        """
        collected = _timestamp(self.collected_at(collected_on))
        sent = _timestamp(self.reported_at(sent_on or collected_on))
        control = f"{self.facility}-{next(self._messages):06d}"
        born = f"{person.birth_year}{person.birth_day}"
        segments = [
            rf"MSH|^~\&|{APPLICATION}|{self.facility}|MARROW|TRIAL|{sent}||ORU^R01^ORU_R01|{control}|P|2.5.1",
            f"PID|1||{subject}^^^{self._authority}^PI~MR{person.number:07d}^^^{self.facility}^MR||"
            f"{person.surname}^{person.given_name}||{born}|{person.sex}",
            f"OBR|1||{order}^{APPLICATION}|58410-2^CBC panel - Blood by Automated count^LN|||{collected}"
            f"|||||||||||||||{sent}||HM|{status}",
        ]
        for number, (code, value) in enumerate(specimen.items(), start=1):
            test = self._tests[code]
            segments.append(
                f"OBX|{number}|NM|{test.loinc}^{test.name}^LN||{_as_reported(value, test)}|{test.unit}"
                f"|{test.reference}||||{status}|||{collected}"
            )
        return "".join(f"{segment}\r" for segment in segments)

    def report(self, subject: str, specimen: Mapping[str, str], units: Mapping[str, str], on: date) -> dict[str, Any]:
        """Results as JSON, in the units given by analyte."""
        return {
            "sender": {"application": APPLICATION, "facility": self.facility},
            "message_id": f"{self.facility}-{next(self._messages):06d}",
            "subject": subject,
            "collected_at": self.collected_at(on).isoformat(),
            "reported_at": self.reported_at(on).isoformat(),
            "results": [
                {"code": code, "value": value, "unit": units[code], "status": "F"} for code, value in specimen.items()
            ],
        }


UNITS = {"BLAST_BM": "%", "RS_BM": "%", "TREG": "%", "CREAT": "umol/L", "CSA": "ng/mL"}


def chosen(specimen: Mapping[str, str], analytes: Sequence[str]) -> dict[str, str]:
    """The analytes that an activity of the protocol asks for."""
    return {code: specimen[code] for code in analytes}


def _as_reported(value: str, test: Test) -> str:
    return f"{Decimal(value) * test.factor:.{test.decimals}f}"


def _timestamp(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S%z")
