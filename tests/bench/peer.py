"""What one would write instead of the laboratory service: FastAPI and SQLModel, a synchronous session, two rows.

Reads the same body, inserts a row a result and one for the audit trail, commits, answers. It checks no token and
decides nothing, and has a connection for each of its threads, so that none waits for another.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, Column, DateTime, MetaData
from sqlalchemy.engine import make_url
from sqlmodel import Field, Session, SQLModel, create_engine

from services.labs.commands import LabReport

THREADS = 40  # of the pool in which Starlette runs synchronous routes

engine = create_engine(
    make_url(os.environ["MARROW_DATABASE_URL"]).set(drivername="postgresql+psycopg"), pool_size=THREADS, max_overflow=0
)


class Table(SQLModel):
    """The base of the peer's tables."""

    metadata = MetaData()


class Result(Table, table=True):
    """A result as it was sent."""

    id: int | None = Field(default=None, primary_key=True)
    subject: str = Field(index=True)
    message_id: str = Field(index=True)
    sender: str
    code: str
    value: Decimal | None
    unit: str
    status: str
    collected_at: datetime = Field(sa_type=DateTime(timezone=True))
    reported_at: datetime = Field(sa_type=DateTime(timezone=True))


class AuditEntry(Table, table=True):
    """Who did what, and when."""

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    who: str
    action: str
    detail: dict[str, Any] = Field(sa_column=Column(JSON))


class Created(BaseModel):
    """The rows that were inserted."""

    results: list[int]


def session() -> Iterator[Session]:
    with Session(engine) as opened:
        yield opened


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    Table.metadata.create_all(engine)
    yield


app = FastAPI(lifespan=_lifespan)


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/labs/results", status_code=201)
def record_results(report: LabReport, session: Annotated[Session, Depends(session)]) -> Created:
    rows = [
        Result(
            subject=report.subject,
            message_id=report.message_id,
            sender=report.sender.application,
            code=result.code or result.loinc or "",
            value=result.value,
            unit=result.unit,
            status=result.status,
            collected_at=report.collected_at,
            reported_at=report.reported_at,
        )
        for result in report.results
    ]
    session.add_all(rows)
    detail = report.model_dump(mode="json")
    session.add(AuditEntry(at=datetime.now(UTC), who="lis-1", action="record-results", detail=detail))
    session.flush()
    ids = [row.id for row in rows if row.id is not None]
    session.commit()
    return Created(results=ids)
