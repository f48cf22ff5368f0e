"""What a generator of requests cannot know from a document: that keys are used once, and where the present is."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

# Its own instants go back to the year 1, which the documents' pattern excludes.
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(1990, 1, 1), datetime(2020, 1, 1)).map(lambda at: f"{at.isoformat(timespec='seconds')}Z"),  # noqa: DTZ001
)

VALID_KEY = re.compile(r"[\x21-\x7e]{1,255}")
INSTANT = re.compile(r"(19|20|21)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    """Make valid keys unique (a used one is 422), positions reachable (others are 503), instants past (others 422)."""
    for name, value in dict(case.headers).items():
        if name.lower() == "idempotency-key" and VALID_KEY.fullmatch(str(value)):
            case.headers[name] = uuid4().hex
        if name.lower() == "log-position" and str(value).isdigit():
            case.headers[name] = "0"
    if isinstance(case.body, dict | list):
        case.body = _past(case.body)


@schemathesis.check
def a_rule_alone_refuses_what_has_the_right_shape(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """422 also answers rules that no schema states, such as a reason that is owed: those have types of their own."""
    valid = case.meta is not None and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE
    if valid and response.status_code == 422:
        assert response.json().get("type") != "/problems/invalid-request", response.json()


def _past(value: Any) -> Any:
    match value:
        case str() if INSTANT.fullmatch(value):
            return "2020" + value[4:]
        case dict():
            return {name: _past(member) for name, member in value.items()}
        case list():
            return [_past(member) for member in value]
        case _:
            return value
