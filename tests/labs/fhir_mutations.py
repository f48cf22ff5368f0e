"""Reports in FHIR that something is wrong with, drawn by hypothesis."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from tests.labs.fhir_examples import bundle, header, observation

EXAMPLES = [bundle(header(), observation(), kind="message"), bundle(observation()), observation()]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        found += _places(member, (*path, name))
    return found


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 0, -1, 8.6, 10**30, "", " ", "x", "#a", "é" * 300, "\u202e", "2025-02-30", "Patient/01-001"),
        *("http://loinc.org", "Bundle", "Observation", [], ["x"], [None], [[]], {}, {"a": 1}, {"reference": "#"}),
    ]
)


def mutated(body: Any, draw: st.DataObject) -> Any:
    """The body with one to three of its members made odd, left out, sent twice or renamed."""
    body = copy.deepcopy(body)
    for _ in range(draw.draw(st.integers(1, 3))):
        places = _places(body)
        if not places:
            break
        *way, last = places[draw.draw(st.integers(0, len(places) - 1))]
        holder = body
        for step in way:
            holder = holder[step]
        match draw.draw(st.sampled_from(["odd", "gone", "twice", "renamed"])):
            case "odd":
                holder[last] = copy.deepcopy(draw.draw(ODD))  # the next mutation may reach into it
            case "gone":
                del holder[last]
            case "twice":
                holder[last] = [holder[last], holder[last]]
            case "renamed" if isinstance(holder, dict):
                holder[f"_{last}"] = holder.pop(last)
    return body
