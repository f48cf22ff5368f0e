"""Decides which results an Observation of FHIR R4 reports, as they were sent: its own value and its components'.

A panel (members or components, and no value of its own) is no result. Codes and units stand here only as far as they
may be told (see `disclosure`); texts, notes and names are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from services.labs import units
from services.labs.disclosure import coding_told, unit_told
from services.labs.fhir_bundle import Contents, Located, Resource
from services.labs.fhir_issue import FhirError, Issue
from services.labs.fhir_time import TimeError, read_date_time
from services.labs.normalization import SentResult
from services.labs.numerics import Comparator, read_number, read_range
from services.labs.recognition import order_key

UCUM = "http://unitsofmeasure.org"

STATUSES = {
    "registered": "I",
    "preliminary": "P",
    "final": "F",
    "amended": "C",
    "corrected": "C",
    "cancelled": "X",
    "entered-in-error": "D",
}
"""ObservationStatus → HL7 table 0085. `unknown` tells of no result."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where results come from, beside what their Observation says: sender, zone, subject, words not to tell."""

    application: str
    facility: str
    zone: tzinfo
    subject: str | None
    personal: frozenset[str]


@dataclass(frozen=True, slots=True)
class Placed:
    """A result as it was sent, the number of its entry, and the FHIRPath of each part that can be at fault."""

    sent: SentResult
    entry: int
    places: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Value:
    text: str | None = None
    number: Decimal | None = None
    comparator: Comparator | None = None
    unit: str = ""
    unit_place: str = "value"


def read_observation(
    observation: Located, report: Located | None, contents: Contents, origin: Origin, number: int
) -> list[Placed]:
    """The results of one Observation, numbered from `number`; `report` is the DiagnosticReport that lists it.

    Raises FhirError where a value and the reason of its absence are both sent (obs-6).
    """
    resource = observation.resource
    order, specimen = _order(observation, report, contents, origin)
    collected_at = _collected_at(observation, report, contents, origin.zone)
    withdrawn = report is not None and report.resource.get("status") == "entered-in-error"
    status = "entered-in-error" if withdrawn else resource.get("status", "")
    placed: list[Placed] = []
    for path, part in _parts(observation):
        if "dataAbsentReason" in part and _value_member(part) is not None:
            place = f"{path}.dataAbsentReason"
            raise FhirError(400, [Issue("invariant", place, "a value that is there is not absent (obs-6)")])
        placed.append(
            Placed(
                _sent(number + len(placed), path, part, status, collected_at, order, specimen, origin),
                observation.entry,
                {
                    "code": f"{path}.code",
                    "value": f"{path}.value",
                    "unit": f"{path}.{_value(part).unit_place}",
                    "status": f"{observation.path}.status",
                    "collected_at": f"{observation.path}.effective",
                },
            )
        )
    return placed


def _parts(observation: Located) -> Iterator[tuple[str, Resource]]:
    """The Observation itself, unless it is but a panel, and its components."""
    resource = observation.resource
    components = resource.get("component", ())
    is_panel = bool(components or resource.get("hasMember"))
    if not is_panel or _value_member(resource) is not None or "dataAbsentReason" in resource:
        yield observation.path, resource
    for index, component in enumerate(components):
        yield f"{observation.path}.component[{index}]", component


def _sent(
    number: int,
    path: str,
    part: Resource,
    status: str,
    collected_at: datetime | None,
    order: str,
    specimen: str,
    origin: Origin,
) -> SentResult:
    codes = [
        (each.get("system", ""), each["code"]) for each in part.get("code", {}).get("coding", ()) if "code" in each
    ]
    codings = tuple(coding_told(pair, f"{path}.code", origin.personal) for pair in codes) or (("", f"{path}.code"),)
    value = _value(part)
    letter = STATUSES.get(status, "")
    if letter in ("F", "C") and value.text is None and "dataAbsentReason" in part:
        letter = "X"  # it is final that there is none
    unit_place = f"{path}.{value.unit_place}"
    unit = unit_told(value.unit, unit_place, origin.personal)
    if _contradicts(part.get("valueQuantity", {}), codings):
        unit = unit_place
    low, high = _reference_range(part, value.unit)
    return SentResult(
        number=number,
        codings=codings,
        text=value.text,
        value=value.number,
        comparator=value.comparator,
        unit=unit,
        status=letter,
        collected_at=collected_at,
        order=order,
        reference_low=low,
        reference_high=high,
        specimen=specimen,
    )


def _value_member(part: Resource) -> str | None:
    return next((name for name in part if name.startswith("value")), None)


def _value(part: Resource) -> _Value:
    """The value, and the number that it states: a quantity, an integer, or a text that is a number.

    Of any other value it stands here only that there is one: what a text says may identify.
    """
    match _value_member(part):
        case None:
            return _Value()
        case "valueQuantity":
            quantity = part["valueQuantity"]
            number = quantity.get("value")
            if number is None:
                return _Value(unit_place="value")
            exact = Decimal(number)
            unit, member = _unit(quantity)
            place = f"value.{member}" if member else "value"
            return _Value(format(exact, "f"), exact, quantity.get("comparator"), unit, place)
        case "valueInteger":
            return _Value(str(part["valueInteger"]), Decimal(part["valueInteger"]))
        case "valueString":
            stated = read_number(part["valueString"])
            if stated is not None:
                return _Value(part["valueString"].strip(), stated.value, stated.comparator)
            return _Value("text")
        case other:
            return _Value(other)


def _unit(quantity: Resource) -> tuple[str, str]:
    """The unit and the member that says it: the code where it is one of UCUM, else the unit as people read it."""
    if quantity.get("system") == UCUM and "code" in quantity:
        return quantity["code"], "code"
    return next(((quantity[member], member) for member in ("unit", "code") if member in quantity), ("", ""))


def _contradicts(quantity: Resource, codings: tuple[tuple[str, str], ...]) -> bool:
    """Whether the unit's code and the unit as people read it are two units of the analyte: a thing to ask about."""
    if "unit" not in quantity or quantity.get("code", quantity["unit"]) == quantity["unit"]:
        return False
    analyte = units.identify(codings)
    if analyte is None:
        return False
    sent_as = next(pair[1] for pair in codings if units.identify([pair]) == analyte)
    try:
        by_code, by_unit = (
            units.convert(analyte, Decimal(1), quantity[member], sent_as=sent_as) for member in ("code", "unit")
        )
    except units.UnitError:
        return False
    return by_code != by_unit


def _reference_range(part: Resource, unit: str) -> tuple[Decimal | None, Decimal | None]:
    """The bounds of the one normal range, in the unit of the value; a range in another unit bounds nothing."""
    normal = [each for each in part.get("referenceRange", ()) if _is_normal(each)]
    if len(normal) != 1:
        return None, None
    [sent] = normal
    if "low" not in sent and "high" not in sent:
        stated = read_range(sent.get("text", ""))
        return stated.low, stated.high
    low, high = (
        Decimal(bound["value"]) if "value" in bound and _is_of(bound, unit) else None
        for bound in (sent.get("low", {}), sent.get("high", {}))
    )
    return low, high


def _is_of(bound: Resource, unit: str) -> bool:
    """Whether a bound is in the unit of the value, or says none."""
    return units.normal_unit(_unit(bound)[0]) in ("", units.normal_unit(unit))


def _is_normal(sent: Resource) -> bool:
    codes = [each.get("code") for each in sent.get("type", {}).get("coding", ())]
    return not codes or "normal" in codes


def _order(observation: Located, report: Located | None, contents: Contents, origin: Origin) -> tuple[str, str]:
    """The key of what the result is known again by, and its specimen.

    That is the Observation's own identifier; else its report's, or its order's, with the specimen; else its time.
    """
    number = _identifier(observation.resource.get("identifier"))
    specimen = ""
    if not number:
        candidates = [report.resource.get("identifier")] if report else []
        candidates += [[each["identifier"]] for each in observation.resource.get("basedOn", ()) if "identifier" in each]
        number = next((found for each in candidates if (found := _identifier(each))), "")
        number = number or str(_effective(observation.resource) or "")
        taken = contents.resolve(observation.resource.get("specimen"), observation)
        if taken is not None and taken.type == "Specimen":
            specimen = _identifier(taken.resource.get("identifier"))
    return order_key(origin.subject or "", origin.application, origin.facility, number), specimen


def _identifier(identifiers: list[Resource] | None) -> str:
    """The first identifier with a value, and what makes it unique."""
    return next(
        (f"{each.get('system', '')}\0{each['value']}" for each in identifiers or () if "value" in each),
        "",
    )


def _effective(resource: Resource, choice: str = "effective") -> str | None:
    """The moment as written: of a period its start, or else its end."""
    period = resource.get(f"{choice}Period", {})
    written = resource.get(f"{choice}DateTime", resource.get(f"{choice}Instant"))
    found = written or period.get("start") or period.get("end")
    return str(found) if found else None


def _collected_at(observation: Located, report: Located | None, contents: Contents, zone: tzinfo) -> datetime | None:
    """Observation.effective, else when the specimen was taken, else DiagnosticReport.effective."""
    specimens = [
        found
        for reference in (
            observation.resource.get("specimen"),
            *(report.resource.get("specimen", ()) if report else ()),
        )
        if (found := contents.resolve(reference, observation)) is not None and found.type == "Specimen"
    ]
    written = [_effective(observation.resource)]
    written += [_effective(each.resource.get("collection", {}), "collected") for each in specimens]
    written += [_effective(report.resource)] if report else []
    for text in written:
        if text is not None:
            return instant_of(text, zone)
    return None


def instant_of(text: str, zone: tzinfo) -> datetime | None:
    """The first instant of a date or time, None where it is none of any trial."""
    try:
        return read_date_time(text, zone).first
    except TimeError:
        return None
