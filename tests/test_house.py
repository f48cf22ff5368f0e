"""The rules of the house that no linter knows: the shape of a service, the size of a module, what a file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]

SERVICES = ("audit", "labs", "randomization", "visits")
FILES_OF_A_SERVICE = ("domain.py", "commands.py", "events.py", "projections.py", "api.py", "migrations")

MODULE_LINES_MAX = 400
API_LINES_MAX = 300
FUNCTION_LINES_MAX = 60

# Each pattern is spelled so that it does not find itself in this file.
WORDS_OF_THE_WORKPLACE = re.compile(
    r"/wor[k]/|\bissu[e] #?\d|pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.(?:org|com)", re.IGNORECASE
)

RUNTIME_LOCK = ROOT / "deploy" / "lock" / "runtime.txt"
DEVELOPMENT_LOCK = ROOT / "deploy" / "lock" / "dev.txt"
LOCKS = (RUNTIME_LOCK, DEVELOPMENT_LOCK)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def files_of_the_project() -> list[Path]:
    """What is tracked or about to be; without git (a source archive), the folders that hold the project's text."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        folders = ("services", "shared", "tests", "deploy")
        return [file for folder in folders for file in sorted((ROOT / folder).rglob("*")) if file.is_file()]
    return [ROOT / name for name in sorted(set(names)) if (ROOT / name).is_file()]


FILES = files_of_the_project()
MODULES = [file for file in FILES if file.suffix == ".py"] + [ROOT / "marrow"]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def pinned(lock: Path) -> dict[str, Version]:
    """The version of every package in a lock file, by its canonical name."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in pins}


@pytest.mark.parametrize("service", SERVICES)
def test_who_knows_one_service_knows_four(service: str) -> None:
    present = {path.name for path in (ROOT / "services" / service).iterdir()}

    assert set(FILES_OF_A_SERVICE) <= present


@pytest.mark.parametrize("service", SERVICES)
def test_an_api_module_holds_routes_alone(service: str) -> None:
    """What is asked of the read models stands in `questions`, and what is answered in `answers`."""
    folder = ROOT / "services" / service
    sources = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("api*.py")}

    assert {"questions.py", "answers.py"} <= {path.name for path in folder.iterdir()}
    assert [name for name, text in sources.items() if len(text.splitlines()) > API_LINES_MAX] == []
    classes = [(name, node) for name, text in sources.items() for node in ast.walk(ast.parse(text))]
    assert [(name, node.name) for name, node in classes if isinstance(node, ast.ClassDef)] == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_what_it_decides_and_stays_small(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    tree = ast.parse(source)
    long_functions = {
        node.name: length
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    }

    assert not source.strip() or ast.get_docstring(tree), "an empty module is the only one without a docstring"
    assert len(source.splitlines()) <= MODULE_LINES_MAX
    assert not long_functions


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("module", ["commands", "events"])
def test_no_error_repeats_what_a_command_or_an_event_holds(service: str, module: str) -> None:
    """Errors end up in logs, and what a laboratory wrote in a wrong place may name a person."""
    classes = [each for each in vars(import_module(f"services.{service}.{module}")).values() if isinstance(each, type)]
    models = [each for each in classes if issubclass(each, BaseModel) and each is not BaseModel]

    assert [model for model in models if not model.model_config.get("hide_input_in_errors")] == []


def test_an_old_python_can_read_the_launcher_and_be_told_that_it_is_too_old() -> None:
    ast.parse((ROOT / "marrow").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_no_file_speaks_of_the_workplace() -> None:
    found = [
        f"{name_of(file)}:{number}: {line.strip()}"
        for file in FILES
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if WORDS_OF_THE_WORKPLACE.search(line)
    ]

    assert not found


@pytest.mark.parametrize("lock", LOCKS, ids=name_of)
def test_a_lock_holds_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    requirements = re.sub(r"\\\n", " ", text).splitlines()
    without_hash = [line for line in requirements if "==" in line.split(" ")[0] and "--hash=sha256:" not in line]

    assert "://" not in text
    assert not without_hash


@pytest.mark.parametrize(
    ("requirement", "lock"),
    [(requirement, lock) for requirement in PROJECT["dependencies"] for lock in LOCKS]
    + [(requirement, DEVELOPMENT_LOCK) for requirement in PROJECT["optional-dependencies"]["dev"]],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_a_lock_satisfies_what_the_project_requires(requirement: str, lock: Path) -> None:
    required = Requirement(requirement)
    version = pinned(lock).get(canonicalize_name(required.name))

    assert version is not None, "not locked"
    assert required.specifier.contains(version, prereleases=True)


def test_development_runs_on_the_very_packages_that_are_deployed() -> None:
    runtime, development = pinned(RUNTIME_LOCK), pinned(DEVELOPMENT_LOCK)

    assert {name: development.get(name) for name in runtime} == runtime
