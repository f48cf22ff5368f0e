"""The run of `marrow demo`: a home, the services, the play or what an earlier one left, the report, and serving on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import uvicorn
from rich.console import Console

from services.demo.client import Tokens, TrialClient
from services.demo.clock import SimulatedClock
from services.demo.errors import DemoError
from services.demo.home import DemoHome, Played
from services.demo.narration import narrated
from services.demo.play import Plan, plan, play
from services.demo.report import gather_facts, print_report
from services.demo.server import Served, served
from shared.clock import system_clock
from shared.protocol import load_protocol
from shared.settings import Settings
from shared.telemetry import configure_logging

CLOCK_INTERVAL_S = 0.5
"""Days of the play pass in far less than a second: what time brings about is looked for accordingly."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What was asked for on the command line."""

    home: Path
    port: int
    subjects: int
    serve: bool
    fresh: bool


def run_demo(demo: Demo) -> int:
    """Run it until it is told to stop; the exit code. What went wrong is said on standard error."""
    settings = _settings(demo.home)
    configure_logging(settings.log_level)
    loop_factory = uvicorn.Config(app="").get_loop_factory()
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_run(demo, settings, Console()))
    except DemoError as error:
        Console(stderr=True).print(f"The demo stopped. {error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    return 0


def _settings(home: Path) -> Settings:
    """The demo's own store and keys, whatever the environment names; of the logs the warnings, unless more is asked."""
    settings = Settings(
        home=DemoHome(home).path,
        database_url=None,
        migration_url=None,
        jwks_url=None,
        sealing_key_file=None,
        checkpoint_key_file=None,
        clock_interval_s=CLOCK_INTERVAL_S,
    )
    is_level_set = "log_level" in settings.model_fields_set
    return settings if is_level_set else settings.model_copy(update={"log_level": "WARNING"})


async def _run(demo: Demo, settings: Settings, console: Console) -> None:
    home = DemoHome(demo.home)
    if demo.fresh:
        home.clear()
    left = home.played()
    if left is None:
        await _play_anew(demo, settings, home, console)
    else:
        await _go_on(demo, settings, home, left, console)


async def _play_anew(demo: Demo, settings: Settings, home: DemoHome, console: Console) -> None:
    upcoming = plan(load_protocol(settings.protocol_file), demo.subjects, system_clock())
    clock = SimulatedClock(upcoming.calendar.opening)
    home.remember(Played(demo.subjects, names_sent=_names(upcoming)))
    console.print(
        f"A trial of {demo.subjects} subjects, {len(upcoming.people)} screened, opens on {upcoming.calendar.opens_on} "
        f"in {home.path}",
        soft_wrap=True,
    )
    async with (
        served(settings, clock, demo.port) as server,
        TrialClient(server.url, Tokens(settings, clock)) as client,
    ):
        try:
            played = await _play(upcoming, client, clock, settings, console)
        except DemoError:
            if not server.is_stopping:
                raise
            raise DemoError("It was interrupted. `--fresh` starts afresh.") from None
        home.remember(played)
        clock.catch_up()
        await _report_and_serve(demo, settings, home, played, server, client, console)


async def _play(
    upcoming: Plan, client: TrialClient, clock: SimulatedClock, settings: Settings, console: Console
) -> Played:
    """Play, and give what is to be remembered of it."""
    protocol = load_protocol(settings.protocol_file)
    started = perf_counter()
    with narrated(console, upcoming.calendar, client) as tell:
        await play(upcoming, client, clock, protocol, settings.subject_authority, tell)
    seconds = perf_counter() - started
    console.print(f"{client.requests:,} requests in {seconds:.1f} s, {client.requests / seconds:,.0f} a second\n")
    return Played(
        subjects=sum(person.fate == "takes-part" for person in upcoming.people),
        finished=True,
        refused=tuple(client.refused),
        names_sent=_names(upcoming),
    )


def _names(upcoming: Plan) -> tuple[str, ...]:
    """Every name that the laboratories may write into a message."""
    return tuple(sorted({name for person in upcoming.people for name in (person.surname, person.given_name)}))


async def _go_on(demo: Demo, settings: Settings, home: DemoHome, left: Played, console: Console) -> None:
    """Serve what an earlier demo left, with its report; nothing is played a second time."""
    async with (
        served(settings, system_clock, demo.port) as server,
        TrialClient(server.url, Tokens(settings, system_clock)) as client,
    ):
        state = "already holds a trial" if left.finished else "holds a trial whose play was interrupted"
        console.print(
            f"{home.path} {state} ({await client.head():,} events). It goes on; `--fresh` starts afresh.\n",
            soft_wrap=True,
        )
        await _report_and_serve(demo, settings, home, left, server, client, console)


async def _report_and_serve(
    demo: Demo,
    settings: Settings,
    home: DemoHome,
    played: Played,
    server: Served,
    client: TrialClient,
    console: Console,
) -> None:
    facts = await gather_facts(client, home)
    print_report(console, facts, load_protocol(settings.protocol_file), home, played)
    if demo.serve:
        console.print(
            f"\nServing the trial on {server.url} until Ctrl-C; its documents: {server.url}/randomization/docs\n"
            f"  A token: ./marrow token --role monitor --home {home.path}",
            soft_wrap=True,
        )
        await server.task
