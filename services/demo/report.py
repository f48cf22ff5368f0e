"""What the demo prints of a trial: the flow, the responses, the second doses, what was refused, and the proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from services.demo.client import Speaker, TrialClient
from services.demo.errors import DemoError
from services.demo.evidence import Evidence, names_found, verified
from services.demo.home import DemoHome, Played
from shared.identity import Role
from shared.protocol import Protocol

REGULATOR = Speaker(Role.REGULATOR, "Inspector")
STATISTICIAN = Speaker(Role.STATISTICIAN, "Statistician")
MONITOR = Speaker(Role.MONITOR, "Monitor")

RESPONSES = {"HI": "improved", "SD": "stable", "PD": "progressed", "NE": "not evaluable"}


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is printed."""

    flow: dict[str, Any]
    quarantined: Sequence[dict[str, Any]]
    checkpoint: str
    vkey: str
    evidence: Evidence


async def gather_facts(client: TrialClient, home: DemoHome) -> Facts:
    """Ask the services, download the log and check it offline. The answers reflect all that the play recorded."""
    flow = await client.get(STATISTICIAN, "/randomization/flow", at_least=client.position)
    quarantine = await client.get(REGULATOR, "/labs/quarantine", at_least=client.position)
    checkpoint = await client.get_text(REGULATOR, "/audit/checkpoint")
    vkey = (await client.get_text(REGULATOR, "/audit/key")).strip()
    home.export.write_bytes(await client.get_bytes(REGULATOR, "/audit/export"))
    return Facts(flow, quarantine["items"], checkpoint, vkey, verified(home.export, vkey, checkpoint))


def print_report(console: Console, facts: Facts, protocol: Protocol, home: DemoHome, played: Played) -> None:
    """Print it. Raises DemoError where a name that the laboratories sent stands in the log."""
    console.print(_flow(facts.flow))
    console.print(_responses(facts.evidence, protocol))
    console.print(_second_doses(facts.evidence))
    console.print(_refused(played, facts.quarantined))
    console.print(_events(facts.evidence))
    if found := names_found(home.export, played.names_sent):
        raise DemoError(f"The log holds names that the laboratories sent: {', '.join(found)}.")
    console.print(
        f"{len(played.names_sent)} surnames and given names were sent by the laboratories; the log holds none of them."
    )
    console.print(Panel(facts.checkpoint.rstrip(), title="Checkpoint of the log, signed", expand=False))
    checkpoint = facts.evidence.report.checkpoint
    if checkpoint is None:
        raise DemoError("The export has no checkpoint.")
    console.print(
        f"Verified offline: {facts.evidence.report.events} events, root {checkpoint.root.hex()}\n"
        f"  {home.export}\n  ./marrow verify {home.export} --key '{facts.vkey}'\n"
        f"{facts.evidence.allocations} allocations recomputed from the revealed seed, all the same\n"
        f"  ./marrow verify-allocation {home.export}",
        soft_wrap=True,
    )


def _flow(flow: dict[str, Any]) -> Table:
    table = Table(title="Flow of participants (CONSORT)", title_justify="left")
    arms = list(flow["arms"])
    for heading in ("", "all", *arms):
        table.add_column(heading, justify="left" if not heading else "right")
    table.add_row("assessed", str(flow["assessed"]))
    for reason, number in flow["excluded"].items():
        table.add_row(f"  excluded: {reason}", str(number))
    table.add_row("randomized", str(flow["randomized"]))
    for step in ("allocated", "received", "discontinued", "analysed"):
        numbers = [flow["arms"][arm][step] for arm in arms]
        table.add_row(step, str(sum(numbers)), *map(str, numbers))
    return table


def _responses(evidence: Evidence, protocol: Protocol) -> Table:
    counts = evidence.response_counts()
    table = Table(title=f"Responses by {protocol.response.rule_set}, the last evaluation of each", title_justify="left")
    for heading in ("arm", "at", *RESPONSES.values()):
        table.add_column(heading, justify="left" if heading in {"arm", "at"} else "right")
    for arm in protocol.arm_codes:
        for evaluation in protocol.response.evaluations:
            numbers = [counts.get((arm, evaluation.timepoint, response), 0) for response in RESPONSES]
            table.add_row(arm, evaluation.timepoint, *map(str, numbers))
    return table


def _second_doses(evidence: Evidence) -> Table:
    table = Table(title="Second infusions", title_justify="left")
    for heading in ("subject", "eligible on", "given on", "cells"):
        table.add_column(heading, justify="right" if heading == "cells" else "left")
    eligible = {each["data"]["subject"]: each["occurred_at"][:10] for each in evidence.of("second-dose-eligible")}
    infused = {
        each["data"]["subject"]: each for each in evidence.of("product-infused") if each["data"]["dose_number"] > 1
    }
    for subject, on in eligible.items():
        given = infused.get(subject)
        dose = (given["occurred_at"][:10], f"{int(given['data']['cells']):,}") if given else ("not given", "")
        table.add_row(subject, on, *dose)
    return table


def _refused(played: Played, quarantined: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="What was refused, and what is quarantined", title_justify="left")
    table.add_column("what was tried")
    table.add_column("answer")
    for each in played.refused:
        table.add_row(each.what, each.code)
    for message in quarantined:
        table.add_row("a laboratory's message", f"quarantined: {message['reason']}")
    return table


def _events(evidence: Evidence) -> Table:
    table = Table(title=f"{len(evidence.records)} events", title_justify="left")
    table.add_column("type")
    table.add_column("number", justify="right")
    for event_type, number in sorted(evidence.types.items()):
        table.add_row(event_type, str(number))
    return table
