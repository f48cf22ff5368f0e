"""Sites, caps and the stratum of an allocation: the read model is read again from the log, which holds them all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "randomization"
READ_AGAIN = ("subject", "consent", "allocation_error")


def upgrade() -> None:
    for table in READ_AGAIN:
        op.execute(f"DELETE FROM {SCHEMA}.{table}")  # noqa: S608 (names of our own tables)
    op.execute("UPDATE randomization.progress SET position = 0")
    op.create_table(
        "site_state",
        sa.Column("site", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "enrolment_cap",
        sa.Column("scope", sa.String(), primary_key=True),
        sa.Column("cap", sa.Integer(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        schema=SCHEMA,
    )
    op.add_column("subject", sa.Column("allocated_under", sa.Integer()), schema=SCHEMA)
    op.add_column("subject", sa.Column("allocated_in", sa.String()), schema=SCHEMA)
