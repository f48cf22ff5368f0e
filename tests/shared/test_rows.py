"""The row changes of a batch are written as if each event had been written alone, in the order of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

import pytest
from sqlalchemy import MetaData, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlmodel import Field, SQLModel, col, select

from shared.rows import Rows


class Tables(SQLModel):
    """A schema of the tests' own."""

    metadata = MetaData()


class Person(Tables, table=True):
    """Somebody of whom two things may be known."""

    __tablename__ = "person_of_rows"

    id: str = Field(primary_key=True)
    died: str | None = None
    went: str | None = None


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    async with engine.connect() as connection:
        await connection.run_sync(Tables.metadata.create_all)
        yield connection
        await connection.rollback()
    await engine.dispose()


Change = tuple[Literal["first", "change"], dict[str, str | None]]

DIED: Change = ("first", {"died": "monday"})
DIED_AGAIN: Change = ("first", {"died": "tuesday"})
LIVES: Change = ("change", {"died": None})
WENT: Change = ("first", {"went": "friday"})


@pytest.mark.parametrize(
    ("changes", "died", "went"),
    [
        ((DIED, DIED_AGAIN), "monday", None),
        ((DIED, LIVES), None, None),
        ((DIED, WENT, LIVES), None, "friday"),
        ((DIED, LIVES, DIED_AGAIN), "tuesday", None),
    ],
)
@pytest.mark.parametrize("is_known", [True, False], ids=["from before", "of the batch"])
async def test_what_is_set_stands_over_what_was_set_first(
    connection: AsyncConnection,
    changes: tuple[Change, ...],
    died: str | None,
    went: str | None,
    is_known: bool,
) -> None:
    rows = Rows()
    rows.put(Person, id="a")
    if is_known:
        await rows.write(connection)
        rows = Rows()
    for how, values in changes:
        getattr(rows, how)(Person, "a", **values)
    await rows.write(connection)
    assert (await connection.execute(select(col(Person.died), col(Person.went)))).one() == (died, went)
