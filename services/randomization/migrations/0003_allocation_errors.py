"""Errors of allocation: a table of them, and on the subject what they say of its stratum and of an earlier number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "allocation_error",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted_in_balance", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("stratum", sa.String(), nullable=True),
        sa.Column("stratum_corrected", sa.String(), nullable=True),
        sa.Column("received", sa.String(), nullable=True),
        sa.Column("duplicate_of", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("position"),
        schema="randomization",
    )
    op.create_index(
        op.f("ix_randomization_allocation_error_site"),
        "allocation_error",
        ["site"],
        unique=False,
        schema="randomization",
    )
    op.create_index(
        op.f("ix_randomization_allocation_error_subject"),
        "allocation_error",
        ["subject"],
        unique=False,
        schema="randomization",
    )
    op.add_column("subject", sa.Column("stratum_corrected", sa.String(), nullable=True), schema="randomization")
    op.add_column("subject", sa.Column("duplicate_of", sa.String(), nullable=True), schema="randomization")
    op.create_index(
        op.f("ix_randomization_subject_duplicate_of"), "subject", ["duplicate_of"], unique=False, schema="randomization"
    )
