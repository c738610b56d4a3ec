"""The lowest versions with which `.ci/run` runs the tests are those that pyproject.toml declares."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOWEST = dict(
    line.split("==") for line in (ROOT / "tests/lowest.txt").read_text().splitlines() if not line.startswith("#")
)


def declared(requirements):
    return dict(re.fullmatch(r"([\w.-]+)(?:>=([\d.]+))?.*", requirement).groups() for requirement in requirements)


def test_every_dependency_is_tested_with_the_lowest_version_declared():
    bounds = declared(PROJECT["dependencies"])
    assert bounds == {name: LOWEST.get(name) for name in bounds}


def test_what_the_tests_themselves_need_is_too():
    needed = set(LOWEST) - set(declared(PROJECT["dependencies"]))
    extras = PROJECT["optional-dependencies"]
    bounds = declared([*extras["dev"], *extras["arrow"], *extras["duckdb"], *extras["http"], *extras["zstd"]])
    assert {name: LOWEST[name] for name in needed} == {name: bounds.get(name) for name in needed}


def test_the_checks_run_what_they_name():
    """A folder of tests that was renamed would otherwise drop out of the second run unseen."""
    script = (ROOT / ".ci/run").read_text()
    (named,) = re.findall(r"^touching=\"([^\"]*)\"", script, re.MULTILINE)
    assert named.split()
    assert [name for name in named.split() if not list(ROOT.glob(name.removeprefix("--ignore=")))] == []
