"""Decides whether every allocation of an export is the one that its sealed scheme gives, once the seed is revealed.

    python -m services.randomization.verifier EXPORT

It ends with 0 when each allocation could be recomputed and is the same, 1 when one is not, which it names, and 2 when
it could not be run or a scheme is not revealed yet. It needs the standard library alone, and of this project
`commitment`, `recount` and the arithmetic below them. Whether the export itself is whole and signed is asked of
`marrow verify`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.randomization.commitment import list_root, parameters_commitment
from services.randomization.permuted_blocks import arms
from services.randomization.recount import ALLOCATION, DRAW, OF_BALANCE, Recount, difference
from services.randomization.stream import seed_commitment


class MismatchError(Exception):
    """The first thing that does not match, and the position of the record that it stands in."""

    def __init__(self, position: int, text: str) -> None:
        super().__init__(f"position {position}: {text}")


class UnreadableError(Exception):
    """The file is no export of this log."""


@dataclass
class Found:
    """What an export holds of randomization, by position: schemes and secrets by version; the rest in order.

    `history` holds the allocations and their errors, each with the type of its event; `draws` those that no allocation
    has been matched with yet.
    """

    sealed: dict[int, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)
    revealed: dict[int, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)
    history: list[tuple[int, str, Mapping[str, Any]]] = field(default_factory=list)
    draws: dict[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verified:
    """How many allocations match, and how many are under schemes that nobody has revealed."""

    matching: int
    unrevealed: int

    def and_one(self, *, revealed: bool) -> Verified:
        """One more allocation."""
        return Verified(self.matching + revealed, self.unrevealed + (not revealed))


def verify_allocation(lines: Iterable[bytes]) -> Verified:
    """Recompute every list and every allocation of an export. Raises MismatchError, or UnreadableError."""
    try:
        return _verified(_read(lines))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"a line has not the shape of an export's: {error}") from error


def _verified(found: Found) -> Verified:
    for version, (position, secret) in found.revealed.items():
        if version not in found.sealed:
            raise MismatchError(position, f"scheme {version} was revealed, and never sealed")
        _require_committed(found.sealed[version][1], secret, position)
    _require_one_each(found)
    recount = Recount({version: scheme for version, (_, scheme) in found.sealed.items()})
    lists: dict[tuple[int, str], Iterator[str]] = {}
    slots: dict[tuple[int, str], int] = {}
    verified = Verified(0, 0)
    for position, kind, data in found.history:
        if kind == ALLOCATION:
            version = data["scheme"]
            _require_in_effect(found, version, position)
            _require_next_slot(found.sealed[version][1], data, slots, position)
            _require_arm(found, data, lists, recount, position)
            verified = verified.and_one(revealed=version in found.revealed)
        recount.add(kind, data)
    for position, drawn in found.draws.items():
        raise MismatchError(position, f"a draw for {drawn['subject']}, and no allocation after it")
    return verified


def _read(lines: Iterable[bytes]) -> Found:
    found, expected = Found(), None
    for line in lines:
        document = _object(line)
        if "record" not in document:
            continue
        position, record = document["position"], document["record"].encode()
        if expected is not None and position != expected:
            raise MismatchError(position, f"a record is missing: position {expected} was to come")
        expected = position + 1
        if base64.b64decode(document["leaf_hash"]) != hashlib.sha256(b"\x00" + record).digest():
            raise MismatchError(position, "the record is not the one of its leaf hash")
        _keep(found, position, _object(record))
    return found


def _keep(found: Found, position: int, record: Mapping[str, Any]) -> None:
    data = record["data"]
    match record["type"]:
        case "randomization-scheme-sealed":
            if data["scheme"] != len(found.sealed) + 1:
                raise MismatchError(position, f"scheme {data['scheme']} was sealed out of order")
            found.sealed[data["scheme"]] = (position, data)
        case "randomization-seed-revealed":
            found.revealed[data["scheme"]] = (position, data)
        case kind if kind == DRAW:
            found.draws[position] = data
        case kind if kind in OF_BALANCE:
            if data.get("drawn") is not None:  # version 1 of an allocation held its draw
                found.draws[position - 1] = {"subject": data["subject"], **data["drawn"]}
            found.history.append((position, kind, data))


def _object(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise UnreadableError("a line is no JSON") from error
    if not isinstance(document, dict):
        raise UnreadableError("a line is no JSON object")
    return document


def _require_committed(scheme: Mapping[str, Any], secret: Mapping[str, Any], position: int) -> None:
    seed, nonce = bytes.fromhex(secret["seed"]), bytes.fromhex(secret["nonce"])
    if seed_commitment(seed, nonce) != scheme["seed_commitment"]:
        raise MismatchError(position, "the seed is not the one that was committed to")
    if parameters_commitment(nonce, {"block_sizes": secret["block_sizes"]}) != scheme["parameters_commitment"]:
        raise MismatchError(position, "the block sizes are not those that were committed to")
    for stratum, root in scheme["list_roots"].items():
        rows = _rows(scheme, secret, stratum)
        if list_root(seed, stratum, [next(rows) for _ in range(scheme["list_length"])]) != root:
            raise MismatchError(position, f"the list of {stratum} is not the one that was committed to")


def _require_one_each(found: Found) -> None:
    seen: set[str] = set()
    for position, kind, data in found.history:
        if kind == ALLOCATION and data["subject"] in seen:
            raise MismatchError(position, f"{data['subject']} was randomized before")
        if kind == ALLOCATION:
            seen.add(data["subject"])


def _require_in_effect(found: Found, version: int, position: int) -> None:
    """The scheme of an allocation is the last that was sealed before it, and was secret still."""

    def sealed_before(number: int) -> bool:
        return number in found.sealed and found.sealed[number][0] < position

    if not sealed_before(version) or sealed_before(version + 1):
        raise MismatchError(position, f"scheme {version} was not in effect")
    if version in found.revealed and found.revealed[version][0] < position:
        raise MismatchError(position, f"scheme {version} had been revealed")


def _require_next_slot(
    scheme: Mapping[str, Any], allocation: Mapping[str, Any], slots: dict[tuple[int, str], int], position: int
) -> None:
    """Slots are counted in the stratum, and by minimization over the trial."""
    place = allocation["scheme"], "" if scheme["method"] == "minimization" else allocation["stratum"]
    slot = slots.get(place, 0)
    if allocation["slot"] != slot:
        raise MismatchError(position, f"{allocation['subject']} has slot {allocation['slot']} instead of {slot}")
    slots[place] = slot + 1


def _require_arm(
    found: Found,
    allocation: Mapping[str, Any],
    lists: dict[tuple[int, str], Iterator[str]],
    recount: Recount,
    position: int,
) -> None:
    """The arm is that of the list, or follows from the counts; without the seed only the latter can be said."""
    version, stratum, subject = allocation["scheme"], allocation["stratum"], allocation["subject"]
    scheme = found.sealed[version][1]
    secret = found.revealed[version][1] if version in found.revealed else None
    drawn = found.draws.pop(position - 1, None)  # one record after the other, in one append
    if drawn is not None and drawn["subject"] != subject:
        raise MismatchError(position - 1, f"a draw for {drawn['subject']} before the allocation of {subject}")
    if scheme["method"] != "permuted-blocks":
        if drawn is None:
            raise MismatchError(position, f"{subject} has no draw")
        seed = None if secret is None else bytes.fromhex(secret["seed"])
        if differing := difference(scheme, seed, allocation, drawn, recount.counts(version, stratum)):
            raise MismatchError(position, f"{subject} has {differing}")
        return
    if drawn is not None:
        raise MismatchError(position, f"{subject} has a draw, where there is a list")
    if secret is not None:
        rows = lists.setdefault((version, stratum), _rows(scheme, secret, stratum))
        if (arm := next(rows)) != allocation["arm"]:
            raise MismatchError(position, f"{subject} has {allocation['arm']} instead of {arm}")


def _rows(scheme: Mapping[str, Any], secret: Mapping[str, Any], stratum: str) -> Iterator[str]:
    ratio = {each["code"]: each["share"] for each in scheme["arms"]}
    return arms(bytes.fromhex(secret["seed"]), stratum, secret["block_sizes"], ratio)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module's text for what it ends with."""
    parser = argparse.ArgumentParser(prog="verify-allocation", description="Recompute the allocations of an export.")
    parser.add_argument("export", type=Path)
    export: Path = parser.parse_args(arguments).export
    try:
        with export.open("rb") as lines:
            verified = verify_allocation(lines)
    except MismatchError as error:
        print(f"NOT THE SAME at {error}")  # noqa: T201 (a command line)
        return 1
    except (OSError, UnreadableError) as error:
        print(f"{export} cannot be read as an export: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(f"{verified.matching} allocations recomputed, all the same.")  # noqa: T201
    if verified.unrevealed:
        print(f"{verified.unrevealed} are under a scheme that has not been revealed.", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
