"""What the laboratory service tells about itself at `/metrics`: since when messages lie in quarantine."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import Gauge
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.labs.projections import QuarantinedMessage
from shared.clock_job import ClockJob
from shared.runtime import Runtime

OLDEST = Gauge(
    "marrow_labs_quarantine_oldest_timestamp_seconds",
    "When the oldest message that is still in quarantine came, by site; its age is time() less this.",
    ["site"],
)


async def _observe(runtime: Runtime, _: datetime | None) -> int:
    """Set the oldest of each site, and forget the sites that have none; nothing is recorded."""
    question = (
        select(QuarantinedMessage.site, func.min(QuarantinedMessage.quarantined_at))
        .where(col(QuarantinedMessage.released_at).is_(None))
        .group_by(col(QuarantinedMessage.site))
    )
    async with AsyncSession(runtime.engine) as session:
        oldest = (await session.exec(question)).all()
    OLDEST.clear()
    for site, since in oldest:
        OLDEST.labels(site).set(since.timestamp())
    return 0


QUARANTINE_AGE = ClockJob("quarantine-age", _observe)
