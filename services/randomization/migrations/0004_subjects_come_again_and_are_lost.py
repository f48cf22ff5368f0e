"""Consents, re-screenings and losses: the read model is read again from the log, where every consent stands already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "randomization"

STATUS = """CASE
  WHEN died_at <= coalesce(least(withdrawn_from_study_at, completed_at), died_at) THEN 'died'
  WHEN withdrawn_from_study_at IS NOT NULL THEN 'withdrawn'
  WHEN completed_at IS NOT NULL THEN 'completed'
  WHEN lost_to_follow_up_at IS NOT NULL THEN 'lost'
  WHEN treated_at IS NOT NULL THEN 'on-treatment'
  WHEN randomized_at IS NOT NULL THEN 'randomized'
  WHEN enrolled_at IS NOT NULL THEN 'enrolled'
  WHEN eligible THEN 'eligible'
  WHEN NOT eligible THEN 'screen-failed'
  WHEN consented_at IS NOT NULL THEN 'consented'
  ELSE 'screened'
END"""


def upgrade() -> None:
    op.execute("DELETE FROM randomization.subject")
    op.execute("DELETE FROM randomization.allocation_error")
    op.execute("UPDATE randomization.progress SET position = 0")
    op.create_table(
        "consent",
        sa.Column("position", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("subject", sa.String(), nullable=False, index=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.add_column("subject", sa.Column("rescreening_of", sa.String()), schema=SCHEMA)
    op.add_column("subject", sa.Column("rescreened_as", sa.String()), schema=SCHEMA)
    op.add_column("subject", sa.Column("lost_to_follow_up_at", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.add_column("subject", sa.Column("last_contact_on", sa.Date()), schema=SCHEMA)
    # What a generated column is made of cannot be changed before PostgreSQL 17.
    op.drop_column("subject", "status", schema=SCHEMA)
    status = sa.Column("status", sa.Text(), sa.Computed(STATUS, persisted=True), index=True)
    op.add_column("subject", status, schema=SCHEMA)
