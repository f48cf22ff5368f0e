"""The first read model of visits: who is followed, what was done when, what was collected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "visits"


def _instant(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger()),
        schema=SCHEMA,
    )
    op.create_table(
        "subject",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("site", sa.String(), nullable=False, index=True),
        sa.Column("arm", sa.String()),
        _instant("randomized_at"),
        _instant("withdrawn_from_treatment_at"),
        _instant("withdrawn_from_study_at"),
        _instant("died_at"),
        sa.Column("may_have_second_dose", sa.Boolean()),
        _instant("second_dose_decided_at"),
        schema=SCHEMA,
    )
    op.create_table(
        "performed",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String(), nullable=False, index=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("which", sa.String(), nullable=False),
        _instant("at", nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "collected",
        sa.Column("subject", sa.String(), primary_key=True),
        sa.Column("result", sa.String(), primary_key=True),
        sa.Column("analyte", sa.String(), nullable=False),
        _instant("at", nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("stands", sa.Boolean(), nullable=False),
        schema=SCHEMA,
    )
