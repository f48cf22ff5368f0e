"""The first read model of randomization: a row a subject."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "randomization"

STATUS = """CASE
  WHEN withdrawn_from_study_at IS NOT NULL THEN 'withdrawn'
  WHEN completed_at IS NOT NULL THEN 'completed'
  WHEN treated_at IS NOT NULL THEN 'on-treatment'
  WHEN randomized_at IS NOT NULL THEN 'randomized'
  WHEN enrolled_at IS NOT NULL THEN 'enrolled'
  WHEN eligible THEN 'eligible'
  WHEN NOT eligible THEN 'screen-failed'
  WHEN consented_at IS NOT NULL THEN 'consented'
  ELSE 'screened'
END"""


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
        sa.Column("birth_year", sa.Integer(), nullable=False),
        sa.Column("sex", sa.String(), nullable=False),
        sa.Column("status", sa.Text(), sa.Computed(STATUS, persisted=True), index=True),
        sa.Column("eligible", sa.Boolean()),
        sa.Column("stratum", sa.String()),
        sa.Column("failed_criteria", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("arm", sa.String(), index=True),
        sa.Column("randomization_number", sa.String()),
        sa.Column("consent_version", sa.String()),
        _instant("screened_at", nullable=False),
        _instant("consented_at"),
        _instant("assessed_at"),
        _instant("enrolled_at"),
        _instant("randomized_at"),
        _instant("treated_at"),
        _instant("evaluated_at"),
        _instant("completed_at"),
        _instant("withdrawn_from_treatment_at"),
        _instant("withdrawn_from_study_at"),
        schema=SCHEMA,
    )
