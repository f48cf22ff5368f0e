"""The log: events and their tags, insert-only by trigger and by role."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Text is compared by code point, so that no change of a machine's locales can corrupt an index.
TABLES = """
CREATE TABLE log.event (
  position    bigint      PRIMARY KEY CHECK (position > 0),
  type        text        COLLATE "C" NOT NULL,
  tags        text[]      COLLATE "C" NOT NULL,
  recorded_at timestamptz NOT NULL,
  record      bytea       NOT NULL,
  leaf_hash   bytea       NOT NULL CHECK (leaf_hash = sha256('\\x00'::bytea || record))
);
CREATE INDEX event_type_position ON log.event (type, position);

-- Serves queries and append conditions as range scans of one tag from a position on. Its rows are written by the
-- statement that writes their event, so a foreign key would only cost.
CREATE TABLE log.event_tag (
  tag      text   COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (tag, position)
);

COMMENT ON TABLE log.event IS 'One row an event; record holds the exact bytes that leaf_hash is the RFC 9162 leaf of.';
"""

# Rights bind the application; the triggers bind the owner too, who would have to drop them first. They fire ALWAYS,
# that is also in sessions that act as a replica, and once a statement, so that even an empty change is refused.
INSERT_ONLY = """
CREATE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the log is insert-only: % of %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER event_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.event
  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER event_tag_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.event_tag
  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
ALTER TABLE log.event ENABLE ALWAYS TRIGGER event_is_insert_only;
ALTER TABLE log.event_tag ENABLE ALWAYS TRIGGER event_tag_is_insert_only;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(INSERT_ONLY)


def downgrade() -> None:
    raise RuntimeError("the log is never taken down")
