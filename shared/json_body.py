"""How JSON bodies are read: exact decimals, and nothing ambiguous.

A clinical value must arrive as it was sent: `1.50` stays 1.50. What JSON leaves open is refused: duplicate member
names (RFC 8259 §4), NaN and Infinity, NUL characters and unpaired surrogates, which no database column can hold.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute


def parse_exact(body: bytes) -> Any:  # noqa: ANN401 (any JSON value)
    """The JSON value of a UTF-8 body, non-integers as Decimal.

    Raises json.JSONDecodeError for whatever is no unambiguous JSON.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError("the body is not UTF-8", "", error.start) from error
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_object_without_duplicates
        )
    except json.JSONDecodeError:
        raise
    except (ArithmeticError, RecursionError, ValueError) as error:
        raise json.JSONDecodeError(str(error) or "the value is nested too deeply", "", 0) from error
    try:
        fault = _unstorable(value) if "\\u" in text else None
    except RecursionError as error:
        raise json.JSONDecodeError("the value is nested too deeply", "", 0) from error
    if fault is not None:
        raise json.JSONDecodeError(fault, "", 0)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the member name {twice!r} occurs twice")
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


class _ExactJsonRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401 (any JSON value)
        return parse_exact(await self.body())


class ExactJsonRoute(APIRoute):
    """A route whose JSON body is read by `parse_exact`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle_exactly(request: Request) -> Response:
            return await handler(_ExactJsonRequest(request.scope, request.receive))

        return handle_exactly
