"""The Alembic environment that every component shares; `shared.migrations` runs it with a connection."""

from __future__ import annotations

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, String, text
from sqlmodel import AutoString

from shared.migrations import APPLICATION_ROLE, Component

component: Component = context.config.attributes["component"]
connection: Connection = context.config.attributes["connection"]

VERSION_TABLE = f'"{component.schema}".{context.config.attributes["version_table"]}'

BEFORE = f"""
CREATE SCHEMA IF NOT EXISTS "{component.schema}";
GRANT USAGE ON SCHEMA "{component.schema}" TO {APPLICATION_ROLE};
ALTER DEFAULT PRIVILEGES IN SCHEMA "{component.schema}"
  GRANT {component.application_may} ON TABLES TO {APPLICATION_ROLE};
"""
AFTER = f"REVOKE INSERT, UPDATE, DELETE ON {VERSION_TABLE} FROM {APPLICATION_ROLE}"


def written(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """SQLModel's strings as the type that the database knows; anything else as Alembic writes it."""
    return f"sa.{String(item.length)!r}" if kind == "type" and isinstance(item, AutoString) else False


connection.execute(text(BEFORE))
context.configure(
    connection=connection,
    target_metadata=component.metadata,
    version_table=context.config.attributes["version_table"],
    version_table_schema=component.schema,
    include_schemas=True,
    include_name=lambda name, kind, _: name == component.schema if kind == "schema" else True,
    include_object=lambda _, name, kind, *__: not (kind == "table" and name == "alembic_version"),
    render_item=written,
    compare_type=True,
)
context.run_migrations()
connection.execute(text(AFTER))
