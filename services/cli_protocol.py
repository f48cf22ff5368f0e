"""The command line of the protocol document: `marrow protocol check`, `to-usdm` and `from-usdm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.protocol import Protocol, ProtocolDocumentError, load_protocol
from shared.settings import settings_from_environment

protocol = typer.Typer(help="The protocol document: check it, and exchange its schedule with others.")

Document = Annotated[
    Path | None, typer.Argument(help="A protocol document (TOML); default: the one that is worked under.")
]


def _load(document: Path | None) -> Protocol:
    """The document; what is wrong with it is told line by line."""
    try:
        return load_protocol(document or settings_from_environment().protocol_file)
    except ProtocolDocumentError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@protocol.command()
def check(document: Document = None) -> None:
    """Say what is wrong with a protocol document: the line, the key and the rule of every fault."""
    read = _load(document)
    typer.echo(f"{read.study_id} {read.version}: {len(read.arms)} arms, {len(read.schedule.activities)} activities")


@protocol.command("to-usdm")
def to_usdm(document: Document = None) -> None:
    """Print the arms and the schedule of activities as USDM 4.0 JSON."""
    from shared.protocol.usdm import study_definition

    typer.echo(study_definition(_load(document)).model_dump_json(exclude_none=True, indent=2))


@protocol.command("from-usdm")
def from_usdm(
    definition: Annotated[Path, typer.Argument(help="A USDM 4.0 document (JSON).", exists=True, dir_okay=False)],
) -> None:
    """Print the arms and the schedule of a USDM 4.0 document as TOML; refuse by name what cannot be said there."""
    from shared.protocol.usdm import UsdmImportError, as_toml, import_schedule

    try:
        typer.echo(as_toml(import_schedule(definition.read_bytes())))
    except UsdmImportError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
