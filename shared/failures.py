"""How a request that is refused or fails is answered: by a problem document, whatever went wrong (RFC 9457)."""

from __future__ import annotations

from typing import Any

import psycopg
import psycopg_pool
import sqlalchemy.exc
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared import problems
from shared.eventstore.model import LogSaturated, LogUnavailable
from shared.problems import MEDIA_TYPE, Problem, Refusal

_log = structlog.get_logger("marrow.service")

DATABASE_AWAY = (
    LogUnavailable,
    psycopg.OperationalError,
    psycopg_pool.PoolTimeout,
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
)
"""How the log, the key store and the read models say that their database cannot be reached."""


def answer_with_problems(application: FastAPI) -> None:
    """Every refusal and every failure becomes a problem document (RFC 9457)."""

    def answer(problem: Problem) -> JSONResponse:
        return JSONResponse(
            problem.document(), problem.refusal.status, headers=problem.headers or None, media_type=MEDIA_TYPE
        )

    @application.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return answer(error)

    @application.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        # What was sent is not sent back: it could hold personal data.
        errors = [_fault(each) for each in error.errors()]
        return answer(problems.INVALID(f"{errors[0]['at']}: {errors[0]['message']}", errors=errors))

    @application.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == problems.METHOD_NOT_ALLOWED.status:
            # The framework names the methods of the first route of a path; RFC 9110 §10.2.1 wants all of them.
            path = getattr(request.scope.get("route"), "path", "")
            methods = application.openapi()["paths"].get(path, {})
            headers["Allow"] = ", ".join(sorted(method.upper() for method in methods)) or headers.get("Allow", "GET")
        refusal = _BY_STATUS.get(error.status_code, problems.BAD_REQUEST)
        return answer(refusal(headers=headers))

    @application.exception_handler(LogSaturated)
    async def saturated(_: Request, error: LogSaturated) -> Response:
        return answer(problems.BUSY(headers={"Retry-After": str(error.retry_after_s)}))

    async def unavailable(_: Request, __: Exception) -> Response:
        return answer(problems.UNAVAILABLE(headers={"Retry-After": "2"}))

    for away in DATABASE_AWAY:
        application.add_exception_handler(away, unavailable)

    @application.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        _log.error("request failed", trace=getattr(request.state, "trace", None), exc_info=error)
        return answer(problems.INTERNAL())


_BY_STATUS: dict[int, Refusal] = {
    each.status: each
    for each in (
        problems.BAD_REQUEST,
        problems.UNAUTHENTICATED,
        problems.FORBIDDEN,
        problems.NOT_FOUND,
        problems.METHOD_NOT_ALLOWED,
        problems.NOT_ACCEPTABLE,
        problems.TOO_LARGE,
        problems.UNSUPPORTED_MEDIA,
    )
}


def _fault(error: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a request, and where; of JSON that cannot be read, in the parser's words."""
    if error["type"] == "json_invalid":
        return {"at": "body", "code": error["type"], "message": error["ctx"]["error"]}
    return {"at": "/".join(str(part) for part in error["loc"]), "code": error["type"], "message": error["msg"]}
