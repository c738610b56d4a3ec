"""The README's config and plugin are run as they stand there, and its commands are those that CI runs."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

import stagerunner
from stagerunner.cli import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FILE = re.compile(r"^`([\w.-]+)`, [^\n]*:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHELL = re.compile(r"^```sh\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"^```python\n(import stagerunner\n.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The README's files in a folder, but for the result."""
    for name, text in FILE.findall(README):
        (tmp_path / name).write_text(text)
    (tmp_path / "large-orders.csv").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_its_config_and_plugin_give_what_it_says(shop, engine):
    summary = stagerunner.run("shop.yaml", engine=engine)
    letters = [json.loads(line) for line in (shop / "failed.jsonl").read_text().splitlines()]
    assert (shop / "large-orders.csv").read_text() == dict(FILE.findall(README))["large-orders.csv"]
    assert [(letter["record"]["id"], letter["message"]) for letter in letters] == [(3, "an order without lines")]
    assert summary.exit_code == 3


def test_its_python_runs(shop):
    (code,) = PYTHON.findall(README)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "README.md", "exec"), {})
    assert out.getvalue().startswith("{'id': 1, 'total': 180.0}\n{'id': 4, 'total': 119.4}\n")


def test_each_of_its_two_commands_is_one_line():
    commands = SHELL.findall(README)
    assert len(commands) == 2
    assert not any("\n" in command for command in commands)


def test_ci_runs_its_test_command():
    pattern = re.search(r"grep -m 1 \"(.*)\" README.md", (ROOT / ".ci" / "run").read_text())[1]
    found = [line for line in README.splitlines() if re.search(pattern, line)]
    assert found == [SHELL.findall(README)[1]]


def test_it_shows_every_command():
    for verb in VERBS.values():
        assert f"`stagerunner {verb.usage}`" in README
