"""Why a demo stops before its end: in words that name what to do about it."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot go on; the message is for whoever started it."""
