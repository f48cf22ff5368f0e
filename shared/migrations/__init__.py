"""How tables come to be: one Alembic environment for the log, the key store and every service's read model.

A component has its own PostgreSQL schema, version folder and version table. Upgrades run as the owner of the
database; the application works as `marrow_app` and may do to a component's tables what the component declares.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, NullPool, create_engine, text
from sqlalchemy.engine import make_url

from shared.database import APPLICATION_ROLE

__all__ = ["APPLICATION_ROLE", "Component", "current", "revise", "upgrade"]

UPGRADE_LOCK = 0x4D41_5252_4F57_0001  # "MARROW", of the advisory locks of a database

_ENVIRONMENT = Path(__file__).parent
_VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class Component:
    """Tables that are upgraded together: a schema, the folder of its versions, and what they should look like.

    `application_may` names the rights of the application's role on every table of the schema. Without `metadata` the
    versions are written by hand.
    """

    name: str
    versions: Path
    metadata: MetaData | None
    schema: str
    application_may: str = "SELECT, INSERT, UPDATE, DELETE"


def upgrade(url: str, component: Component) -> None:
    """Bring a component's tables to their newest version. Several processes may do so at once."""
    with _owner(url) as connection:
        command.upgrade(_config(component, connection), "head")


def current(url: str, component: Component) -> str | None:
    """The version of a component's tables; None when they were never made."""
    with _owner(url) as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": _VERSION_TABLE, "version_table_schema": component.schema}
        )
        return context.get_current_revision()


def revise(url: str, component: Component, message: str) -> Path:
    """Write the next version from the difference between a scratch database and the tables; returns its file."""
    upgrade(url, component)
    number = f"{len(list(component.versions.glob('[0-9]*.py'))) + 1:04d}"
    with _owner(url) as connection:
        script = command.revision(_config(component, connection), message=message, autogenerate=True, rev_id=number)
    if script is None or isinstance(script, list):
        raise RuntimeError("Alembic wrote no single revision")
    return Path(script.path)


@contextmanager
def _owner(url: str) -> Iterator[Connection]:
    """A connection of the owner, alone in upgrading this database, on which the application's role exists."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
        connection.execute(text(_CREATE_ROLE))
        yield connection


_CREATE_ROLE = f"""
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APPLICATION_ROLE}') THEN
    CREATE ROLE {APPLICATION_ROLE} NOLOGIN;
  END IF;
  IF NOT pg_has_role(current_user, '{APPLICATION_ROLE}', 'SET') THEN
    GRANT {APPLICATION_ROLE} TO current_user WITH SET TRUE;
  END IF;
EXCEPTION
  -- Roles are shared by all databases of a server: another upgrade may have made it at the same moment.
  WHEN duplicate_object OR unique_violation THEN NULL;
END
$$
"""


def _config(component: Component, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", _literal(_ENVIRONMENT))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", _literal(component.versions))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes.update(connection=connection, component=component, version_table=_VERSION_TABLE)
    return config


def _literal(path: Path) -> str:
    """A path as Alembic's configuration takes it: a percent sign in it would begin an interpolation."""
    return str(path).replace("%", "%%")
