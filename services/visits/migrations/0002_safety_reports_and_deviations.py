"""Reporting clocks of adverse events, and deviations: the read model is read again from the log, which holds them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "visits"
READ_AGAIN = ("subject", "performed", "collected")


def upgrade() -> None:
    for table in READ_AGAIN:
        op.execute(f"DELETE FROM {SCHEMA}.{table}")  # noqa: S608 (names of our own tables)
    op.execute("UPDATE visits.progress SET position = 0 WHERE name = 'visits'")  # those of policies stay
    op.create_table(
        "deviation",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("grade", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=True),
        sa.Column("fact", sa.BigInteger(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("regraded_by", sa.BigInteger(), nullable=True),
        sa.Column("regrading_reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("position"),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_visits_deviation_site"), "deviation", ["site"], unique=False, schema=SCHEMA)
    op.create_index(op.f("ix_visits_deviation_subject"), "deviation", ["subject"], unique=False, schema=SCHEMA)
    op.create_table(
        "safety_report",
        sa.Column("started_by", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("report", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("adverse_event", sa.BigInteger(), nullable=False),
        sa.Column("aware_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("started_by", "report"),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_visits_safety_report_subject"), "safety_report", ["subject"], unique=False, schema=SCHEMA)
