"""The wrapped data keys of sealed content, outside the log."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE keys.data_key (
          holder     text        PRIMARY KEY,
          wrapped    bytea       NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now()
        );
        GRANT SELECT, INSERT, DELETE ON keys.data_key TO marrow_app;
        """
    )
