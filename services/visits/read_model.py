"""The base of this service's tables: a PostgreSQL schema of its own, and how an instant is stored."""

from __future__ import annotations

from typing import Any

from sqlalchemy import DateTime, MetaData
from sqlmodel import Field, SQLModel


class ReadModel(SQLModel):
    """The base of this service's tables."""

    metadata = MetaData(schema="visits")


def instant() -> Any:  # noqa: ANN401 (SQLModel's Field is untyped about columns)
    """A column for an instant that may not have come."""
    return Field(default=None, sa_type=DateTime(timezone=True))
