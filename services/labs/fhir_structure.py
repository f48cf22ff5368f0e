"""Decides whether a JSON value is a resource of FHIR R4, and which of its elements are wrong.

The elements stand in fhir_r4.toml; they are held to it strictly: no member that R4 does not have, no second of what
there is one of, each primitive in its form. So a resource of DSTU2, STU3 or R5 is refused where it differs, instead of
being read as something that it does not say. Resources of other types are only held to the rules of all JSON in FHIR
(R4, json.html): no empty object, array or text, and null only in an array.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from services.labs.fhir_issue import Issue

ISSUES_MAX = 20
"""More faults than these are not told: the first ones say what the sender does wrong."""

DEPTH_MAX = 48
"""Objects inside of objects; a report in a bundle with its contained observations needs about fifteen."""

DIGITS_MAX = 400
"""A number that is longer when it is written out is refused; R4 asks for 18 digits (datatypes.html#decimal)."""

_TABLE = tomllib.loads((Path(__file__).parent / "fhir_r4.toml").read_text(encoding="utf-8"))
FHIR_VERSION: str = _TABLE["version"]
_ELSEWHERE: dict[str, dict[str, str]] = _TABLE["elsewhere"]
_DOMAIN = "DomainResource"
"""What resources have in common, but for Bundle."""

_OF_ANY = {"id": "string 0..1", "extension": "Element 0..*", "modifierExtension": "Element 0..*"}
_RESOURCES = frozenset({"Observation", "DiagnosticReport", "Specimen", "Patient", "MessageHeader", "Bundle"})
"""The types whose elements are known."""

_MEMBER = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)


def _matches(pattern: str) -> Callable[[object], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _is_whole(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31


_CLOCK = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
_is_date = _matches(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")
_is_instant = _matches(rf"\d{{4}}-\d\d-\d\dT{_CLOCK}(Z|[+-](0\d|1[0-4]):[0-5]\d)")


def _exists(value: object) -> bool:
    """Whether the day of a date or time is one of the calendar: no 30 February, no year 0."""
    try:
        date.fromisoformat(f"{str(value)[:10]}-01-01"[:10])
    except ValueError:
        return False
    return True


_is_text = _matches(r"[ \r\n\t\S]*\S[ \r\n\t\S]*")
_is_uri = _matches(r"\S+")
PRIMITIVES: dict[str, Callable[[object], bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "canonical": _is_uri,
    "code": _matches(r"\S+(\s\S+)*"),
    "date": lambda value: _is_date(value) and _exists(value),
    "dateTime": lambda value: (_is_date(value) or _is_instant(value)) and _exists(value),
    "decimal": lambda value: isinstance(value, int | Decimal) and not isinstance(value, bool),
    "id": _matches(r"[A-Za-z0-9.-]{1,64}"),
    "instant": lambda value: _is_instant(value) and _exists(value),
    "integer": _is_whole(-(2**31)),
    "positiveInt": _is_whole(1),
    "string": _is_text,
    "time": _matches(_CLOCK),
    "unsignedInt": _is_whole(0),
    "uri": _is_uri,
    "url": _is_uri,
    "xhtml": _is_text,
}
"""The forms of FHIR's primitive types (R4, datatypes.html#primitive)."""


@dataclass(frozen=True, slots=True)
class _Element:
    """What a member of an object may be: `name` as FHIRPath has it (`value` for valueQuantity)."""

    name: str
    type: str
    codes: frozenset[str]
    required: bool
    repeats: bool


@lru_cache(maxsize=64)
def _elements(of: str) -> dict[str, _Element]:
    """The members of a type by their names in JSON."""
    rows = dict(_OF_ANY) if of != _DOMAIN else {}
    if of in _RESOURCES and of != "Bundle":
        rows |= _TABLE["types"][_DOMAIN]
    members: dict[str, _Element] = {}
    for row, meaning in (rows | _TABLE["types"][of]).items():
        types, _, occurs = meaning.rpartition(" ")
        kind, _, codes = types.partition("(")
        name = row.removesuffix("[x]")
        known = frozenset(code.strip() for code in codes.rstrip(")").split(",")) if codes else frozenset()
        for each in kind.split("|"):
            member = name + each[0].upper() + each[1:] if row.endswith("[x]") else name
            members[member] = _Element(name, each, known, occurs.startswith("1"), occurs.endswith("*"))
    return members


@lru_cache(maxsize=64)
def _required(of: str) -> dict[str, tuple[str, ...]]:
    """What a type needs: the element, and the members that are it."""
    elements = _elements(of)
    names = sorted({each.name for each in elements.values() if each.required})
    return {name: tuple(member for member, each in elements.items() if each.name == name) for name in names}


_OF_DOMAIN = _elements(_DOMAIN)


def check_resource(resource: object, path: str = "") -> list[Issue]:
    """What is wrong with a resource; `path` is the FHIRPath of it, "" where it is the body."""
    issues: list[Issue] = []
    for issue in _ill_formed(resource, path or _type_of(resource), 0):
        issues.append(issue)
        if len(issues) == ISSUES_MAX:
            return issues
    if issues:
        return issues  # what follows relies on the rules of all JSON
    for issue in _wrong_resource(resource, path):
        issues.append(issue)
        if len(issues) == ISSUES_MAX:
            break
    return issues


def _type_of(resource: object) -> str:
    named = resource.get("resourceType") if isinstance(resource, dict) else None
    return named if isinstance(named, str) and re.fullmatch("[A-Z][A-Za-z]{0,63}", named) else "Resource"


def _ill_formed(value: object, path: str, depth: int) -> Iterator[Issue]:
    """Where a value breaks the rules of all JSON in FHIR."""
    if isinstance(value, dict):
        if depth > DEPTH_MAX:
            yield Issue("too-long", path, f"more than {DEPTH_MAX} objects inside of each other")
        else:
            yield from _ill_formed_object(value, path, depth)
    elif value is None or isinstance(value, list):
        yield Issue("structure", path, "null and an array inside of an array stand for nothing")
    elif isinstance(value, str):
        if not value.strip():
            yield Issue("value", path, "a text is never empty")
    elif _length(value) > DIGITS_MAX:
        yield Issue("value", path, f"a number of more than {DIGITS_MAX} digits")


def _ill_formed_object(members: dict[str, Any], path: str, depth: int) -> Iterator[Issue]:
    if not members:
        yield Issue("structure", path, "an object is never empty")
    for name, member in members.items():
        below = f"{path}.{name.removeprefix('_')}"
        if name == "fhir_comments":
            yield Issue("structure", path, "fhir_comments is a member of DSTU2, not of R4")
        elif not _MEMBER.fullmatch(name):
            yield Issue("structure", path, "a member has a name that no element of FHIR has")
        elif not isinstance(member, list):
            yield from _ill_formed(member, below, depth + 1)
        elif not member:
            yield Issue("structure", below, "an array is never empty")
        else:
            for index, each in enumerate(member):
                if each is not None:  # its place is an extension's; see `_wrong_member`
                    yield from _ill_formed(each, f"{below}[{index}]", depth + 1)


def _length(number: object) -> int:
    """The digits of a number when it is written out."""
    match number:
        case Decimal():
            return len(number.as_tuple().digits) + abs(int(number.as_tuple().exponent))
        case int():
            return len(str(abs(number)))
        case _:
            return 0


def _wrong_resource(resource: object, path: str) -> Iterator[Issue]:
    """Where a resource has not the elements of its type."""
    if not isinstance(resource, dict):
        yield Issue("structure", path or "Resource", "a resource is an object")
        return
    kind = _type_of(resource)
    here = path or kind
    if kind == "Resource":
        yield Issue("structure", f"{here}.resourceType", "a resource says its type in resourceType")
        return
    if path and kind == "Bundle":
        yield Issue("not-supported", here, "a bundle inside of another resource is not read")
    elif ".contained[" in path and "contained" in resource:
        yield Issue("invariant", f"{here}.contained", "a contained resource contains none (dom-2)")
    elif kind in _RESOURCES:
        yield from _wrong_object(resource, kind, here)
    else:
        for name in sorted(resource.keys() & _OF_DOMAIN.keys()):
            yield from _wrong_member(resource[name], _OF_DOMAIN[name], None, f"{here}.{name}")


def _wrong_object(members: dict[str, Any], of: str, path: str) -> Iterator[Issue]:
    elements = _elements(of)
    chosen: dict[str, str] = {}
    for member in members:
        name = member.removeprefix("_")
        if name == "resourceType" and of in _RESOURCES:
            continue
        element = elements.get(name)
        if element is None:
            version = _ELSEWHERE.get(of, {}).get(name)
            why = f"is an element of {version}" if version else "is no element"
            yield Issue("structure", f"{path}.{name}", f"{name} {why}, not of {of} in R4")
            continue
        below = f"{path}.{element.name}"
        if chosen.setdefault(element.name, name) != name:
            yield Issue("structure", below, f"{element.name}[x] is sent in more than one type")
        if member.startswith("_"):
            if element.type not in PRIMITIVES:
                yield Issue("structure", below, "only what is a primitive is extended beside itself")
            continue
        if name in ("modifierExtension", "implicitRules"):
            # Who does not know a modifier must not read on (R4, extensibility.html).
            yield Issue("extension", below, f"{name} changes what is said in a way that is not known here")
            continue
        yield from _wrong_member(members[member], element, members.get(f"_{name}"), below)
    for name, choices in _required(of).items():
        if members.keys().isdisjoint(choices):  # an extension alone says nothing
            yield Issue("required", f"{path}.{name}", f"{of} needs {name}")


def _wrong_member(value: object, element: _Element, extended: object, path: str) -> Iterator[Issue]:
    if element.repeats is not isinstance(value, list):
        yield Issue("structure", path, "is an array" if element.repeats else "is one value, not an array")
        return
    if not isinstance(value, list):
        yield from _wrong_value(value, element, path)
        return
    for index, each in enumerate(value):
        if each is not None:
            yield from _wrong_value(each, element, f"{path}[{index}]")
        elif (
            element.type not in PRIMITIVES
            or not isinstance(extended, list)
            or index >= len(extended)
            or extended[index] is None
        ):
            yield Issue("structure", f"{path}[{index}]", "null stands only where an extension takes its place")


def _wrong_value(value: object, element: _Element, path: str) -> Iterator[Issue]:
    if element.type == "Resource":
        yield from _wrong_resource(value, path)
    elif element.type in PRIMITIVES:
        if not PRIMITIVES[element.type](value):
            yield Issue("value", path, f"is no {element.type}")
        elif element.codes and value not in element.codes:
            yield Issue("code-invalid", path, f"is none of {', '.join(sorted(element.codes))}")
    elif not isinstance(value, dict):
        yield Issue("structure", path, "is an object")
    elif element.type != "Element":
        yield from _wrong_object(value, element.type, path)
