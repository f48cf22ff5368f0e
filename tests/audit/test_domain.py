"""Signatures: by whom, how soon after authentication, over what, and what supersedes them."""

from __future__ import annotations

import base64
from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from services.audit import domain
from services.audit.commands import POSITIONS_MAX, SignRecords
from services.audit.domain import LoggedRecord
from services.audit.events import RecordsSigned, SignedRecord
from shared.decision import Decider
from shared.identity import Actor, Role
from shared.problems import FORBIDDEN
from shared.signing import AUTHENTICATION_NOT_FRESH, changes_tag
from tests.scenario import DAY_0, given

HASH = bytes(range(32))
HASH_TEXT = base64.b64encode(HASH).decode()


def record(position: int, *tags: str, kind: str = "symptoms-scored", reason: str | None = None) -> LoggedRecord:
    return LoggedRecord(position, HASH, kind, frozenset(tags or ("subject:01-001", "site:01")), reason)


def signer(minutes_ago: float | None = 1, sites: frozenset[str] | None = None) -> Actor:
    """An investigator who authenticated some minutes ago."""
    authenticated_at = None if minutes_ago is None else DAY_0 - timedelta(minutes=minutes_ago)
    return Actor("i1", "Ines Gator", Role.INVESTIGATOR, "site", sites, authenticated_at=authenticated_at)


def signing(*records: LoggedRecord, by: Actor | None = None) -> Decider[SignRecords, None]:
    """The rules of signing on a log that holds these records."""
    return domain.signing(by or signer(), {each.position: each for each in records})


def approve(*positions: int) -> SignRecords:
    return SignRecords(positions=positions, meaning="approval")


class TestSigning:
    def test_a_signature_binds_name_and_meaning_to_positions_and_leaf_hashes(self) -> None:
        given().when(signing(record(17), record(18)), approve(17, 18)).records(
            RecordsSigned(
                records=(
                    SignedRecord(position=17, leaf_hash=HASH_TEXT),
                    SignedRecord(position=18, leaf_hash=HASH_TEXT),
                ),
                meaning="approval",
                printed_name="Ines Gator",
                subjects=("01-001",),
                sites=("01",),
            )
        )

    def test_records_are_signed_once_each_and_in_the_order_of_the_log(self) -> None:
        result = given().when(signing(record(17), record(18)), approve(18, 17, 18))
        (signed,) = result.events
        assert isinstance(signed, RecordsSigned)
        assert [each.position for each in signed.records] == [17, 18]

    def test_it_stands_in_the_trail_of_every_subject_and_site_that_was_signed(self) -> None:
        records = (record(1), record(2, "subject:02-004", "site:02"), record(3, "site:01"))
        (signed,) = given().when(signing(*records), approve(1, 2, 3)).events
        assert signed.tags() == (
            "subject:01-001",
            "subject:02-004",
            "site:01",
            "site:02",
            "signed:1",
            "signed:2",
            "signed:3",
        )

    def test_what_the_log_does_not_hold_cannot_be_signed(self) -> None:
        given().when(signing(record(17)), approve(17, 18, 99)).rejects(domain.UNKNOWN_POSITION, positions=[18, 99])

    @pytest.mark.parametrize("minutes_ago", [None, 5.01, 60])
    def test_an_old_authentication_does_not_do(self, minutes_ago: float | None) -> None:
        stale = signing(record(17), by=signer(minutes_ago))
        given().when(stale, approve(17)).rejects(AUTHENTICATION_NOT_FRESH)

    def test_five_minutes_are_fresh_enough(self) -> None:
        assert given().when(signing(record(17), by=signer(5)), approve(17)).events

    def test_who_speaks_for_a_site_signs_its_records_alone(self) -> None:
        of_site_01 = signer(sites=frozenset({"01"}))
        assert given().when(signing(record(17), by=of_site_01), approve(17)).events
        for other in (record(17, "subject:02-001", "site:02"), record(17, "stratum:RA|01")):
            given().when(signing(other, by=of_site_01), approve(17)).rejects(FORBIDDEN)


class TestTheCommand:
    @pytest.mark.parametrize("positions", [(), (0,), (-1,), (2**53,), ("1",), (True,), range(1, POSITIONS_MAX + 2)])
    def test_positions_are_some_whole_numbers_from_one_on(self, positions: tuple[object, ...]) -> None:
        with pytest.raises(ValidationError):
            SignRecords.model_validate({"positions": list(positions), "meaning": "review"})

    def test_a_whole_number_may_be_written_as_json_writes_any_number(self) -> None:
        command = SignRecords.model_validate({"positions": [Decimal("17.0"), Decimal("1E+1")], "meaning": "review"})
        assert command.positions == (17, 10)
        for position in (Decimal("17.5"), Decimal("1E+999999"), Decimal("NaN"), 17.0):
            with pytest.raises(ValidationError):
                SignRecords.model_validate({"positions": [position], "meaning": "review"})

    def test_a_signature_cannot_be_dated_back(self) -> None:
        with pytest.raises(ValidationError):
            SignRecords.model_validate({"positions": [1], "meaning": "review", "occurred_at": "2026-01-01T00:00:00Z"})

    def test_it_means_one_of_what_the_regulation_names(self) -> None:
        with pytest.raises(ValidationError):
            SignRecords.model_validate({"positions": [1], "meaning": "liking"})


class TestSuperseding:
    signed = record(17, "subject:01-001", "site:01", "order:a1", "key:k1")

    def test_a_change_with_a_reason_supersedes(self) -> None:
        assert domain.supersedes(record(20, reason="misread"), self.signed)

    def test_a_laboratorys_next_word_on_the_same_order_supersedes(self) -> None:
        assert domain.supersedes(record(20, "subject:01-001", "site:01", "order:a1"), self.signed)

    @pytest.mark.parametrize(
        "later",
        [
            record(20),
            record(20, "subject:01-001", "site:01", "order:a2"),
            record(20, "subject:01-001", "site:01", "key:k1"),
            record(20, "subject:01-002", "site:01", reason="misread"),
            record(20, "site:01", "order:a1", reason="misread"),
            record(20, kind="transfusion-given", reason="misread"),
        ],
        ids=["next week", "another order", "same request", "another subject", "no subject", "another type"],
    )
    def test_what_merely_goes_on_supersedes_nothing(self, later: LoggedRecord) -> None:
        assert not domain.supersedes(later, self.signed)

    def test_what_names_the_record_that_it_changes_supersedes_whatever_its_type(self) -> None:
        outdating = record(20, "subject:01-001", "site:01", changes_tag(17), kind="evaluation-inputs-changed")
        assert domain.supersedes(outdating, self.signed)
        other = record(20, "subject:01-001", "site:01", changes_tag(16), kind="evaluation-inputs-changed")
        assert not domain.supersedes(other, self.signed)

    def test_a_reason_is_for_another_thing_where_both_name_theirs(self) -> None:
        month_3, month_6 = (record(each, "subject:01-001", f"timepoint:M{each}") for each in (3, 6))
        again = record(20, "subject:01-001", "timepoint:M3", reason="a count was corrected")
        assert domain.supersedes(again, month_3)
        assert not domain.supersedes(again, month_6)

    def test_a_signature_is_not_superseded_by_another(self) -> None:
        first, second = (record(each, kind=RecordsSigned.name, reason="countersigned") for each in (17, 18))
        assert not domain.supersedes(second, first)

    def test_it_is_said_what_superseded(self) -> None:
        later = [record(20), record(21, reason="misread"), record(22, reason="typed twice")]
        assert domain.superseding([self.signed], later) == [21, 22]
