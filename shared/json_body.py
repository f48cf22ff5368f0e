"""How JSON bodies are read: exact decimals, and nothing ambiguous.

A clinical value must arrive as it was sent: `1.50` stays 1.50. What JSON leaves open is refused: duplicate member
names (RFC 8259 §4), NaN and Infinity, NUL characters and unpaired surrogates, which no database column can hold.
Where a body cannot be read it is said why, and the place where that is known; what was sent is not repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from shared.problems import UNSUPPORTED_MEDIA

UTF_8 = ("utf-8", "utf8")


def parse_exact(body: bytes) -> Any:  # noqa: ANN401 (any JSON value)
    """The JSON value of a UTF-8 body, non-integers as Decimal.

    Raises json.JSONDecodeError for whatever is no unambiguous JSON.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError(f"the body is not UTF-8 (byte {error.start})", "", error.start) from error
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_object_without_duplicates
        )
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(str(error), "", error.pos) from error
    except _AmbiguousError as error:
        raise json.JSONDecodeError(str(error), "", 0) from error
    except RecursionError as error:
        raise json.JSONDecodeError("the value is nested too deeply", "", 0) from error
    except (ArithmeticError, ValueError) as error:
        raise json.JSONDecodeError("a number has too many digits", "", 0) from error
    try:
        fault = _unstorable(value) if "\\u" in text else None
    except RecursionError as error:
        raise json.JSONDecodeError("the value is nested too deeply", "", 0) from error
    if fault is not None:
        raise json.JSONDecodeError(fault, "", 0)
    return value


class _AmbiguousError(ValueError):
    """What Python's parser would let through, though no two readers need agree on it."""


def _refuse_constant(name: str) -> NoReturn:
    raise _AmbiguousError(f"{name} is not a JSON value")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _AmbiguousError("a member name occurs twice in one object")
    return members


def _unstorable(value: object) -> str | None:
    """Why a value cannot be stored as text; None when it can. Only escapes can bring such characters in."""
    if isinstance(value, str):
        if "\0" in value:
            return "a string holds the NUL character"
        if any("\ud800" <= character <= "\udfff" for character in value):
            return "a string holds an unpaired surrogate"
    elif isinstance(value, dict):
        return next((fault for pair in value.items() for each in pair if (fault := _unstorable(each))), None)
    elif isinstance(value, list):
        return next((fault for each in value if (fault := _unstorable(each))), None)
    return None


def require_json(headers: Headers) -> None:
    """Raise UNSUPPORTED_MEDIA where a body is announced as anything but JSON in UTF-8 (RFC 8259 §8.1)."""
    announced = headers.get("content-type", "")
    if announced == "application/json":
        return
    if not announced and headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return  # no body
    header = Message()
    header["content-type"] = announced
    subtype = header.get_content_subtype()
    if header.get_content_maintype() != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise UNSUPPORTED_MEDIA("This route reads application/json.")
    if header.get_param("charset") is not None and header.get_content_charset() not in UTF_8:
        raise UNSUPPORTED_MEDIA("JSON is read in UTF-8.")


class _ExactJsonRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401 (any JSON value)
        return parse_exact(await self.body())


class ExactJsonRoute(APIRoute):
    """A route whose body, if it takes one, has to be JSON and is read by `parse_exact`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle_exactly(request: Request) -> Response:
            if self.body_field is not None:
                require_json(request.headers)
            return await handler(_ExactJsonRequest(request.scope, request.receive))

        return handle_exactly
