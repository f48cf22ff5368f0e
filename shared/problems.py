"""Refusals and how they are answered: RFC 9457 problem documents with a stable type.

A rule that says no raises a `Problem` made from a `Refusal`, which is declared once, beside the rule:

    ALREADY_RANDOMIZED = refusal("subject-already-randomized", 409, "The subject has already been randomized.")
    ...
    raise ALREADY_RANDOMIZED(subject="01-003")

The route lists the refusals it may answer with (`responses=problem_responses(ALREADY_RANDOMIZED, …)`), so that the
OpenAPI document names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"

REFUSALS: dict[str, Refusal] = {}
"""Every refusal of the system by its code; the last segment of a problem's `type`."""


class Problem(Exception):  # noqa: N818 (RFC 9457 names it so)
    """A request that is answered with a problem document. Nothing was recorded."""

    def __init__(self, refusal: Refusal, detail: str, members: dict[str, Any], headers: dict[str, str]) -> None:
        super().__init__(refusal.code, detail)
        self.refusal = refusal
        self.detail = detail
        self.members = members
        self.headers = headers

    def document(self) -> dict[str, Any]:
        """The problem document, extension members included (RFC 9457 §3)."""
        document: dict[str, Any] = {
            "type": self.refusal.type,
            "title": self.refusal.title,
            "status": self.refusal.status,
            "detail": self.detail or self.refusal.title,
        }
        return document | self.members


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way of saying no: a stable code, the HTTP status that it is answered with, and a title for people."""

    code: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"/problems/{self.code}"

    def __call__(self, detail: str = "", *, headers: dict[str, str] | None = None, **members: Any) -> Problem:  # noqa: ANN401 (RFC 9457 §3.2: extension members are any JSON)
        """A problem to raise; `members` become extension members of the document."""
        return Problem(self, detail, members, headers or {})


def refusal(code: str, status: int, title: str) -> Refusal:
    """Declare a refusal; its code must be new."""
    if code in REFUSALS:
        raise ValueError(f"two refusals bear the code {code!r}")
    REFUSALS[code] = Refusal(code, status, title)
    return REFUSALS[code]


class ProblemDocument(BaseModel):
    """RFC 9457 problem details; further members depend on the type."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A stable URI reference that names the problem.", examples=["/problems/forbidden"])
    title: str
    status: int
    detail: str


def problem_responses(*refusals: Refusal) -> dict[int | str, dict[str, Any]]:
    """The `responses` argument of a route that may answer with these refusals."""
    by_status: dict[int, list[Refusal]] = {}
    for each in refusals:
        by_status.setdefault(each.status, []).append(each)
    if INVALID.status in by_status:
        # A route that names some of a status replaces what the router says of it.
        by_status[INVALID.status] = list(dict.fromkeys((*OF_ANY_REQUEST, *by_status[INVALID.status])))
    return {
        status: {
            "description": " ".join(f"`{each.type}`: {each.title}" for each in group),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status, group in by_status.items()
    }


BAD_REQUEST = refusal("bad-request", 400, "The request cannot be read.")
UNAUTHENTICATED = refusal("unauthenticated", 401, "A valid bearer token is needed.")
FORBIDDEN = refusal("forbidden", 403, "The role or the site of the token does not allow this.")
NOT_FOUND = refusal("not-found", 404, "There is nothing at this address.")
UNKNOWN_SUBJECT = refusal("unknown-subject", 404, "No subject bears this number.")
METHOD_NOT_ALLOWED = refusal("method-not-allowed", 405, "The method is not allowed at this address.")
NOT_ACCEPTABLE = refusal("not-acceptable", 406, "None of the accepted media types can be made.")
NOT_RANDOMIZED = refusal("not-randomized", 409, "The subject has not been randomized.")
WITHDRAWN = refusal("subject-withdrawn", 409, "The subject has withdrawn.")
WRITE_CONFLICT = refusal("write-conflict", 409, "Others kept changing the same facts at the same time; try again.")
TOO_LARGE = refusal("content-too-large", 413, "The body is larger than this route accepts.")
UNSUPPORTED_MEDIA = refusal("unsupported-media-type", 415, "This route does not read that media type or charset.")
INVALID = refusal("invalid-request", 422, "The request does not have the shape that this route needs.")
KEY_REUSED = refusal("idempotency-key-reused", 422, "The Idempotency-Key was used before with another request.")
IN_FUTURE = refusal("occurred-in-the-future", 422, "What is recorded must have happened already.")
REASON_REQUIRED = refusal("reason-required", 422, "A change of an earlier fact needs a reason.")
OF_ANY_REQUEST = (INVALID, IN_FUTURE, KEY_REUSED)
"""With what any request may be answered 422."""
INTERNAL = refusal("internal-error", 500, "The service failed; nothing is known to have been recorded.")
BUSY = refusal("log-saturated", 503, "The log takes no more appends just now; try again.")
UNAVAILABLE = refusal("log-unavailable", 503, "The database cannot be reached; nothing was recorded.")
STOPPING = refusal(
    "service-stopping",
    503,
    "The service stops; whether it was recorded is not known. Send the request and its key again.",
)
NOT_YET_PROJECTED = refusal("not-yet-projected", 503, "The read model has not reached that position; try again.")
