"""Every bench runs to its end and tells a table; what it measures is for `marrow bench` to say, not for a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.__main__ import BENCHES
from tests.bench.ground import Ground, ground
from tests.bench.rounds import Scale


@pytest.fixture(scope="module")
def here() -> Iterator[Ground]:
    with ground() as opened:
        yield opened


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_runs_and_tells_a_table(here: Ground, name: str) -> None:
    tables = list(BENCHES[name](here, Scale.TINY))
    assert tables
    assert all(table.rows for table in tables)
