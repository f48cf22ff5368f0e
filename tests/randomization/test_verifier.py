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

from services.randomization.events import SubjectRandomized
from services.randomization.scheme import Secret, listed
from services.randomization.verifier import MismatchError, UnreadableError, Verified, main, verify_allocation
from shared.events import Event
from tests.randomization.examples import SECRET, randomized, revealed, screened, sealed

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
    record = json.dumps({"type": event.name, "data": event.model_dump(mode="json")})
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
        allocated_after_the_reveal,
    ],
)
def test_whatever_was_changed_is_found(tampered: Callable[[], list[Event]]) -> None:
    with pytest.raises(MismatchError):
        verify_allocation(export(*tampered()))


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
    file.write_bytes(b"".join(export(*HISTORY)))
    # -S: without site packages, so that nothing that was installed can be imported.
    command = [sys.executable, "-S", "-m", "services.randomization.verifier", str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, f"{3 * SUBJECTS} allocations recomputed, all the same.\n")
