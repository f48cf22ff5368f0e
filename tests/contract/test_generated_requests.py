"""Requests generated from each OpenAPI document, right ones and wrong ones: none is answered against the document."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.app import SERVICES
from shared.identity import Role
from tests.conftest import Server
from tests.journeys.trial import Trial, serving

EXAMPLES = 15

EXCLUDED = ",".join(
    (
        # It wants 405 for every undocumented method, also for TRACE, which the HTTP server itself answers with 400.
        "unsupported_method",
        # It takes our header away and sends it all the same; test_access.py calls every route without a token.
        "missing_required_header",
        # It takes every 422 for a wrong schema; a check of our own (schemathesis_hooks) tells rules from shapes.
        "positive_data_acceptance",
    )
)


@pytest.fixture(scope="module")
async def trial(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trial]:
    """A trial of its own: what is generated must not turn up at the sites of other journeys."""
    async with serving(server.create_database("generated_requests"), tmp_path_factory.mktemp("home")) as trial:
        yield trial


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
