"""Decides what a result says in the trial's own terms: analyte, canonical value, limits, grade, flag; or what bars it.

A result is read or quarantined, never guessed: an analyte, a unit or a status that is not known is a fault, and so is
a value that cannot be true. Sources (JSON, HL7 v2) bring a `SentResult`, and get a `ReadResult` or a `Fault` for it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from services.labs import units
from services.labs.events import AsSent, ResultStatus, Tables
from services.labs.grading import Criteria, Flag, flag
from services.labs.hl7_errors import ErrorCode
from services.labs.numerics import Comparator
from services.labs.recognition import result_key

WITHOUT_VALUE: frozenset[ResultStatus] = frozenset({"X", "D", "W"})
"""Not obtainable, deleted, of the wrong patient: what a message repeats as the value does not count."""

NEEDS_VALUE: frozenset[ResultStatus] = frozenset({"F", "C"})

STATUSES: dict[str, ResultStatus] = {
    "F": "F", "C": "C", "X": "X", "D": "D", "W": "W",
    "P": "P",
    "R": "P",  # entered, not verified
    "S": "P",  # partial
    "I": "P",  # specimen in the laboratory, result pending
}  # fmt: skip
"""HL7 table 0085, as far as it tells of a result. What is no final word is preliminary."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One way in which a result bars its reading: a stable code, the condition of HL7 table 0357, the part at fault."""

    code: str
    condition: ErrorCode
    part: str
    title: str


UNKNOWN_ANALYTE = FaultKind(
    "unknown-analyte", ErrorCode.TABLE_VALUE_NOT_FOUND, "code", "The code is none of the trial's analytes."
)
CONTRADICTORY_CODES = FaultKind(
    "contradictory-codes", ErrorCode.TABLE_VALUE_NOT_FOUND, "code", "The codes name different analytes."
)
UNSUPPORTED_STATUS = FaultKind(
    "unsupported-status", ErrorCode.TABLE_VALUE_NOT_FOUND, "status", "The status tells of no result (table 0085)."
)
REPEATED = FaultKind(
    "repeated-result", ErrorCode.DUPLICATE_KEY_IDENTIFIER, "code", "The report gives this result twice."
)
UNDATED = FaultKind(
    "collection-time-missing", ErrorCode.REQUIRED_FIELD_MISSING, "collected_at", "No time of collection can be read."
)
IN_FUTURE = FaultKind(
    "collected-in-the-future", ErrorCode.DATA_TYPE_ERROR, "collected_at", "The collection lies in the future."
)
VALUE_MISSING = FaultKind("value-missing", ErrorCode.REQUIRED_FIELD_MISSING, "value", "A final result needs a value.")
NOT_A_NUMBER = FaultKind("not-a-number", ErrorCode.DATA_TYPE_ERROR, "value", "The value is not a single number.")
VALUE_OF_CANCELLED = FaultKind(
    "value-of-a-cancelled-result", ErrorCode.DATA_TYPE_ERROR, "value", "A result that was not obtainable has no value."
)
MISSING_UNIT = FaultKind("missing-unit", ErrorCode.REQUIRED_FIELD_MISSING, "unit", "No unit was sent.")
UNKNOWN_UNIT = FaultKind(
    "unknown-unit", ErrorCode.TABLE_VALUE_NOT_FOUND, "unit", "The analyte is not measured in that unit."
)
AMBIGUOUS_UNIT = FaultKind(
    "ambiguous-unit", ErrorCode.TABLE_VALUE_NOT_FOUND, "unit", "The unit has more than one reading."
)
IMPLAUSIBLE_VALUE = FaultKind(
    "implausible-value", ErrorCode.DATA_TYPE_ERROR, "value", "The value cannot be true of a patient."
)

FAULT_KINDS = (
    UNKNOWN_ANALYTE, CONTRADICTORY_CODES, UNSUPPORTED_STATUS, REPEATED, UNDATED, IN_FUTURE,
    VALUE_MISSING, NOT_A_NUMBER, VALUE_OF_CANCELLED, MISSING_UNIT, UNKNOWN_UNIT, AMBIGUOUS_UNIT, IMPLAUSIBLE_VALUE,
)  # fmt: skip

_BY_CODE = {kind.code: kind for kind in FAULT_KINDS}


@dataclass(frozen=True, slots=True)
class Aliases:
    """What a site's codes and units mean: code as sent → analyte, None for one that is none of the trial's."""

    codes: Mapping[str, str | None] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    def of_codings(self, codings: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The aliases of codes as `units.identify` takes them."""
        return {(system, code): meant for system, code in codings if (meant := self.codes.get(code)) is not None}


NO_ALIASES = Aliases()

_OTHERS = tomllib.loads((Path(__file__).parent / "other_tests.toml").read_text(encoding="utf-8"))


def tables_read_by(criteria: Criteria) -> Tables:
    """What this process reads by, recorded once with each report."""
    return Tables(analytes=units.TABLE_VERSION, other_tests=_OTHERS["version"], ctcae=criteria.version)


_OTHER_LOINC = frozenset(_OTHERS["loinc"])
_OTHER_LOCAL = frozenset(name.casefold() for name in _OTHERS["local"])
_OTHER_OF_SYSTEM = frozenset((system, code) for system, codes in _OTHERS["systems"].items() for code in codes)


def is_other_test(codings: Iterable[tuple[str, str]], aliases: Aliases = NO_ALIASES) -> bool:
    """Whether the codes name a test that is known to be none of the trial's: not read, and no fault either."""
    pairs = tuple(codings)
    if any(aliases.codes.get(code, "") is None for _, code in pairs):
        return True
    if units.identify(pairs, aliases.of_codings(pairs)) is not None:
        return False
    return any(
        code in _OTHER_LOINC
        if system in units.LOINC_SYSTEMS
        else (system, code) in _OTHER_OF_SYSTEM or code.strip().casefold() in _OTHER_LOCAL
        for system, code in pairs
    )


@dataclass(frozen=True, slots=True)
class SentResult:
    """A result as it was sent. `number` is its place in the report; `order` the key of its order.

    `text` is the value as written; `value` the number that it states, None where it states none. Codes and units that
    may not be told in clear stand here by their place (see `disclosure`).
    """

    number: int
    codings: tuple[tuple[str, str], ...]
    text: str | None
    value: Decimal | None
    unit: str
    status: str
    collected_at: datetime | None
    order: str
    comparator: Comparator | None = None
    reference_low: Decimal | None = None
    reference_high: Decimal | None = None
    sub_id: str = ""
    specimen: str = ""


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A result in the trial's terms; what is compared with limits is in the canonical unit."""

    number: int
    key: str
    order: str
    code: str
    value: Decimal | None
    unit: str
    comparator: Comparator | None
    status: ResultStatus
    collected_at: datetime
    reference_low: Decimal | None
    reference_high: Decimal | None
    grade: int | None
    flag: Flag | None
    as_sent: AsSent


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a result was not read."""

    number: int
    kind: FaultKind
    text: str


def read_result(
    sent: SentResult, latest: datetime, criteria: Criteria, aliases: Aliases = NO_ALIASES
) -> ReadResult | Fault:
    """The result in the trial's terms, graded by the criteria; collected at `latest` at the latest."""
    own = aliases.of_codings(sent.codings) if aliases.codes else {}
    code = units.identify(sent.codings, own)
    analyte = units.ANALYTES.get(code) if code else None
    if analyte is None:
        return Fault(sent.number, UNKNOWN_ANALYTE, UNKNOWN_ANALYTE.title)
    if len(sent.codings) > 1 and not own and len({units.identify([pair]) for pair in sent.codings} - {None}) > 1:
        return Fault(sent.number, CONTRADICTORY_CODES, CONTRADICTORY_CODES.title)
    status = STATUSES.get(sent.status)
    kind = UNSUPPORTED_STATUS if status is None else _fault_of_time(sent, latest) or _fault_of_value(sent, status)
    if kind is not None:
        return Fault(sent.number, kind, f"{analyte.code}: {kind.title}")
    try:
        sent_code = next(pair[1] for pair in sent.codings if units.identify([pair], own) == code)
        return _in_canonical_unit(sent, sent_code, analyte, STATUSES[sent.status], criteria, aliases)
    except units.UnitError as error:
        return Fault(sent.number, _BY_CODE[error.problem], str(error))


def _fault_of_time(sent: SentResult, latest: datetime) -> FaultKind | None:
    if sent.collected_at is None:
        return UNDATED
    return IN_FUTURE if sent.collected_at > latest else None


def _fault_of_value(sent: SentResult, status: ResultStatus) -> FaultKind | None:
    if status == "X" and sent.value is not None:
        return VALUE_OF_CANCELLED
    if status in WITHOUT_VALUE or sent.value is not None:
        return None
    if sent.text:
        return NOT_A_NUMBER
    return VALUE_MISSING if status in NEEDS_VALUE else None


def _in_canonical_unit(
    sent: SentResult,
    sent_code: str,
    analyte: units.Analyte,
    status: ResultStatus,
    criteria: Criteria,
    aliases: Aliases,
) -> ReadResult:
    """`sent_code` is the first that names the analyte. Raises UnitError.

    Limits that cannot be brought to the canonical unit are left out: they came as free text.
    """
    value = low = high = None
    if status not in WITHOUT_VALUE and sent.value is not None:
        value = units.canonical(analyte.code, sent.value, sent.unit, sent_as=sent_code, aliases=aliases.units)
        if value and abs(value.adjusted()) > units.MAGNITUDE_MAX:
            raise units.ImplausibleValueError(f"the value of {analyte.code} is no measurement")
        low, high = (
            _limit(sent, sent_code, bound, analyte.code, aliases) for bound in (sent.reference_low, sent.reference_high)
        )
    exact = value is not None and sent.comparator is None
    # Without a value nobody has asked what the unit is: it could be any text.
    sent_unit = sent.unit if value is not None or units.is_known_unit(sent.unit) else ""
    return ReadResult(
        number=sent.number,
        key=result_key(sent.order, analyte.code, sent.sub_id, sent.specimen),
        order=sent.order,
        code=analyte.code,
        value=value,
        unit=analyte.unit,
        comparator=sent.comparator if value is not None else None,
        status=status,
        collected_at=sent.collected_at,  # type: ignore[arg-type]  # `_fault_of_time` has refused None
        reference_low=low,
        reference_high=high,
        grade=criteria.grade(analyte.code, value, low, high) if exact and value is not None else None,
        flag=flag(value, low, high) if exact and value is not None else None,
        as_sent=AsSent(code=sent_code, value=None if value is None else sent.text, unit=sent_unit),
    )


def _limit(sent: SentResult, sent_code: str, bound: Decimal | None, code: str, aliases: Aliases) -> Decimal | None:
    if bound is None:
        return None
    try:
        limit = units.convert(code, bound, sent.unit, sent_as=sent_code, aliases=aliases.units)
    except units.UnitError:
        return None
    return None if limit and abs(limit.adjusted()) > units.MAGNITUDE_MAX else limit


def read_results(
    sent: Iterable[SentResult], latest: datetime, criteria: Criteria, aliases: Aliases = NO_ALIASES
) -> tuple[tuple[ReadResult, ...], tuple[Fault, ...]]:
    """The results that can be read, and the faults of the others. Of a result that is given twice, the first counts."""
    read: dict[str, ReadResult] = {}
    faults: list[Fault] = []
    for each in sent:
        result = read_result(each, latest, criteria, aliases)
        if isinstance(result, Fault):
            faults.append(result)
        elif result.key in read:
            faults.append(Fault(each.number, REPEATED, f"{result.code}: {REPEATED.title}"))
        else:
            read[result.key] = result
    return tuple(read.values()), tuple(faults)


_CHANGES = {"C": "corrected", "X": "not obtainable", "D": "deleted", "W": "of another patient"}


def reason_of(statuses: Iterable[ResultStatus]) -> str | None:
    """Why an earlier result is changed, in the laboratory's own words: the statuses that it gave; None without one."""
    changes = sorted({_CHANGES[status] for status in statuses if status in _CHANGES})
    return f"The laboratory reported: {', '.join(changes)}." if changes else None
