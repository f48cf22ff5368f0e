"""Who may sign, and what a signature means: the rules that every service keeps that takes one (21 CFR 11)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from shared.identity import Actor
from shared.problems import refusal

SignatureMeaning = Literal["review", "approval", "responsibility", "authorship"]
"""What a signature says (21 CFR 11.50(a)(3))."""

AUTHENTICATION_NOT_FRESH = refusal(
    "fresh-authentication-needed", 403, "Whoever signs must have authenticated within the last five minutes."
)

AUTHENTICATION_AGE_MAX = timedelta(minutes=5)
"""A signature outside of one continuous session needs all of its components again (21 CFR 11.200(a)(1)(ii))."""


def is_freshly_authenticated(actor: Actor, now: datetime) -> bool:
    """Whether the actor proved a moment ago who they are. A token that does not say when counts from its issue."""
    return actor.authenticated_at is not None and now - actor.authenticated_at <= AUTHENTICATION_AGE_MAX


def require_fresh_authentication(actor: Actor, now: datetime) -> None:
    """Raise AUTHENTICATION_NOT_FRESH unless the actor proved a moment ago who they are."""
    if not is_freshly_authenticated(actor, now):
        raise AUTHENTICATION_NOT_FRESH()


def changes_tag(position: int) -> str:
    """The tag of an event by which what the record at a position says holds no longer, whatever its type.

    It supersedes every signature over that record.
    """
    return f"changes:{position}"
