"""Everybody can recompute the allocations of an export; whatever was changed in them is found."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.randomization.events import (
    ArmDrawn,
    RandomizationMarkedInError,
    RandomizationSchemeSealed,
    StratumCorrected,
    SubjectRandomized,
)
from services.randomization.scheme import Secret, listed
from services.randomization.verifier import MismatchError, UnreadableError, Verified, main, verify_allocation
from shared.events import Event
from tests.randomization.examples import SECRET, randomized, revealed, screened, sealed, sealed_as
from tests.randomization.trials import DYNAMIC_SCHEMES, DYNAMIC_SECRET, allocated, errors_of

ROOT = Path(__file__).parents[2]
SUBJECTS = 24
OTHER = Secret(seed=bytes(32), nonce=bytes(32), block_sizes=(4,))


def allocations(stratum: str = "RA|01", first: int = 1, scheme: int = 1, secret: Secret = SECRET) -> list[Event]:
    rows = listed(sealed(scheme, secret).arms, secret, stratum, SUBJECTS)
    return [
        randomized(f"01-{first + slot:03d}", slot, arm, stratum).model_copy(update={"scheme": scheme})
        for slot, arm in enumerate(rows)
    ]


HISTORY: tuple[Event, ...] = (
    screened("01-001"),
    sealed(1),
    *allocations(),
    *allocations("RARS|01", first=101),
    sealed(2, OTHER),
    *allocations(first=201, scheme=2, secret=OTHER),
    revealed(1),
    revealed(2, OTHER),
)


def line(position: int, event: Event) -> bytes:
    return line_of(position, json.dumps({"type": event.name, "data": event.model_dump(mode="json")}))


def line_of(position: int, record: str) -> bytes:
    leaf = base64.b64encode(hashlib.sha256(b"\x00" + record.encode()).digest()).decode()
    return json.dumps({"position": position, "record": record, "leaf_hash": leaf}).encode() + b"\n"


def export(*events: Event) -> list[bytes]:
    closing = b'{"format": "marrow-export-1"}\n'
    return [*(line(position, event) for position, event in enumerate(events, start=1)), closing]


def test_every_allocation_of_a_revealed_scheme_is_recomputed() -> None:
    assert verify_allocation(export(*HISTORY)) == Verified(matching=3 * SUBJECTS, unrevealed=0)


def test_what_is_not_revealed_is_counted_and_its_slots_are_checked() -> None:
    assert verify_allocation(export(*HISTORY[:-1])) == Verified(matching=2 * SUBJECTS, unrevealed=SUBJECTS)
    with pytest.raises(MismatchError, match="slot 1 instead of 0"):
        verify_allocation(export(sealed(1), *allocations()[1:]))


def at(subject: str) -> int:
    return next(
        number
        for number, event in enumerate(HISTORY)
        if isinstance(event, SubjectRandomized) and event.subject == subject
    )


def changed(number: str, **members: Any) -> list[Event]:
    history = list(HISTORY)
    history[at(number)] = history[at(number)].model_copy(update=members)
    return history


def arm_changed() -> list[Event]:
    event = HISTORY[at("01-007")]
    assert isinstance(event, SubjectRandomized)
    return changed("01-007", arm={"MSC": "CSA", "CSA": "MSC"}[event.arm])


def order_swapped() -> list[Event]:
    history = list(HISTORY)
    history[at("01-003")], history[at("01-004")] = history[at("01-004")], history[at("01-003")]
    return history


def subject_dropped() -> list[Event]:
    return [event for number, event in enumerate(HISTORY) if number != at("01-010")]


def subject_inserted() -> list[Event]:
    history = list(HISTORY)
    history.insert(at("01-010"), randomized("01-999", 9, "MSC"))
    return history


def subject_allocated_twice() -> list[Event]:
    return changed("01-011", subject="01-010")


def stratum_changed() -> list[Event]:
    return changed("01-010", stratum="RARS|01")


def under_another_scheme() -> list[Event]:
    return changed("01-010", scheme=2)


def another_seed() -> list[Event]:
    return [event if event != revealed(1) else revealed(1, OTHER) for event in HISTORY]


def other_block_sizes() -> list[Event]:
    return [event.model_copy(update={"block_sizes": (4,)}) if event == revealed(1) else event for event in HISTORY]


def another_root() -> list[Event]:
    roots = sealed(1).list_roots | {"RARS|01": "00" * 32}
    return [event.model_copy(update={"list_roots": roots}) if event == sealed(1) else event for event in HISTORY]


def arms_in_another_order() -> list[Event]:
    arms = sealed(1).arms[::-1]
    return [event.model_copy(update={"arms": arms}) if event == sealed(1) else event for event in HISTORY]


def allocated_after_the_reveal() -> list[Event]:
    history = list(HISTORY)
    history.insert(2, history.pop(history.index(revealed(1))))
    return history


@pytest.mark.parametrize(
    "tampered",
    [
        arm_changed,
        order_swapped,
        subject_dropped,
        subject_inserted,
        subject_allocated_twice,
        stratum_changed,
        under_another_scheme,
        another_seed,
        other_block_sizes,
        another_root,
        arms_in_another_order,
        allocated_after_the_reveal,
    ],
)
def test_whatever_was_changed_is_found(tampered: Callable[[], list[Event]]) -> None:
    with pytest.raises(MismatchError):
        verify_allocation(export(*tampered()))


class TestMethodsThatLookAtTheCounts:
    """Counts, odds and draw are recomputed; what differs is named by its own name."""

    @staticmethod
    def trial(method: str, version: int = 1) -> list[Event]:
        """Subjects at two sites, each fourth with an error of another kind; the scheme is revealed in the end.

        Who has a corrected stratum is counted there, and no other of the erroneous.
        """
        scheme = sealed_as(version, DYNAMIC_SCHEMES[method], DYNAMIC_SECRET)
        history: list[Event] = [scheme]
        for number in range(300, 300 + SUBJECTS):
            subject = f"0{number % 2 + 1}-{number}"
            history.extend(allocated(scheme, history, subject, "RA" if number % 3 else "RARS"))
            if number % 4 == 0:
                kind = number // 4 % 4
                history.append(errors_of(subject, counted=kind == 1)[kind])
        return [*history, revealed(version, DYNAMIC_SECRET)]

    @staticmethod
    def last(history: list[Event]) -> tuple[int, ArmDrawn, SubjectRandomized]:
        """Where the last draw stands, that draw, and the allocation after it."""
        at = max(number for number, event in enumerate(history) if isinstance(event, ArmDrawn))
        drawn, event = history[at : at + 2]
        assert isinstance(drawn, ArmDrawn)
        assert isinstance(event, SubjectRandomized)
        return at, drawn, event

    def tampered(self, history: list[Event], **members: Any) -> list[bytes]:
        """The last allocation with some members of its draw exchanged, or the arm."""
        at, drawn, event = self.last(history)
        event = event.model_copy(update={"arm": members.pop("arm", event.arm)})
        return export(*history[:at], drawn.model_copy(update=members), event, *history[at + 2 :])

    @pytest.mark.parametrize("method", DYNAMIC_SCHEMES)
    def test_every_allocation_is_recomputed(self, method: str) -> None:
        assert verify_allocation(export(*self.trial(method))) == Verified(matching=SUBJECTS, unrevealed=0)

    @pytest.mark.parametrize("method", DYNAMIC_SCHEMES)
    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("scores", {"MSC": "7/3", "CSA": "0"}),
            ("tickets", {"MSC": 100, "CSA": 1}),
            ("arm", "other"),
        ],
    )
    def test_whatever_was_changed_in_a_draw_is_named(self, method: str, member: str, value: Any) -> None:
        history = self.trial(method)
        _, _, event = self.last(history)
        value = {"MSC": "CSA", "CSA": "MSC"}[event.arm] if value == "other" else value
        for told in (history, history[:-1]):  # also where the seed is secret still
            with pytest.raises(MismatchError, match=f"{event.subject} has {member} "):
                verify_allocation(self.tampered(told, **{member: value}))

    @pytest.mark.parametrize("method", DYNAMIC_SCHEMES)
    def test_changed_counts_are_named(self, method: str) -> None:
        history = self.trial(method)
        _, drawn, event = self.last(history)
        counts = {key: seen | {"MSC": seen["MSC"] + 1} for key, seen in drawn.counts.items()}
        with pytest.raises(MismatchError, match=f"{event.subject} has counts"):
            verify_allocation(self.tampered(history[:-1], counts=counts))

    @pytest.mark.parametrize("method", DYNAMIC_SCHEMES)
    def test_another_draw_is_found_once_the_seed_is_known(self, method: str) -> None:
        history = self.trial(method)
        _, drawn, event = self.last(history)
        # One that falls on the same arm, or else on the other one with the arm changed to match.
        tickets = [arm for arm in ("MSC", "CSA") for _ in range(drawn.tickets[arm])]
        other = (drawn.draw + 1) % len(tickets)
        changed = self.tampered(history, draw=other, arm=tickets[other])
        with pytest.raises(MismatchError, match=f"{event.subject} has draw {other} instead of {drawn.draw}"):
            verify_allocation(changed)
        verify_allocation(self.tampered(history[:-1], draw=other, arm=tickets[other]))  # nobody could tell before
        with pytest.raises(MismatchError, match="draw 999 of"):
            verify_allocation(self.tampered(history[:-1], draw=999))

    @pytest.mark.parametrize("method", ["biased-coin", "urn", "minimization"])
    @pytest.mark.parametrize("kind", [SubjectRandomized, StratumCorrected, RandomizationMarkedInError])
    def test_an_allocation_or_an_error_that_was_dropped_is_found(self, method: str, kind: type[Event]) -> None:
        history = self.trial(method)
        if kind is StratumCorrected and method == "urn":
            pytest.skip("its strata are sites, and no correction changes the site")
        first = next(number for number, each in enumerate(history) if isinstance(each, kind))
        draw_before = kind is SubjectRandomized  # who drops an allocation drops its draw too
        with pytest.raises(MismatchError):
            verify_allocation(export(*history[: first - draw_before], *history[first + 1 :]))

    @pytest.mark.parametrize("method", ["biased-coin", "urn", "minimization"])
    def test_whether_an_erroneous_subject_is_counted_is_checked(self, method: str) -> None:
        history = self.trial(method)
        at = next(number for number, event in enumerate(history) if isinstance(event, RandomizationMarkedInError))
        counted = history[at].model_dump()["counted_in_balance"]
        history[at] = history[at].model_copy(update={"counted_in_balance": not counted})
        with pytest.raises(MismatchError, match="has counts"):
            verify_allocation(export(*history))

    def test_other_parameters_of_the_scheme_are_found(self) -> None:
        scheme, *history = self.trial("biased-coin")
        other = scheme.model_copy(update={"parameters": {"p": "3/4"}})
        with pytest.raises(MismatchError, match="has tickets"):
            verify_allocation(export(other, *history))

    def test_a_draw_that_is_missing_is_found_and_one_where_there_is_a_list(self) -> None:
        scheme, first, allocation, *others = self.trial("urn")
        with pytest.raises(MismatchError, match="has no draw"):
            verify_allocation(export(scheme, allocation, *others))
        with pytest.raises(MismatchError, match="position 2: a draw for 01-300, and no allocation after it"):
            verify_allocation(export(scheme, first))
        with pytest.raises(MismatchError, match="position 2: a draw for 01-300 before the allocation of 02-301"):
            verify_allocation(export(scheme, first, allocation.model_copy(update={"subject": "02-301"})))
        by_a_list = list(HISTORY)
        by_a_list.insert(at("01-001"), first.model_copy(update={"subject": "01-001"}))
        with pytest.raises(MismatchError, match="has a draw, where there is a list"):
            verify_allocation(export(*by_a_list))

    @pytest.mark.parametrize("method", DYNAMIC_SCHEMES)
    def test_an_allocation_of_version_1_holds_its_draw_itself(self, method: str) -> None:
        scheme, drawn, allocation = self.trial(method)[:3]
        told = drawn.model_dump(mode="json", exclude={"subject"})
        *before, after, closing = export(scheme, screened("01-300"), allocation)
        document = json.loads(after)
        record = json.loads(document["record"])
        record["data"]["drawn"] = told
        lines = [*before, line_of(document["position"], json.dumps(record)), closing]
        assert verify_allocation(lines) == Verified(matching=0, unrevealed=1)
        record["data"]["drawn"] = told | {"draw": 999}
        with pytest.raises(MismatchError, match="draw 999 of"):
            verify_allocation([*before, line_of(document["position"], json.dumps(record)), closing])

    @pytest.mark.parametrize("method", DYNAMIC_SCHEMES)
    def test_arms_in_another_order_than_the_sealed_one_are_found(self, method: str) -> None:
        """Tickets are numbered in that order, and records hold them by name."""
        scheme, *history = self.trial(method)
        assert isinstance(scheme, RandomizationSchemeSealed)
        other = scheme.model_copy(update={"arms": scheme.arms[::-1]})
        with pytest.raises(MismatchError, match="has arm"):
            verify_allocation(export(other, *history))

    def test_a_correction_in_other_factors_than_the_schemes_moves_nobody(self) -> None:
        scheme = sealed_as(1, DYNAMIC_SCHEMES["minimization"], DYNAMIC_SECRET)
        corrected = errors_of("01-300", counted=True)[1].model_copy(update={"stratum_corrected": "RARS"})
        history: list[Event] = [scheme, *allocated(scheme, [scheme], "01-300"), corrected]
        history.extend(allocated(scheme, history, "01-301"))
        assert verify_allocation(export(*history, revealed(1, DYNAMIC_SECRET))).matching == 2

    def test_slots_of_minimization_are_counted_over_the_trial(self) -> None:
        history = self.trial("minimization")
        at, _, event = self.last(history)
        moved = event.model_copy(update={"slot": 0})
        with pytest.raises(MismatchError, match="slot 0 instead of"):
            verify_allocation(export(*history[: at + 1], moved, *history[at + 2 :]))


def test_the_first_allocation_that_differs_is_named() -> None:
    event = HISTORY[at("01-007")]
    assert isinstance(event, SubjectRandomized)
    other = {"MSC": "CSA", "CSA": "MSC"}[event.arm]
    with pytest.raises(MismatchError, match=f"position {at('01-007') + 1}: 01-007 has {other} instead of {event.arm}"):
        verify_allocation(export(*arm_changed()))


def test_a_line_that_was_taken_out_or_altered_is_found() -> None:
    lines = export(*HISTORY)
    with pytest.raises(MismatchError, match="a record is missing: position 5"):
        verify_allocation(lines[:4] + lines[5:])
    altered = lines[6].replace(b"MSC", b"CSA").replace(b"CSA", b"MSC", 1)
    with pytest.raises(MismatchError, match="leaf hash"):
        verify_allocation(
            [*lines[:6], altered if altered != lines[6] else lines[6].replace(b"01-", b"02-"), *lines[7:]]
        )


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b'{"record": 1, "position": 1}'])
def test_what_is_no_export_is_said_to_be_none(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "export.ndjson"
    file.write_bytes(text + b"\n")
    with pytest.raises(UnreadableError):
        verify_allocation([text])
    assert main([str(file)]) == 2


def test_the_command_line_needs_the_standard_library_alone(tmp_path: Path) -> None:
    file = tmp_path / "export.ndjson"
    history = (*HISTORY, *TestMethodsThatLookAtTheCounts.trial("minimization", version=3))
    file.write_bytes(b"".join(export(*history)))
    # -S: without site packages, so that nothing that was installed can be imported.
    command = [sys.executable, "-S", "-m", "services.randomization.verifier", str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, f"{4 * SUBJECTS} allocations recomputed, all the same.\n")
