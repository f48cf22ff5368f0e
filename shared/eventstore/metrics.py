"""What the log tells about itself at `/metrics`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from shared.eventstore.batch import Decided

APPENDS = Counter("marrow_log_appends_total", "Appends that became durable.")
EVENTS = Counter("marrow_log_events_total", "Events that became durable.")
CONFLICTS = Counter("marrow_log_conflicts_total", "Appends whose condition did not hold.")
SATURATED = Counter("marrow_log_saturations_total", "Appends refused because the queue was full.")
IN_DOUBT = Counter("marrow_log_in_doubt_total", "Batches whose commit was not acknowledged, by their fate.", ["fate"])
RECONNECTS = Counter("marrow_log_reconnects_total", "Connections that were lost and opened again.", ["purpose"])
QUEUED = Gauge("marrow_log_queue_depth", "Appends that wait for their batch.")
BATCH_EVENTS = Histogram(
    "marrow_log_batch_events", "Events of one committed batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
)
COMMIT_SECONDS = Histogram(
    "marrow_log_commit_seconds",
    "Time from the start of a batch to its durable commit.",
    buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4),
)


def observe_batch(decided: Decided, seconds: float) -> None:
    """Count one batch that was brought to its end."""
    APPENDS.inc(len(decided.accepted))
    EVENTS.inc(len(decided.events))
    CONFLICTS.inc(len(decided.conflicting))
    if decided.events:
        BATCH_EVENTS.observe(len(decided.events))
        COMMIT_SECONDS.observe(seconds)
