"""One record of every event type and version is kept, and decodes for ever: `tests/golden/<name>.v<version>.json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import services.app  # noqa: F401 (imports every service, and so every event type)
from shared.events import EVENT_TYPES, decode_data

GOLDEN = Path(__file__).with_name("golden")
FILES = sorted(GOLDEN.glob("*.json"))
OURS = {name: event for name, event in EVENT_TYPES.items() if event.__module__.startswith(("services.", "shared."))}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_record_decodes_as_todays_event(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == f"{record['type']}.v{record['version']}.json"
    event = decode_data(record["type"], record["version"], record["data"])
    if record["version"] == event.version:
        assert event.model_dump(mode="json") == record["data"]
        key = [f"key:{record['key']['id']}"] if record["key"] else []
        assert sorted(record["tags"]) == sorted([*event.tags(), *key])


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_version_of_every_event_type_has_a_golden_record(name: str) -> None:
    versions = range(1, OURS[name].version + 1)
    missing = [f"{name}.v{version}.json" for version in versions if not (GOLDEN / f"{name}.v{version}.json").is_file()]
    assert not missing, f"add to tests/golden/: {missing}"
