"""The row changes of a batch of events: folded in memory, then written by one statement a table and set of columns."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Table, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel


class Rows:
    """The row changes of one batch, folded in memory so that each row is written once."""

    def __init__(self) -> None:
        self._whole: Changes = {}
        self._partial: Changes = {}
        self._first: Changes = {}

    def put(self, model: type[SQLModel], **values: object) -> None:
        """Insert a row, or replace the one with the same primary key; columns not given have the model's defaults.

        Values, not an object of the model: to make one would take most of the time of a rebuild.
        """
        table, key_names, defaults = _shape(model)
        values = {**defaults, **values}
        key = (table, tuple([values[name] for name in key_names]))
        self._partial.pop(key, None)
        self._first.pop(key, None)
        self._whole[key] = values

    def change(self, model: type[SQLModel], *key: object, **values: object) -> None:
        """Set some columns of the row with that primary key; nothing happens when there is none."""
        table = _table(model)
        whole = self._whole.get((table, key))
        if whole is not None:
            whole.update(values)
        else:
            # What is set now stands, also over what an earlier event of the batch would have set first.
            earlier = self._first.pop((table, key), {})
            if still_first := {name: value for name, value in earlier.items() if name not in values}:
                self._first[table, key] = still_first
            self._partial.setdefault((table, key), {}).update(values)

    def first(self, model: type[SQLModel], *key: object, **values: object) -> None:
        """Set those of the columns that are still empty: the first event counts, later ones do not."""
        table = _table(model)
        whole = self._whole.get((table, key))
        if whole is not None:
            whole.update({name: value for name, value in values.items() if whole.get(name) is None})
        else:
            self._first[table, key] = values | self._first.get((table, key), {})

    async def write(self, connection: AsyncConnection) -> None:
        """Write all changes: one statement a table and set of columns, whatever the number of rows."""
        for table, rows in _by_table(self._whole).items():
            await _execute(connection, _upsert(table), [values for _, values in rows])
        for changes, only_empty in ((self._partial, False), (self._first, True)):
            for table, rows in _by_table(changes).items():
                by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
                for key, values in rows:
                    named_key = {c.name: part for c, part in zip(table.primary_key, key, strict=True)}
                    by_columns.setdefault(tuple(sorted(values)), []).append(values | named_key)
                for columns, same in by_columns.items():
                    await _execute(connection, _update(table, columns, only_empty=only_empty), same)


Changes = dict[tuple[Table, tuple[Any, ...]], dict[str, Any]]
"""Column values by table and primary key."""


def _by_table(changes: Changes) -> dict[Table, list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    tables: dict[Table, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {}
    for (table, key), values in changes.items():
        tables.setdefault(table, []).append((key, values))
    return tables


@cache
def _shape(model: type[SQLModel]) -> tuple[Table, tuple[str, ...], dict[str, object]]:
    """A model's table, the columns of its primary key, and what stands in columns that nothing is said of."""
    table = _table(model)
    computed = {column.name for column in table.columns if column.computed is not None}
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if name not in computed and not field.is_required()
    }
    return table, tuple(column.name for column in table.primary_key), defaults


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]  # set by SQLModel on every table class
    return table


# Rows travel as one JSON text, which PostgreSQL reads by the columns' own types: a statement a batch, not a row.
async def _execute(connection: AsyncConnection, statement: TextClause, rows: list[dict[str, Any]]) -> None:
    await connection.execute(statement, {"rows": orjson.dumps(rows, default=_written).decode()})


def _written(value: object) -> str:
    """A value that JSON has no form for, as PostgreSQL reads it from text."""
    match value:
        case bytes():
            return f"\\x{value.hex()}"
        case Decimal():
            return str(value)
        case _:
            raise TypeError(f"no column holds a {type(value).__name__}")


@cache
def _upsert(table: Table) -> TextClause:
    names = [column.name for column in table.columns if column.computed is None]
    key = ", ".join(column.name for column in table.primary_key)
    others = ", ".join(f"{name} = excluded.{name}" for name in names if name not in table.primary_key)
    return text(
        f"INSERT INTO {table.fullname} ({', '.join(names)}) SELECT {', '.join(names)} FROM {_given(table)} AS new "  # noqa: S608 (names of our own tables)
        f"ON CONFLICT ({key}) DO {f'UPDATE SET {others}' if others else 'NOTHING'}"
    )


@cache
def _update(table: Table, columns: tuple[str, ...], *, only_empty: bool) -> TextClause:
    new = {name: f"coalesce(old.{name}, new.{name})" if only_empty else f"new.{name}" for name in columns}
    key = " AND ".join(f"old.{column.name} = new.{column.name}" for column in table.primary_key)
    changes = ", ".join(f"{name} = {value}" for name, value in new.items())
    return text(f"UPDATE {table.fullname} AS old SET {changes} FROM {_given(table)} AS new WHERE {key}")  # noqa: S608


def _given(table: Table) -> str:
    return f"jsonb_populate_recordset(NULL::{table.fullname}, CAST(:rows AS jsonb))"
