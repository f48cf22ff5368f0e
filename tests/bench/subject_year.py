"""A whole year of a subject as events: what stands in the log of a trial whose subjects have all come to its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from services.labs.events import LabReportRecorded
from shared.events import Event
from shared.eventstore.model import NewEvent
from tests.bench.history import new_event
from tests.randomization.examples import assessed, consented, enrolled, randomized, screened
from tests.visits.examples import S, counted, dosed, evaluated, infused, scored

YEAR_DAYS = 400
"""So long ago was day 0: every window has closed by now."""

SUBJECTS_OF_A_SITE = 999
MONTHS = tuple(round(30.4375 * month) for month in range(1, 13))
HAEMOGLOBIN = ("84", "88", *("101", "103", "102") * 4)


@dataclass(frozen=True, slots=True)
class Template:
    """An event of the example's subject; those of others are made by writing another number in its place."""

    name: str
    version: int
    tags: str
    data: str
    at: datetime

    @classmethod
    def of(cls, event: Event, at: datetime) -> Template:
        data = orjson.dumps(event.model_dump(mode="json")).decode()
        return cls(event.name, event.version, "\n".join(event.tags()), data, at)

    def about(self, subject: str) -> NewEvent:
        site, tags, data = subject[:2], self.tags.replace(S, subject), self.data.replace(S, subject)
        tags, data = tags.replace("site:01", f"site:{site}"), data.replace('"site":"01"', f'"site":"{site}"')
        return new_event(self.name, tags.split("\n"), orjson.loads(data), version=self.version, at=self.at)


def subjects(number: int) -> list[str]:
    """So many subjects, as many at a site as there are numbers."""
    return [f"{1 + n // SUBJECTS_OF_A_SITE:02d}-{1 + n % SUBJECTS_OF_A_SITE:03d}" for n in range(number)]


def years(numbers: list[str]) -> Iterator[NewEvent]:
    """The years of subjects, who are in either arm by turns."""
    day_0 = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0) - timedelta(days=YEAR_DAYS)
    arms = [list(_templates(arm, day_0)) for arm in ("MSC", "CSA")]
    for number, subject in enumerate(numbers):
        for template in arms[number % 2]:
            yield template.about(subject)


def _templates(arm: str, day_0: datetime) -> Iterator[Template]:
    def on(day: int, event: Event) -> Template:
        return Template.of(event, day_0 + timedelta(days=day))

    for event in (screened(S), consented(S), assessed(S), enrolled(S)):
        yield on(-20, event)
    for number, (day, haemoglobin) in enumerate(zip((-14, -3, *MONTHS), HAEMOGLOBIN, strict=True)):
        yield on(
            day,
            _collected(number, day_0 + timedelta(days=day), HGB=haemoglobin, PLT="150", NEUT="1.9", WBC="3", RBC="3"),
        )
    yield on(-1, randomized(S, 0, arm))
    yield on(0, infused() if arm == "MSC" else dosed())
    for week in range(1, 53):
        yield on(7 * week, scored(week))
    for number, day in enumerate(MONTHS[2::3], start=20):
        yield on(day, _collected(number, day_0 + timedelta(days=day), BLAST_BM="2", TREG="5"))
    for timepoint, day in (("M3", 92), ("M6", 184), ("M12", 366)):
        yield on(day, evaluated(timepoint, final=timepoint == "M12"))


def _collected(number: int, at: datetime, **values: str) -> LabReportRecorded:
    """A report under keys of the subject's own."""
    report = counted(number, "F", None, current=True, **values)
    results = tuple(each.model_copy(update={"key": f"{S}/{each.key}", "collected_at": at}) for each in report.results)
    keys = {"message_key": f"{S}/{report.message_key}", "orders": (f"{S}/{report.orders[0]}",)}
    return report.model_copy(update={"results": results, **keys})
