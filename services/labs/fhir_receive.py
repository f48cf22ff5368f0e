"""How a report in FHIR is received: checked, read, sealed, recorded, and only then answered.

A transaction, a collection and a message are one report each, all or nothing; each entry of a batch is one of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from services.labs import domain, fhir_json
from services.labs.commands import RecordLabReport
from services.labs.events import LabMessageQuarantined
from services.labs.fhir_answer import (
    Answer,
    Came,
    answer_batch,
    answer_message,
    answer_resource,
    answer_transaction,
)
from services.labs.fhir_bundle import Located, Resource
from services.labs.fhir_issue import FhirError, Issue
from services.labs.fhir_outcome import error_of, outcome_of
from services.labs.fhir_report import Report, check_body, read_report, sender_of
from services.labs.hl7v2 import Setting
from services.labs.normalization import Aliases
from services.labs.receive import only_site, require_application, setting_of
from services.labs.sealed_message import seal_message
from shared.call import LOG_POSITION, Call
from shared.json_body import parse_exact
from shared.problems import Problem


async def receive_fhir(call: Call, content: bytes, kind: str | None, if_none_exist: str | None) -> Answer:
    """Record a body and answer in kind. `kind` is the type that the address names, `if_none_exist` the header.

    Raises FhirError, or a Problem where the token may not, or is of several sites.
    """
    setting = fhir_setting(call, only_site(call))
    body = check_body(parse_body(content))
    here = body["resourceType"]
    if kind is not None and here != kind:
        raise FhirError(400, [Issue("invariant", here, f"the address is that of {kind}")])
    if here != "Bundle":
        return answer_resource(await _record(call, body, setting, conditions={0: if_none_exist}))
    if body["type"] == "batch":
        return await _record_batch(call, body, setting)
    conditions = {number: entry.get("request", {}).get("ifNoneExist") for number, entry in enumerate(body["entry"])}
    came = await _record(call, body, setting, conditions=conditions)
    return answer_message(came) if body["type"] == "message" else answer_transaction(came)


def parse_body(content: bytes) -> Any:  # noqa: ANN401 (any JSON value)
    """The JSON value of a body, its decimals exact. Raises FhirError (400)."""
    try:
        return parse_exact(content)
    except json.JSONDecodeError as error:
        raise FhirError(400, [Issue("structure", "", error.msg)]) from error


def fhir_setting(call: Call, site: str) -> Setting:
    """What a report of a site is read by; the authority is the identifier system of the trial's subjects."""
    return replace(setting_of(call, site), authority=call.runtime.settings.subject_system)


def read_again(
    call: Call, message: LabMessageQuarantined, text: str, subject: str | None, aliases: Aliases
) -> RecordLabReport:
    """What a quarantined report says, with what its staff have found out. Raises STILL_UNREADABLE."""
    setting = fhir_setting(call, message.site)
    quarantined = message.quarantined
    try:
        body = check_body(parse_body(text.encode()))
        read = read_report(body, message.sender, setting, subject=subject, aliases=aliases, quarantined=quarantined)
    except FhirError as error:
        raise domain.STILL_UNREADABLE(str(error)) from error
    return read.command


async def _record_batch(call: Call, bundle: Resource, setting: Setting) -> Answer:
    """Record each entry for itself; the `Log-Position` is the highest of any."""
    await call.require_own_key()
    answers, position = [], 0
    for number, entry in enumerate(bundle["entry"]):
        path = f"Bundle.entry[{number}].resource"
        try:
            resource = check_body(entry["resource"])
            conditions = {0: entry["request"].get("ifNoneExist")}
            came = await _record(call, resource, setting, conditions=conditions, part=number)
            answers.append(answer_resource(came))
        except (FhirError, Problem) as error:
            status, issues = error_of(error)
            answers.append(Answer(status, outcome_of(issues, below=path)))
        position = max(position, int(call.response.headers.get(LOG_POSITION, 0)))
        await asyncio.sleep(0)  # a long batch does not keep others waiting
    if position:
        call.response.headers[LOG_POSITION] = str(position)
    return answer_batch(answers)


async def _record(
    call: Call, body: Resource, setting: Setting, *, conditions: Mapping[int, str | None], part: int | None = None
) -> Came:
    """Record one report, or find what it came to before."""
    sender = sender_of(body, call.actor.application or call.actor.id)
    require_application(call, sender.application)
    report = read_report(body, sender, setting)
    command = report.command.model_copy(update={"if_none_exist": _conditional(report, conditions)})
    sealed = await seal_message(call.runtime, command, fhir_json.write(body).decode())
    report = replace(report, command=command.model_copy(update={"sealed": sealed}))
    try:
        recorded = (await call.handle(domain.MESSAGE, report.command, part=part)).events
    except domain.RecordedBefore as before:
        recorded = before.earlier
        call.response.headers[LOG_POSITION] = str(recorded[-1].position)
    except domain.ResultsStand:
        recorded = ()
    return Came(report, tuple(recorded), call.runtime.settings.subject_system)


def _conditional(report: Report, conditions: Mapping[int, str | None]) -> frozenset[int]:
    """The numbers of the results that are recorded only where none stands (If-None-Exist).

    Raises FhirError (412) for a condition that is not the identifier which the resource itself bears: a result is known
    again by that alone.
    """
    conditional = set()
    for root in report.contents.roots:
        condition = conditions.get(root.entry)
        if condition is not None:
            _require_own_identifier(root, condition)
            conditional.add(root.entry)
    return frozenset(number for number, entry in report.entries.items() if entry in conditional)


def _require_own_identifier(root: Located, condition: str) -> None:
    own = {f"{each.get('system', '')}|{each['value']}" for each in _identifiers(root) if "value" in each}
    asked = parse_qs(condition.partition("?")[2] or condition)
    if root.type in ("Observation", "DiagnosticReport") and not (
        set(asked) == {"identifier"} and len(asked["identifier"]) == 1 and asked["identifier"][0] in own
    ):
        text = "If-None-Exist is identifier=system|value, with an identifier of the resource itself"
        raise FhirError(412, [Issue("not-supported", f"{root.path}.identifier", text)])


def _identifiers(root: Located) -> list[dict[str, str]]:
    identifiers = root.resource.get("identifier", [])
    return identifiers if isinstance(identifiers, list) else [identifiers]
