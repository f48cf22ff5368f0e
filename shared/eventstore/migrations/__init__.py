"""The tables of the log, as a component of the database."""

from pathlib import Path

from shared.migrations import Component

LOG = Component("log", Path(__file__).parent, metadata=None, schema="log", application_may="SELECT, INSERT")
