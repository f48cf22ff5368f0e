"""What a process tells about itself: structured logs and HTTP metrics. Never a body, a token or personal data."""

from __future__ import annotations

import logging
import re
import secrets
import sys
from time import perf_counter

import orjson
import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("marrow_http_requests_total", "Requests answered.", ["service", "method", "route", "status"])
SECONDS = Histogram("marrow_http_request_seconds", "Time to answer a request.", ["service", "method", "route"])

_TRACEPARENT = re.compile(rb"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def configure_logging(level: str) -> None:
    """One JSON line an entry on standard error; uvicorn's access log is replaced by ours."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.getLogger("uvicorn.access").disabled = True


class Telemetry:
    """ASGI middleware: gives each request its trace id (W3C traceparent, or a new one), counts and logs it."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service
        self._log = structlog.get_logger("marrow.http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = scope.setdefault("state", {})["trace"] = _trace_of(scope)
        status = 500
        started = perf_counter()

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        finally:
            seconds = perf_counter() - started
            # The template, never the path: a path holds subject ids.
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            REQUESTS.labels(self._service, method, route, status).inc()
            SECONDS.labels(self._service, method, route).observe(seconds)
            self._log.info(
                "answered", method=method, route=route, status=status, ms=round(seconds * 1000, 1), trace=trace
            )


def _trace_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"traceparent" and (match := _TRACEPARENT.match(value)):
            return match[1].decode()
    return secrets.token_hex(16)
