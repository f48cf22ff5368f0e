"""How the routes of FHIR read and answer: JSON of R4 in, application/fhir+json out, errors as OperationOutcome."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from services.labs.fhir_answer import Answer
from services.labs.fhir_bundle import Resource
from services.labs.fhir_issue import FhirError, Issue
from services.labs.fhir_json import MEDIA_TYPE, write
from services.labs.fhir_outcome import error_of, outcome_of
from shared import problems
from shared.call import LOG_POSITION, AuthenticatedRoute, Call
from shared.eventstore.model import LogSaturated
from shared.failures import DATABASE_AWAY
from shared.json_body import UTF_8
from shared.problems import Problem

_log = structlog.get_logger("marrow.labs")

READ = (MEDIA_TYPE, "application/json")
FHIR_RELEASE = "4.0"


def respond(status: int, resource: Resource, headers: dict[str, str] | None = None) -> Response:
    """A resource as an HTTP answer."""
    return Response(write(resource), status, headers=headers, media_type=MEDIA_TYPE)


def answered(call: Call, answer: Answer) -> Response:
    """An answer, with the log position that it reflects."""
    position = call.response.headers.get(LOG_POSITION)
    return respond(answer.status, answer.resource, answer.headers | ({LOG_POSITION: position} if position else {}))


class FhirRoute(AuthenticatedRoute):
    """A route whose errors, whatever goes wrong, are told in an OperationOutcome (R4, http.html#Status-Codes)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle_fhir(request: Request) -> Response:
            try:
                return await handler(request)
            except (FhirError, Problem) as error:
                headers = error.headers if isinstance(error, Problem) else None
                status, issues = error_of(error)
                return respond(status, outcome_of(issues), headers)
            except RequestValidationError as error:
                issues = tuple(Issue("invalid", "", f"{_place(each)}: {each['msg']}") for each in error.errors())
                return respond(400, outcome_of(issues))
            except HTTPException as error:
                refusal = problems.TOO_LARGE if error.status_code == problems.TOO_LARGE.status else problems.BAD_REQUEST
                status, issues = error_of(refusal())
                return respond(status, outcome_of(issues))
            except LogSaturated as error:
                status, issues = error_of(problems.BUSY())
                return respond(status, outcome_of(issues), {"Retry-After": str(error.retry_after_s)})
            except DATABASE_AWAY:
                status, issues = error_of(problems.UNAVAILABLE())
                return respond(status, outcome_of(issues), {"Retry-After": "2"})
            except Exception:
                _log.exception("request failed", trace=getattr(request.state, "trace", None))
                status, issues = error_of(problems.INTERNAL())
                return respond(status, outcome_of(issues))

        return handle_fhir


def _place(error: dict[str, Any]) -> str:
    return "/".join(str(part) for part in error["loc"])


def require_fhir_json(headers: Headers) -> None:
    """Raise UNSUPPORTED_MEDIA where a body is announced as anything but FHIR R4 in JSON and UTF-8."""
    header = Message()
    header["content-type"] = headers.get("content-type", "")
    announced = header.get_content_type() if headers.get("content-type") else ""
    if announced.endswith(("xml", "turtle")):
        raise problems.UNSUPPORTED_MEDIA("FHIR is read as JSON (application/fhir+json), not as XML or Turtle.")
    if announced not in READ:
        raise problems.UNSUPPORTED_MEDIA(f"FHIR is read as {' or '.join(READ)}.")
    if header.get_param("charset") is not None and header.get_content_charset() not in UTF_8:
        raise problems.UNSUPPORTED_MEDIA("FHIR is read in UTF-8.")
    if (version := header.get_param("fhirVersion")) not in (None, FHIR_RELEASE):
        raise problems.UNSUPPORTED_MEDIA(f"FHIR {FHIR_RELEASE} (R4) is read, not the version {str(version)[:8]!r}.")
