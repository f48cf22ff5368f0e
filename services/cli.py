"""The command line: what `marrow` does, from `up` and `demo` to `test` and `bench`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from services.cli_protocol import protocol
from shared.identity import Role
from shared.keys import Keys
from shared.settings import Settings, settings_from_environment
from shared.telemetry import configure_logging
from shared.tokens import issue

ROOT = Path(__file__).resolve().parents[1]

app = typer.Typer(help="Marrow: the backend of one running clinical trial.", no_args_is_help=True, add_completion=False)
app.add_typer(protocol, name="protocol", no_args_is_help=True)

Home = Annotated[Path | None, typer.Option(help="Folder of the embedded store and the local keys.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")]


def _settings(home: Path | None) -> Settings:
    """The settings of the environment, with the home folder given on the command line."""
    if home is not None:
        os.environ["MARROW_HOME"] = str(home.resolve())
        settings_from_environment.cache_clear()
    return settings_from_environment()


@app.command()
def up(
    service: Annotated[str | None, typer.Argument(help="One service alone; default: all four on one port.")] = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    home: Home = None,
) -> None:
    """Serve the trial until interrupted; requests under way are finished first."""
    from services.app import SERVICES, create_application

    settings = _settings(home)
    configure_logging(settings.log_level)
    if service is not None and service not in SERVICES:
        raise typer.BadParameter(f"{service!r} is none of {', '.join(SERVICES)}")
    application = f"services.{service}.api:app" if service else create_application(settings)
    uvicorn.run(application, host=host, port=port, access_log=False, timeout_graceful_shutdown=10)


@app.command()
def mllp(host: Host = "127.0.0.1", port: Port = 2575, home: Home = None) -> None:
    """Receive HL7 v2 over MLLP, as the lab system whose token MARROW_MLLP_TOKEN_FILE holds, until interrupted."""
    from services.labs.mllp import serve
    from services.labs.mllp_identity import NoIdentityError

    settings = _settings(home)
    configure_logging(settings.log_level)
    try:
        asyncio.run(serve(settings, host, port, started=lambda at: typer.echo(f"MLLP on {host}:{at}")))
    except NoIdentityError as refused:
        raise typer.BadParameter(str(refused)) from refused


@app.command()
def demo(
    port: Port = 8000,
    subjects: Annotated[int, typer.Option(min=4, max=300, help="How many take part.")] = 30,
    serve: Annotated[bool, typer.Option(help="Go on serving the trial when it has been played.")] = True,
    home: Annotated[Path, typer.Option(help="Folder of this trial's store and keys.")] = Path(".marrow/demo"),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove the trial that an earlier demo left, and play.")
    ] = False,
) -> None:
    """Play a whole trial over a simulated year through the public HTTP API, report on it, and serve it."""
    from services.demo.run import Demo, run_demo

    raise typer.Exit(run_demo(Demo(home=home, port=port, subjects=subjects, serve=serve, fresh=fresh)))


@app.command()
def token(
    role: Annotated[Role, typer.Option(help="What the bearer may do.")],
    site: Annotated[list[str] | None, typer.Option(help="A site it speaks for; repeatable; default: all.")] = None,
    name: Annotated[str | None, typer.Option(help="Printed name of the bearer.")] = None,
    subject: Annotated[str | None, typer.Option(help="Stable id of the bearer (`sub`).")] = None,
    org: Annotated[str, typer.Option(help="Organisation of the bearer.")] = "marrow",
    application: Annotated[str | None, typer.Option(help="The one sending application a lab token is for.")] = None,
    home: Home = None,
) -> None:
    """Print a bearer token of the local issuer."""
    settings = _settings(home)
    if settings.jwks_url is not None:
        raise typer.BadParameter("tokens come from the external issuer (MARROW_JWKS_URL is set)")
    if role is Role.SYSTEM:
        raise typer.BadParameter("no token speaks for the services themselves")
    typer.echo(
        issue(
            Keys(settings).issuer(),
            settings,
            role=role,
            now=datetime.now(UTC),
            subject=subject or "-".join([role.value, *(site or [])]),
            name=name or role.value.title(),
            org=org,
            sites=site or None,
            application=application,
        )
    )


@app.command()
def verify(
    export: Annotated[Path, typer.Argument(help="An export of the log (NDJSON).", exists=True, dir_okay=False)],
    key: Annotated[str | None, typer.Option(help="The verifier key (vkey) you trust.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint you kept.", exists=True)] = None,
) -> None:
    """Check an export offline: every record, the tree, the signature, and a checkpoint of your own."""
    from services.audit.verifier import main as verify_export

    arguments = [str(export)]
    if key is not None:
        arguments += ["--key", key]
    if checkpoint is not None:
        arguments += ["--checkpoint", str(checkpoint)]
    raise typer.Exit(verify_export(arguments))


@app.command("verify-allocation")
def verify_allocation(
    export: Annotated[Path, typer.Argument(help="An export of the log (NDJSON).", exists=True, dir_okay=False)],
) -> None:
    """Recompute offline, once the seed is revealed, every list and every allocation of an export."""
    from services.randomization.verifier import main as recompute

    raise typer.Exit(recompute([str(export)]))


@app.command()
def simulate_allocation(
    method: Annotated[
        str | None,
        typer.Option(
            help="simple, permuted-blocks, biased-coin, urn or minimization; default: all that were compared."
        ),
    ] = None,
    by: Annotated[list[str] | None, typer.Option(help="A factor whose levels make strata; repeatable.")] = None,
    block_size: Annotated[list[int] | None, typer.Option(help="Blocks: a size that is drawn from; repeatable.")] = None,
    p: Annotated[str | None, typer.Option(help="Coin, minimization: chance of the arm that is behind, as 4/5.")] = None,
    alpha: Annotated[int | None, typer.Option(help="Urn: balls of each arm at the start.")] = None,
    beta: Annotated[int | None, typer.Option(help="Urn: balls of the other arms that each draw adds.")] = None,
    weights: Annotated[str | None, typer.Option(help="Minimization: its factors, as site:1,diagnosis:2.")] = None,
    distance: Annotated[str | None, typer.Option(help="Minimization: range or variance.")] = None,
    ratio: Annotated[
        str | None, typer.Option(help="Arms with their shares, as A:2,B:1; default: the protocol's.")
    ] = None,
    sites: Annotated[str, typer.Option(help="Where subjects arrive, with shares.")] = "01:2,02:1",
    diagnoses: Annotated[str, typer.Option(help="With what, with shares.")] = "RA:3,RARS:1",
    subjects: Annotated[int | None, typer.Option(min=1, help="Of each trial; default: the protocol's.")] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="How many trials are played.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    home: Home = None,
) -> None:
    """Try methods of allocation before one is sealed: balance, and how often the next arm is guessed."""
    from services.randomization.allocation import method_named
    from services.randomization.simulation import Accrual, Design, Simulation, compared_designs, report
    from shared.protocol import load_protocol

    protocol = load_protocol(_settings(home).protocol_file)
    parameters = {
        "block_sizes": block_size,
        "p": p,
        "alpha": alpha,
        "beta": beta,
        "weights": weights and _shares(weights),
        "distance": distance,
    }
    try:
        simulation = Simulation(
            ratio={arm.code: arm.ratio for arm in protocol.arms} if ratio is None else _shares(ratio),
            accrual=Accrual({"site": _shares(sites), "diagnosis": _shares(diagnoses)}),
            subjects=protocol.planned_subjects if subjects is None else subjects,
            repetitions=repetitions,
            seed=seed,
        )
        designs = compared_designs("diagnosis", "site")
        if method is not None:
            given = {name: value for name, value in parameters.items() if value is not None}
            designs = (Design(method_named(method, given), tuple(by or ())),)
        for line in report(simulation, designs):
            typer.echo(line)
    except ValueError as refused:
        raise typer.BadParameter(str(refused)) from refused


def _shares(text: str) -> dict[str, int]:
    """Names with whole shares, as `A:2,B:1`."""
    shares = dict(each.rpartition(":")[::2] for each in text.split(","))
    if not all(name and share.isdecimal() and int(share) for name, share in shares.items()):
        raise typer.BadParameter(f"{text!r} is not written as A:2,B:1")
    return {name: int(share) for name, share in shares.items()}


@app.command()
def rebuild(
    service: Annotated[str | None, typer.Argument(help="One service; default: all.")] = None, home: Home = None
) -> None:
    """Fill read models from the log, from zero; readers see the old rows until the new ones are whole."""
    from services.app import SERVICES

    if service is not None and service not in SERVICES:
        raise typer.BadParameter(f"{service!r} is none of {', '.join(SERVICES)}")
    asyncio.run(_rebuild(_settings(home), [service] if service else list(SERVICES)))


async def _rebuild(settings: Settings, names: Sequence[str]) -> None:
    from services.app import SERVICES
    from shared.projection import rebuild as rebuild_projection
    from shared.runtime import open_runtime

    async with open_runtime(settings, [SERVICES[name].component for name in names]) as runtime:
        for name in names:
            events, seconds = await rebuild_projection(SERVICES[name].projection, runtime.log, runtime.engine)
            rate = events / seconds if seconds else 0.0
            typer.echo(f"{name}: {events} events in {seconds:.2f} s, {rate:,.0f} events/s")


@app.command()
def clock(home: Home = None) -> None:
    """Record what follows from the time that has passed, such as missed items; running services do so by themselves."""
    asyncio.run(_clock(_settings(home)))


async def _clock(settings: Settings) -> None:
    from services.app import SERVICES
    from shared.runtime import open_runtime

    async with open_runtime(settings, [service.component for service in SERVICES.values()]) as runtime:
        for service in SERVICES.values():
            for job in service.clock_jobs:
                typer.echo(f"{job.name}: {await job.run(runtime, None)} events recorded")


@app.command(name="settings")
def list_settings() -> None:
    """List every setting: its variable, its default and its meaning."""
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" [{field.default}]"
        typer.echo(f"MARROW_{name.upper()}{default}\n    {field.description}")


@app.command()
def migration(
    service: Annotated[str, typer.Argument(help="The service whose tables changed.")],
    message: Annotated[str, typer.Argument(help="What changed, in a few words.")],
) -> None:
    """Write the next migration of a service's read model from the difference to its tables."""
    from services.app import SERVICES
    from shared.embedded import embedded_postgresql
    from shared.migrations import revise

    if service not in SERVICES:
        raise typer.BadParameter(f"{service!r} is none of {', '.join(SERVICES)}")
    with tempfile.TemporaryDirectory() as home, embedded_postgresql(Path(home)) as url:
        version = revise(url, SERVICES[service].component, message)
    tidied = [_run("ruff", "check", "--quiet", "--fix", str(version)), _run("ruff", "format", "--quiet", str(version))]
    typer.echo(version)
    raise typer.Exit(max(tidied))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run the whole suite on a real PostgreSQL; further arguments go to pytest."""
    raise typer.Exit(_run("pytest", *context.args))


@app.command()
def check() -> None:
    """Check format, lint, types and the import rules of the house."""
    steps = (
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("mypy",),
        ("lint-imports",),
    )
    failed = [step[0] for step in steps if _run(*step) != 0]
    if failed:
        typer.echo(f"failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure against peers, side by side in one run: append, results, rebuild, memory; --quick for less."""
    command = [sys.executable, "-m", "tests.bench", *context.args]
    raise typer.Exit(subprocess.run(command, cwd=ROOT, check=False).returncode)  # noqa: S603 (our own module, no shell)


def _run(tool: str, *arguments: str) -> int:
    """Run a development tool of this environment on the checkout; its exit code."""
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 (our own tools, no shell)


if __name__ == "__main__":
    app()
