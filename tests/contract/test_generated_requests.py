"""Requests generated from each OpenAPI document, right ones and wrong ones: none is answered against the document."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from services.app import SERVICES
from shared.identity import Role
from tests.journeys.trial import Trial

EXAMPLES = 15

# The check wants 405 for every undocumented method, also for TRACE, which the HTTP server itself answers with 400.
EXCLUDED = "unsupported_method"


@pytest.mark.parametrize("name", SERVICES)
async def test_generated_requests_are_answered_as_documented(trial: Trial, tmp_path: Path, name: str) -> None:
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.contract.schemathesis_hooks",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{trial.url}/{name}/openapi.json",
        f"--header=Authorization: Bearer {trial.token(Role.ADMIN)}",
        f"--max-examples={EXAMPLES}",
        f"--exclude-checks={EXCLUDED}",
        "--continue-on-failure",
        "--seed=1",
        "--no-color",
        cwd=tmp_path,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
