"""Everybody's check of an export: so many allocations recomputed once the seed is revealed, in seconds.

The export holds the whole of what can be numbered: a hundred sites of a thousand subjects. Lists of permuted blocks, by
diagnosis and site, are those that the scheme makes; under minimization each subject is allocated by the service's own
rule on the counts of those before. Measured is the verifier alone, on lines that lie in memory; signatures and proofs
are `marrow verify`'s.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import product
from statistics import median

import orjson

from services.randomization import domain
from services.randomization.commands import MinimizationScheme, RandomizeSubject
from services.randomization.scheme import Schemes, Secret, listed
from services.randomization.subject import Subject
from services.randomization.verifier import verify_allocation
from shared.events import Event, Recorded
from shared.eventstore.record import format_instant
from shared.protocol import load_protocol
from tests.bench.ground import Ground
from tests.bench.history import AT, BY
from tests.bench.report import Table, number, runs
from tests.bench.rounds import Scale
from tests.randomization.examples import SECRET, randomized, revealed, sealed, sealed_as

ALLOCATIONS = {Scale.FULL: 100_000, Scale.QUICK: 20_000, Scale.TINY: 400}
REPETITIONS = {Scale.FULL: 3, Scale.QUICK: 3, Scale.TINY: 1}
SITES = 100
DIAGNOSES = ("RA", "RARS")

MINIMIZATION = MinimizationScheme(
    method="minimization",
    ratio={"MSC": 1, "CSA": 1},
    strata=("diagnosis", "site"),
    weights={"diagnosis": Fraction(2), "site": Fraction(1)},
    p=Fraction(4, 5),
)


def run(ground: Ground, scale: Scale) -> list[Table]:  # noqa: ARG001 (it needs no database)
    count = ALLOCATIONS[scale]
    rows = []
    for name, events in {"permuted blocks": _by_lists(count), "minimization": _by_minimization(count)}.items():
        lines = [_line(position, event) for position, event in enumerate(events, start=1)]
        seconds = [_verify(lines, count) for _ in range(REPETITIONS[scale])]
        rows.append((name, number(median(seconds)), runs(seconds), number(count / median(seconds))))
    return [
        Table(
            f"verification: an export of {number(count)} allocations at {SITES} sites, recomputed",
            ("method", "seconds, median", "runs", "allocations/s"),
            rows,
        )
    ]


def _verify(lines: Sequence[bytes], count: int) -> float:
    started = time.perf_counter()
    verified = verify_allocation(lines)
    seconds = time.perf_counter() - started
    if (verified.matching, verified.unrevealed) != (count, 0):
        raise RuntimeError(f"{verified} of {count} allocations")
    return seconds


def _places(count: int) -> Iterator[tuple[str, str]]:
    """Each subject with its diagnosis: the next of every site in turn, every other one with RARS."""
    for at in range(count):
        site, own = at % SITES, at // SITES
        yield f"{site:02d}-{own:03d}", DIAGNOSES[own % len(DIAGNOSES)]


def _by_lists(count: int) -> Iterator[Event]:
    scheme = sealed()
    strata = ["|".join(levels) for levels in product(DIAGNOSES, (f"{site:02d}" for site in range(SITES)))]
    each = 1 + count // len(strata)
    lists = {stratum: listed(scheme.arms, SECRET, stratum, each) for stratum in strata}
    used: defaultdict[str, int] = defaultdict(int)
    yield scheme
    for subject, diagnosis in _places(count):
        stratum = f"{diagnosis}|{subject[:2]}"
        slot = used[stratum]
        used[stratum] += 1
        yield randomized(subject, slot, lists[stratum][slot], stratum)
    yield revealed()


def _by_minimization(count: int) -> Iterator[Event]:
    protocol, secret = load_protocol(), Secret(SECRET.seed, SECRET.nonce, ())
    scheme = sealed_as(1, MINIMIZATION, secret)
    state = domain.Allocations(id="", schemes=Schemes(sealed=(scheme,)))
    yield scheme
    for subject, diagnosis in _places(count):
        site = subject[:2]
        enrolled = Subject(id=subject, site=site, eligible=True, enrolled=True, stratum=f"{diagnosis}|{site}")
        command = RandomizeSubject(subject=subject, occurred_at=datetime.now(UTC))
        state = replace(state, id=subject, subject=enrolled)
        for event in domain.randomize(protocol, scheme, secret, command, state):
            state = domain.evolve_allocations(state, Recorded(0, event, AT, AT, BY, {}))
            yield event
    yield revealed(1, secret)


def _line(position: int, event: Event) -> bytes:
    """A line of an export, whose record has the members that every record has."""
    record = orjson.dumps(
        {
            "by": BY,
            "data": event.model_dump(mode="json"),
            "occurred_at": format_instant(AT),
            "recorded_at": format_instant(AT),
            "tags": event.tags(),
            "type": event.name,
            "version": event.version,
        }
    )
    leaf = base64.b64encode(hashlib.sha256(b"\x00" + record).digest()).decode()
    return orjson.dumps({"position": position, "record": record.decode(), "leaf_hash": leaf})
