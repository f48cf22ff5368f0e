"""Who asks, and what they may: actors, roles and sites."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.problems import FORBIDDEN


class Role(StrEnum):
    """The roles of the trial. `lab` is a lab system; a `regulator` reads everything and writes signatures alone."""

    COORDINATOR = "coordinator"
    INVESTIGATOR = "investigator"
    STATISTICIAN = "statistician"
    LAB = "lab"
    MONITOR = "monitor"
    REGULATOR = "regulator"
    ADMIN = "admin"
    SYSTEM = "system"
    """The services' own policies; no token bears it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The bearer of a verified token. `sites` is None where the token speaks for all sites.

    `authenticated_at` is when the bearer last proved who they are, None where no token says it.
    """

    id: str
    name: str
    role: Role
    org: str
    sites: frozenset[str] | None = None
    application: str | None = None
    authenticated_at: datetime | None = None

    def require_site(self, site: str) -> None:
        """Raise FORBIDDEN unless the actor may act for the site."""
        if self.sites is not None and site not in self.sites:
            raise FORBIDDEN(f"The token does not speak for site {site}.")

    def as_recorded(self) -> dict[str, str]:
        """How the actor stands in a record: id, name, role and organisation as they were at that time."""
        return {"id": self.id, "name": self.name, "role": self.role.value, "org": self.org}


def policy_actor(name: str) -> Actor:
    """The actor in whose name a policy of the services records what it concluded."""
    return Actor(id=f"policy:{name}", name=name, role=Role.SYSTEM, org="marrow")
