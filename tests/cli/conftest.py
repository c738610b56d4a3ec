from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result
from support.runs import project

from stagerunner.cli.entry import program
from stagerunner.cli.streams import Streams

__all__ = ["project"]

Call = Callable[..., subprocess.CompletedProcess[str]]

STAGES = """
import os, sys
from pathlib import Path

def same(record):
    return record

def picky(record: str) -> str:
    if "bad" in record:
        raise ValueError("that is " + record)
    return record

def chatty(record):
    print("seen", record)
    return record

def leaky(record, *, key: str):
    raise ValueError("the key is " + key)

def stubborn(record):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a plugin file in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts.py").write_text(STAGES)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(dedent(text))
        return path

    return write


@pytest.fixture
def chain(write) -> Callable[..., str]:
    """Write a chain with these stages of the plugin file; its name."""

    def chain(*stages: str, source: str = "{use: range, with: {stop: 5}}", **keys: str) -> str:
        listed = "[" + ", ".join(stages) + "]"
        lines = [f"{key}: {value}" for key, value in {"source": source, "stages": listed, **keys}.items()]
        write("chain.yaml", "\n".join(["version: 1", *lines]) + "\n")
        return "chain.yaml"

    return chain


@pytest.fixture
def call(folder: Path) -> Call:
    """`stagerunner ARGUMENTS` in a process of its own."""

    def call(*arguments: str, env: dict[str, str] | None = None, **more: object) -> subprocess.CompletedProcess[str]:
        hidden = ("FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS")
        environment = {key: value for key, value in os.environ.items() if key not in hidden} | (env or {})
        command = [sys.executable, "-m", "stagerunner", *arguments]
        given = {"stdin": subprocess.DEVNULL} if "input" not in more else {}
        return subprocess.run(command, text=True, capture_output=True, timeout=60, env=environment, **given, **more)

    return call


@pytest.fixture
def invoke(folder: Path) -> Callable[..., Result]:
    """The same in this process, for commands that run nothing."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(program, arguments, obj=Streams(), standalone_mode=False)

    return invoke
