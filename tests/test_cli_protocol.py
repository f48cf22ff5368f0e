"""The command line of the protocol document."""

from __future__ import annotations

import tomllib
from pathlib import Path

from typer.testing import CliRunner

from services.cli import app
from shared.protocol.document import DEFAULT_DOCUMENT

ANOTHER = Path(__file__).parent / "shared" / "protocol" / "three-arms-2.1.toml"


def test_a_good_document_is_named() -> None:
    result = CliRunner().invoke(app, ["protocol", "check", str(ANOTHER)])

    assert (result.exit_code, result.stdout) == (0, "OTHER-1 2.1: 3 arms, 6 activities\n")


def test_a_bad_document_is_told_line_by_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(ANOTHER.read_text().replace('"2.1"', "2.1").replace("ratio = 2", "ratio = 0"))

    result = CliRunner().invoke(app, ["protocol", "check", str(bad)])

    assert result.exit_code == 1
    assert [line.rsplit(":", 1)[0] for line in result.stderr.splitlines()] == [
        "bad.toml:4: version",
        "bad.toml:20: arms.0.ratio",
    ]


def test_a_schedule_goes_out_as_usdm_and_comes_back_as_toml(tmp_path: Path) -> None:
    runner = CliRunner()
    definition = tmp_path / "usdm.json"
    definition.write_text(runner.invoke(app, ["protocol", "to-usdm", str(ANOTHER)]).stdout)

    result = runner.invoke(app, ["protocol", "from-usdm", str(definition)])

    own = tomllib.loads(ANOTHER.read_text())
    assert tomllib.loads(result.stdout) == {"arms": own["arms"], "schedule": own["schedule"]}


def test_what_cannot_be_imported_is_named(tmp_path: Path) -> None:
    definition = tmp_path / "usdm.json"
    exported = CliRunner().invoke(app, ["protocol", "to-usdm", str(DEFAULT_DOCUMENT)]).stdout
    definition.write_text(exported.replace('"P365D"', '"P1Y"'))

    result = CliRunner().invoke(app, ["protocol", "from-usdm", str(definition)])

    assert result.exit_code == 1
    assert "Timing 'C12'" in result.stderr
    assert result.stdout == ""
