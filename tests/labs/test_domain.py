"""What becomes of a report: recorded once, versioned by result, quarantined where it is not sure."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.labs import domain
from services.labs.commands import Mapping, RecordLabReport, ReleaseMessage
from services.labs.events import (
    LabMessageQuarantined,
    LabMessageRefused,
    LabMessageReleased,
    LabReportRecorded,
    LabResult,
    Superseded,
)
from shared.events import Event
from shared.problems import UNKNOWN_SUBJECT
from tests.labs.examples import (
    COLLECTED,
    OBX_HCT,
    OBX_HGB,
    OBX_LOCAL,
    OBX_NO_UNIT,
    REPORTED,
    SEALED,
    TABLES,
    S,
    hgb,
    message,
    recorded,
    report,
    version,
)
from tests.randomization.examples import screened
from tests.scenario import Result, given

LATER = {"message_id": "m2", "reported_at": (REPORTED + timedelta(hours=1)).isoformat()}
EARLIER = {"message_id": "m2", "reported_at": (REPORTED - timedelta(hours=1)).isoformat()}


def only_result(result: Result) -> LabResult:
    """The one result of the one report that was recorded."""
    [event] = result.events
    assert isinstance(event, LabReportRecorded)
    [version] = event.results
    return version


def quarantined(command: RecordLabReport, subject: str | None, *, whole: bool) -> LabMessageQuarantined:
    no_subject = (domain.NO_SUBJECT,) if subject is None else ()
    return LabMessageQuarantined(
        subject=subject,
        site=command.site,
        message_key=command.message_key,
        digest=command.digest,
        source="hl7v2",
        sender=command.sender,
        message_id=command.message_id,
        grounds=(*no_subject, *command.grounds),
        quarantined=None if whole else command.quarantined,
        tables=TABLES,
        sealed=SEALED,
    )


class TestAReportOfJson:
    def test_of_a_known_subject_is_recorded(self) -> None:
        command = report(hgb(reference_low="120", reference_high="160"))
        given(screened()).when(domain.REPORT, command).records(recorded(command))

    def test_is_recorded_with_the_versions_of_the_tables_that_it_was_read_by(self) -> None:
        [event] = given(screened()).when(domain.REPORT, report()).events
        assert isinstance(event, LabReportRecorded)
        for table in ("analytes", "other_tests"):
            path = Path(domain.__file__).with_name(f"{table}.toml")
            assert tomllib.loads(path.read_text(encoding="utf-8"))["version"] == getattr(event.tables, table)
        assert event.tables.ctcae == "5.0"

    def test_of_an_unknown_subject_is_refused(self) -> None:
        given().when(domain.REPORT, report()).rejects(UNKNOWN_SUBJECT, subject=S)

    def test_that_is_sent_again_comes_to_what_it_came_to_before(self) -> None:
        first = recorded(report())
        with pytest.raises(domain.RecordedBefore) as before:
            given(screened(), first).when(domain.REPORT, report())
        assert [each.event for each in before.value.earlier] == [first]

    def test_with_another_content_under_a_known_id_is_refused(self) -> None:
        result = given(screened(), recorded(report())).when(domain.REPORT, report(hgb("87")))
        result.rejects(domain.MESSAGE_ID_REUSED, position=2)

    def test_of_another_sender_may_bear_the_same_id(self) -> None:
        other = report(sender={"application": "LIS2", "facility": "LAB"})
        given(screened(), recorded(report())).when(domain.REPORT, other).records(recorded(other))

    def test_is_decided_within_its_subject_its_message_and_its_orders(self) -> None:
        command = report()
        tags = {tag for item in domain.boundary(command).items for tag in item.tags}
        assert tags == {f"subject:{S}", f"message:{command.message_key}", f"order:{command.results[0].order}"}
        assert all(item.types for item in domain.boundary(command).items)


class TestALaterWord:
    @pytest.mark.parametrize("status", ["C", "D", "W", "X"])
    def test_supersedes_a_final_result(self, status: str) -> None:
        value = "87" if status == "C" else None
        result = only_result(
            given(screened(), recorded(report())).when(domain.REPORT, report(hgb(value, status), **LATER))
        )
        assert (result.version, result.supersedes) == (2, Superseded(position=2, version=1))
        assert result.value == (Decimal(87) if value else None)
        assert (result.current, result.discrepancy) == (True, False)

    def test_corrects_a_correction(self) -> None:
        first, second = report(), report(hgb("87", "C"), **LATER)
        corrected = version(second, version=2, supersedes=Superseded(position=2, version=1))
        third = report(hgb("88", "C"), **LATER | {"message_id": "m3"})
        result = only_result(given(screened(), recorded(first), recorded(second, corrected)).when(domain.REPORT, third))
        assert (result.version, result.supersedes) == (3, Superseded(position=3, version=2))

    def test_that_corrects_what_was_never_sent_is_a_first_version(self) -> None:
        command = report(hgb("87", "C"))
        given(screened()).when(domain.REPORT, command).records(recorded(command))

    def test_with_another_final_value_is_a_correction_that_was_not_called_one(self) -> None:
        result = only_result(given(screened(), recorded(report())).when(domain.REPORT, report(hgb("87"), **LATER)))
        assert (result.version, result.current, result.discrepancy) == (2, True, True)

    def test_with_the_same_final_value_is_no_discrepancy(self) -> None:
        result = only_result(given(screened(), recorded(report())).when(domain.REPORT, report(hgb("86.0"), **LATER)))
        assert (result.version, result.discrepancy) == (2, False)

    def test_final_takes_the_place_of_a_preliminary(self) -> None:
        preliminary = report(hgb("80", "P"))
        result = only_result(given(screened(), recorded(preliminary)).when(domain.REPORT, report(**LATER)))
        assert (result.version, result.current, result.discrepancy) == (2, True, False)

    def test_preliminary_never_takes_the_place_of_a_final(self) -> None:
        result = only_result(given(screened(), recorded(report())).when(domain.REPORT, report(hgb("80", "P"), **LATER)))
        assert (result.version, result.current, result.supersedes) == (2, False, None)

    def test_that_was_reported_earlier_never_takes_the_place_of_a_later_one(self) -> None:
        result = only_result(given(screened(), recorded(report())).when(domain.REPORT, report(hgb("80"), **EARLIER)))
        assert (result.version, result.current, result.discrepancy) == (2, False, True)

    def test_after_a_late_one_supersedes_the_one_that_counts(self) -> None:
        late = report(hgb("80", "P"), **LATER)
        history = (screened(), recorded(report()), recorded(late, version(late, version=2, current=False)))
        correction = report(hgb("87", "C"), **LATER | {"message_id": "m3"})
        result = only_result(given(*history).when(domain.REPORT, correction))
        assert (result.version, result.supersedes) == (3, Superseded(position=2, version=1))

    def test_on_another_collection_is_another_result(self) -> None:
        other = report(message_id="m2", collected_at=(COLLECTED - timedelta(days=1)).isoformat())
        given(screened(), recorded(report())).when(domain.REPORT, other).records(recorded(other))

    def test_by_the_laboratorys_order_number_finds_its_result_though_the_collection_was_corrected(self) -> None:
        first = report(order="A7")
        moved = (COLLECTED - timedelta(hours=1)).isoformat()
        correction = report(hgb("87", "C"), order="A7", collected_at=moved, **LATER)
        assert only_result(given(screened(), recorded(first)).when(domain.REPORT, correction)).version == 2


class TestAMessage:
    def test_of_a_known_subject_is_recorded(self) -> None:
        command = message(OBX_HGB, OBX_HCT)
        given(screened()).when(domain.MESSAGE, command).records(recorded(command))

    def test_of_an_unknown_subject_is_quarantined_as_a_whole(self) -> None:
        command = message()
        given().when(domain.MESSAGE, command).records(quarantined(command, None, whole=True))

    def test_that_is_partly_readable_is_recorded_in_part_and_quarantined_in_part(self) -> None:
        command = message(OBX_HGB, OBX_LOCAL, OBX_NO_UNIT)
        assert [ground.code for ground in command.grounds] == ["unknown-analyte", "missing-unit"]
        given(screened()).when(domain.MESSAGE, command).records(recorded(command), quarantined(command, S, whole=False))

    def test_without_a_readable_result_is_quarantined_as_a_whole(self) -> None:
        command = message(OBX_LOCAL)
        given(screened()).when(domain.MESSAGE, command).records(quarantined(command, S, whole=True))

    def test_with_nothing_of_the_trial_is_recorded_all_the_same(self) -> None:
        command = message(OBX_HCT)
        assert command.results == ()
        given(screened()).when(domain.MESSAGE, command).records(recorded(command))

    def test_that_is_sent_again_comes_to_both_events_of_the_first_time(self) -> None:
        command = message(OBX_HGB, OBX_LOCAL)
        history = (recorded(command), quarantined(command, S, whole=False))
        with pytest.raises(domain.RecordedBefore) as before:
            given(screened(), *history).when(domain.MESSAGE, command)
        assert [each.event for each in before.value.earlier] == list(history)

    def test_with_another_content_under_a_known_id_is_refused_on_the_record(self) -> None:
        first, second = message(), message(OBX_HGB.replace("8.6", "8.7"))
        refused = LabMessageRefused(
            site="01",
            message_key=first.message_key,
            digest=second.digest,
            source="hl7v2",
            sender=first.sender,
            message_id="42",
            earlier=2,
            sealed=SEALED,
        )
        given(screened(), recorded(first)).when(domain.MESSAGE, second).records(refused)
        with pytest.raises(domain.RecordedBefore):
            given(screened(), recorded(first), refused).when(domain.MESSAGE, second)


class TestARelease:
    def released(self, quarantine: int, subject: str = S, **codes: str | None) -> LabMessageReleased:
        return LabMessageReleased(
            quarantine=quarantine, subject=subject, site="01", message_key=message().message_key, codes=codes, units={}
        )

    def command(self, read: RecordLabReport, quarantine: int, **codes: str | None) -> ReleaseMessage:
        return ReleaseMessage(
            **(dict(read) | {"reason": "mapped", "quarantine": quarantine, "mapping": Mapping(codes=codes)})
        )

    def test_records_what_was_quarantined(self) -> None:
        in_quarantine = quarantined(message(), None, whole=True)
        command = self.command(message(), 1)
        given(in_quarantine, screened()).when(domain.RELEASE, command).records(
            self.released(1), recorded(command, released_from=1)
        )

    def test_happens_once(self) -> None:
        history: tuple[Event, ...] = (quarantined(message(), None, whole=True), screened(), self.released(1))
        given(*history).when(domain.RELEASE, self.command(message(), 1)).rejects(domain.ALREADY_RELEASED, quarantine=1)

    def test_of_what_still_cannot_be_read_is_refused_with_the_grounds(self) -> None:
        in_quarantine = quarantined(message(OBX_LOCAL), S, whole=True)
        result = given(screened(), in_quarantine).when(domain.RELEASE, self.command(message(OBX_LOCAL), 2))
        result.rejects(domain.STILL_UNREADABLE)
        assert result.problem is not None
        assert [ground["code"] for ground in result.problem.members["grounds"]] == ["unknown-analyte"]

    def test_for_a_subject_that_is_not_known_is_refused(self) -> None:
        in_quarantine = quarantined(message(), None, whole=True)
        given(in_quarantine).when(domain.RELEASE, self.command(message(), 1)).rejects(domain.STILL_UNREADABLE)

    def test_does_not_change_what_the_message_is_answered_with(self) -> None:
        command = message()
        in_quarantine = quarantined(command, None, whole=True)
        history = (in_quarantine, screened(), self.released(1), recorded(command, released_from=1))
        with pytest.raises(domain.RecordedBefore) as before:
            given(*history).when(domain.MESSAGE, command)
        assert [each.event for each in before.value.earlier] == [in_quarantine]


@settings(max_examples=60, deadline=None)
@examples(st.lists(st.tuples(st.sampled_from("PFC"), st.integers(0, 5)), min_size=1, max_size=8))
def test_however_words_on_a_result_arrive_one_counts_and_no_version_is_used_twice(words: list[tuple[str, int]]) -> None:
    history: list[Event] = [screened()]
    for number, (status, hours) in enumerate(words):
        command = report(
            hgb(str(80 + number), status),
            message_id=f"m{number}",
            reported_at=(REPORTED + timedelta(hours=hours)).isoformat(),
        )
        history += given(*history).when(domain.REPORT, command).events
    results = [event.results[0] for event in history[1:] if isinstance(event, LabReportRecorded)]
    assert [result.version for result in results] == list(range(1, len(words) + 1))
    superseded = {result.supersedes.version for result in results if result.supersedes}
    standing = [result for result in results if result.current and result.version not in superseded]
    assert len(standing) == 1
    settled = [result for result in results if result.status != "P"]
    assert (standing[0].status == "P") == (not settled)
