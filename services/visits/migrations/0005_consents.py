"""Consents, by which a subject follows a version of the protocol. Filled by a rebuild."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "visits"


def upgrade() -> None:
    op.create_table(
        "consented",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String(), nullable=False, index=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.add_column("subject", sa.Column("screened_at", sa.DateTime(timezone=True)), schema=SCHEMA)
