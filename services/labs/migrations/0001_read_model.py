"""The first read models of labs: versions of results, quarantined messages, and the subjects that are known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "labs"


def _instant(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.String(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger()),
        schema=SCHEMA,
    )
    op.create_table("subject", sa.Column("id", sa.String(), primary_key=True), schema=SCHEMA)
    op.create_table(
        "result",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        _text("subject"),
        _text("code"),
        sa.Column("value", sa.Numeric()),
        _text("unit"),
        _text("comparator", nullable=True),
        _instant("collected_at", nullable=False),
        _instant("reported_at"),
        _text("status"),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("discrepancy", sa.Boolean(), nullable=False),
        sa.Column("reference_low", sa.Numeric()),
        sa.Column("reference_high", sa.Numeric()),
        sa.Column("grade", sa.Integer()),
        _text("flag", nullable=True),
        _text("sent_code"),
        _text("sent_value", nullable=True),
        _text("sent_unit"),
        _text("source"),
        _text("sender_application"),
        _text("sender_facility"),
        _text("message_id"),
        sa.Column("position", sa.BigInteger(), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("ix_result_subject", "result", ["subject", "collected_at", "code", "key", "version"], schema=SCHEMA)
    op.create_table(
        "quarantined_message",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("site", sa.String(), nullable=False, index=True),
        _text("subject", nullable=True),
        _text("source"),
        _text("sender_application"),
        _text("sender_facility"),
        _text("message_id"),
        sa.Column("grounds", postgresql.JSONB(), nullable=False),
        _instant("quarantined_at", nullable=False),
        _instant("released_at"),
        schema=SCHEMA,
    )
