"""The first read model of audit: an index row an event, and the tiles of the tree."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "audit"


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger()),
        schema=SCHEMA,
    )
    op.create_table(
        "trail_entry",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    for column in ("type", "actor", "recorded_at"):
        op.create_index(f"ix_trail_entry_{column}", "trail_entry", [column, "position"], schema=SCHEMA)
    op.create_index("ix_trail_entry_tags", "trail_entry", ["tags"], schema=SCHEMA, postgresql_using="gin")
    op.create_table(
        "tile",
        sa.Column("level", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("index", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        schema=SCHEMA,
    )
    # Hashes do not compress; do not try on every write.
    op.execute("ALTER TABLE audit.tile ALTER COLUMN hashes SET STORAGE EXTERNAL")
