"""`marrow bench [NAME …] [--quick]`: side by side with peers, in one run."""

from __future__ import annotations

from time import perf_counter
from typing import Annotated

import typer

from tests.bench import append, memory, policies, randomizations, rebuild, results, verification, year
from tests.bench.ground import ground
from tests.bench.report import machine
from tests.bench.rounds import Scale

BENCHES = {
    "append": append.run,
    "results": results.run,
    "policies": policies.run,
    "randomizations": randomizations.run,
    "verification": verification.run,
    "rebuild": rebuild.run,
    "year": year.run,
    "memory": memory.run,
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"{', '.join(BENCHES)}; default: all.")] = None,
    scale: Annotated[Scale, typer.Option(help="How long it may take.")] = Scale.FULL,
    quick: Annotated[bool, typer.Option("--quick", help="The same as --scale quick.")] = False,
) -> None:
    """Measure, and print medians and ratios of this one run, and the machine that it was made on."""
    for name in names or ():
        if name not in BENCHES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(BENCHES)}")
    started = perf_counter()
    with ground() as here:
        typer.echo(machine(here.server_url, here.folder))
        for name in names or BENCHES:
            for table in BENCHES[name](here, Scale.QUICK if quick else scale):
                typer.echo(f"\n{table}")
    typer.echo(f"\n{perf_counter() - started:.0f} s in all")


if __name__ == "__main__":
    typer.run(main)
