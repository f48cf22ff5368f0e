"""How soon what was written can be read under load: as a caller sees it, and as the service itself counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, pairwise
from statistics import quantiles

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.http_load import BODY

PAUSE_S = 0.1
SAMPLES_MIN = 5
READ_MAX_S = 60
SUBJECT = "01-500"
HISTOGRAM = "marrow_projection_lag_seconds"

Percentiles = tuple[float, float]
"""p50 and p99, in milliseconds."""


@dataclass
class Waits:
    """How long each read took, in milliseconds: one for what had just been written, and one that waits for nothing."""

    for_own_write_ms: list[float] = field(default_factory=list)
    for_nothing_ms: list[float] = field(default_factory=list)


@contextmanager
def sampled(url: str, token: str, prefix: str) -> Iterator[Waits]:
    """Write a report now and then and read it back, until the block ends, a few times at least.

    Raises what a request raised.
    """
    waits, stop, failures = Waits(), threading.Event(), list[Exception]()

    def sample() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
                for number in count(1):
                    _sample(client, f"{prefix}{number}", waits)
                    if stop.wait(PAUSE_S) and number >= SAMPLES_MIN:
                        return
        except Exception as failure:
            failures.append(failure)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield waits
    finally:
        stop.set()
        sampler.join()
    if failures:
        raise failures[0]


def _sample(client: httpx.Client, name: str, waits: Waits) -> None:
    headers = {"Content-Type": "application/json"}
    written = client.post("/labs/results", content=BODY % (name, SUBJECT, name), headers=headers).raise_for_status()
    waits.for_own_write_ms.append(_read_ms(client, {"Log-Position": written.headers["Log-Position"]}))
    waits.for_nothing_ms.append(_read_ms(client, {"Log-Position": "0"}))


def _read_ms(client: httpx.Client, headers: dict[str, str]) -> float:
    started = time.perf_counter()
    path = f"/labs/subjects/{SUBJECT}/results?limit=1"
    while (answer := client.get(path, headers=headers)).status_code == 503:  # the service has waited for us already
        if time.perf_counter() - started > READ_MAX_S:
            break
    answer.raise_for_status()
    return 1000 * (time.perf_counter() - started)


def percentiles(values_ms: list[float]) -> Percentiles:
    hundredths = quantiles(values_ms, n=100, method="inclusive")
    return hundredths[49], hundredths[98]


def counted_lags(url: str, projection: str) -> dict[float, float]:
    """How many events were queryable within how many seconds of their recording, since the service started."""
    text = httpx.get(f"{url}/{projection}/metrics").text
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{HISTOGRAM}_bucket" and sample.labels["projection"] == projection
    }


def percentiles_between(before: dict[float, float], after: dict[float, float]) -> Percentiles:
    """Of what was counted between two looks, interpolated within the histogram's buckets."""
    counted = [(0.0, 0.0)] + [(bound, after[bound] - before.get(bound, 0)) for bound in sorted(after)]
    total = counted[-1][1]

    def at(share: float) -> float:
        for (low, below), (high, within) in pairwise(counted):
            if within >= share * total:
                fraction = (share * total - below) / max(within - below, 1)
                return 1000 * (low if high == float("inf") else low + fraction * (high - low))
        return float("nan")

    return at(0.50), at(0.99)
