"""Where and how far the trial takes people in: sites open and close, and caps bound how many are enrolled.

A site of which nothing is recorded is open and not capped. What counts is what the log says when the decision is made,
whatever day the request names: a screening of before the closure that is entered after it needs the site to be opened
again. Nothing that is recorded of subjects already in the trial asks for any of this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.randomization.commands import CloseSite, LiftEnrolmentCap, OpenSite, SetEnrolmentCap
from services.randomization.events import (
    EnrolmentCapLifted,
    EnrolmentCapSet,
    SiteClosed,
    SiteOpened,
    SubjectEnrolled,
)
from shared.decision import Decider
from shared.events import Event, Recorded
from shared.eventstore.model import Query, QueryItem
from shared.problems import WRITE_CONFLICT, refusal

SITE_CLOSED = refusal("site-closed", 409, "The site is closed: nobody is screened or enrolled there.")
SITE_OPEN = refusal("site-open", 409, "The site is open.")
CAP_REACHED = refusal("enrolment-cap-reached", 409, "As many subjects are enrolled as the cap allows.")
CAP_UNCHANGED = refusal("enrolment-cap-unchanged", 409, "The cap is the one that is in effect already.")
NOT_CAPPED = refusal("enrolment-not-capped", 409, "No cap is in effect that could be lifted.")

TRIAL = None
"""The scope of a cap that no site is named for: all sites together."""

Caps = Mapping[str | None, int]
"""The caps in effect: how many subjects may ever be enrolled, by site, and by TRIAL at all sites together."""

ABOUT_CAPS = Query((QueryItem(types=(EnrolmentCapSet.name, EnrolmentCapLifted.name)),))


# Opening and closing.


def about_opening(site: str) -> Query:
    """Whatever says that a site is open or closed."""
    return Query((QueryItem(types=(SiteOpened.name, SiteClosed.name), tags=(f"site:{site}",)),))


def evolve_opening(is_open: bool | None, recorded: Recorded) -> bool | None:
    """Whether the site is open after one more event; None where nothing is recorded of it."""
    match recorded.event:
        case SiteOpened():
            return True
        case SiteClosed():
            return False
        case _:
            return is_open


def require_open(site: str, is_open: bool | None) -> None:
    """Raise SITE_CLOSED where the site's closure is on record and no opening after it."""
    if is_open is False:
        raise SITE_CLOSED(site=site)


def open_site(command: OpenSite, is_open: bool | None) -> Sequence[Event]:
    """The site takes people in from now on; where nothing is recorded yet, its first opening is put on record."""
    if is_open:
        raise SITE_OPEN(site=command.site)
    return [SiteOpened(site=command.site)]


def close_site(command: CloseSite, is_open: bool | None) -> Sequence[Event]:
    """The site takes nobody in any more; those who are in the trial go on."""
    require_open(command.site, is_open)
    return [SiteClosed(site=command.site)]


OPENING: Decider[OpenSite, bool | None] = Decider(
    lambda command: about_opening(command.site), lambda _: None, evolve_opening, open_site
)
CLOSURE: Decider[CloseSite, bool | None] = Decider(
    lambda command: about_opening(command.site), lambda _: None, evolve_opening, close_site
)


# Caps.


def evolve_caps(caps: Caps, recorded: Recorded) -> Caps:
    """The caps in effect after one more event."""
    match recorded.event:
        case EnrolmentCapSet(site=site, cap=cap):
            return {**caps, site: cap}
        case EnrolmentCapLifted(site=lifted):
            return {site: cap for site, cap in caps.items() if site != lifted}
        case _:
            return caps


def set_cap(command: SetEnrolmentCap, caps: Caps) -> Sequence[Event]:
    """The cap, and the one before it if any. One below what is enrolled takes nobody out; nobody comes after."""
    before = caps.get(command.site)
    if command.cap == before:
        raise CAP_UNCHANGED(cap=before)
    return [EnrolmentCapSet(site=command.site, cap=command.cap, cap_before=before)]


def lift_cap(command: LiftEnrolmentCap, caps: Caps) -> Sequence[Event]:
    """From now on as many may be enrolled as come."""
    before = caps.get(command.site)
    if before is None:
        raise NOT_CAPPED()
    return [EnrolmentCapLifted(site=command.site, cap_before=before)]


CAPPING: Decider[SetEnrolmentCap, Caps] = Decider(lambda _: ABOUT_CAPS, lambda _: {}, evolve_caps, set_cap)
LIFTING: Decider[LiftEnrolmentCap, Caps] = Decider(lambda _: ABOUT_CAPS, lambda _: {}, evolve_caps, lift_cap)


# Room for one more.


@dataclass(frozen=True, slots=True)
class Room:
    """What bounds the enrolment at a site: its opening, the caps, and how many are enrolled where it is counted.

    `counted` are the scopes whose enrolments the decision has seen.
    """

    site: str
    counted: Collection[str | None] = ()
    is_open: bool | None = None
    caps: Caps = field(default_factory=dict)
    enrolled: Mapping[str | None, int] = field(default_factory=dict)


def about_room(site: str, counted: Collection[str | None]) -> Query:
    """What bounds the enrolment at a site. Enrolments are counted, and so are rivals, only where a cap asks for it."""
    query = about_opening(site) | ABOUT_CAPS
    for scope in (site, TRIAL):
        if scope in counted:
            tags = () if scope is TRIAL else (f"site:{scope}",)
            query |= Query((QueryItem(types=(SubjectEnrolled.name,), tags=tags),))
    return query


def evolve_room(room: Room, recorded: Recorded) -> Room:
    """The room after one more event. Whoever was enrolled counts for ever, also after leaving."""
    match recorded.event:
        case SubjectEnrolled(site=site):
            more = {scope: room.enrolled.get(scope, 0) + 1 for scope in (site, TRIAL)}
            return replace(room, enrolled={**room.enrolled, **more})
        case _:
            is_open = evolve_opening(room.is_open, recorded)
            return replace(room, is_open=is_open, caps=evolve_caps(room.caps, recorded))


def require_room(room: Room) -> None:
    """Raise SITE_CLOSED or CAP_REACHED where nobody may be enrolled at the site.

    WRITE_CONFLICT where a cap has been set whose enrolments were not counted: whoever asks again counts them.
    """
    require_open(room.site, room.is_open)
    for scope in (room.site, TRIAL):
        cap = room.caps.get(scope)
        if cap is None:
            continue
        if scope not in room.counted:
            raise WRITE_CONFLICT("A cap on enrolment has just been set.")
        if room.enrolled.get(scope, 0) >= cap:
            raise CAP_REACHED(scope="trial" if scope is TRIAL else "site", cap=cap)
