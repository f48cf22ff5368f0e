"""Missed items, and by which event and when the calendar of a subject last changed. Filled by a rebuild."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "visits"


def upgrade() -> None:
    op.create_table(
        "missed",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String(), nullable=False, index=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("opens_on", sa.Date(), nullable=False),
        sa.Column("closes_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.add_column(
        "subject", sa.Column("replanned_by", sa.BigInteger(), nullable=False, server_default="0"), schema=SCHEMA
    )
    op.add_column("subject", sa.Column("known_at", sa.DateTime(timezone=True)), schema=SCHEMA)
