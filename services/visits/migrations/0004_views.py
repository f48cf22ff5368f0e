"""Evaluations, marks and participation: the read model is read again from the log, which holds them all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "visits"
READ_AGAIN = ("subject", "performed", "collected", "safety_report", "deviation", "missed")


def upgrade() -> None:
    for table in READ_AGAIN:
        op.execute(f"DELETE FROM {SCHEMA}.{table}")  # noqa: S608 (names of our own tables)
    op.execute("UPDATE visits.progress SET position = 0 WHERE name = 'visits'")  # those of policies stay
    op.create_table(
        "evaluation",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("timepoint", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("response", sa.String(), nullable=False),
        sa.Column("lineages", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("progression", sa.Boolean(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("outdated_by", sa.BigInteger(), nullable=True),
        sa.Column("changed_by", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "timepoint"),
        schema=SCHEMA,
    )
    op.create_table(
        "signature",
        sa.Column("record", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("meaning", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("record", "position"),
        schema=SCHEMA,
    )
    _create_marks()


def _create_marks() -> None:
    op.create_table(
        "mark",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("component", sa.String(), nullable=True),
        sa.Column("grade", sa.Integer(), nullable=True),
        sa.Column("serious", sa.Boolean(), nullable=True),
        sa.Column("related", sa.Boolean(), nullable=True),
        sa.Column("infusion_reaction", sa.Boolean(), nullable=True),
        sa.Column("onset_on", sa.String(), nullable=True),
        sa.Column("nullified", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        schema=SCHEMA,
    )
    op.create_index(op.f("ix_visits_mark_subject"), "mark", ["subject"], unique=False, schema=SCHEMA)
    op.create_table(
        "advice",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("analyte", sa.String(), nullable=False),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("advice", sa.String(), nullable=False),
        sa.Column("repeat_by", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("subject", "result"),
        schema=SCHEMA,
    )
    op.create_table(
        "participation",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duplicate_of", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("subject"),
        schema=SCHEMA,
    )
