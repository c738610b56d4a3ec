"""A folder with a plugin file and a config in it, as a user would have it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent
from typing import Any

from stagerunner import Chain, load
from stagerunner.api import Request, Results, prepare
from stagerunner.plan import Plan

PARTS = "parts.py"
CONFIG = "chain.yaml"

HEAD = """
import os, signal, sys, time
from pathlib import Path
from stagerunner import count, enough, sink, source, stage, Reject

def once(name):
    "Whether this is the first call with that name; remembered across processes."
    try:
        os.close(os.open(Path(__file__).parent / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

def tell(name, text=""):
    "Leave a file with that text, whole or not at all."
    place = Path(__file__).parent / name
    beside = place.with_suffix(f".{os.getpid()}")
    beside.write_text(str(text))
    beside.rename(place)

def wait_for(name):
    while not (Path(__file__).parent / name).exists():
        time.sleep(0.002)

def parent():
    "The run's own process: the fork server's parent."
    return int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(") ")[2].split()[1])

@stage
def same(record):
    return record

@stage
def double(record):
    return record * 2
"""


class Project:
    """`plugin` and `config` write the files; `load`, `results` and `cli` run them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Any] = []
        self.plugin("")

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def plugin(self, code: str) -> Path:
        """A plugin file with these parts besides `same` and `double`."""
        return self.write(PARTS, HEAD + dedent(code))

    def write(self, name: str, text: str) -> Path:
        path = self / name
        path.write_text(text)
        return path

    def config(self, *stages: str | dict[str, Any], **keys: Any) -> Path:
        """A config file with these stages; JSON is YAML."""
        whole = {"version": 1, "plugins": [f"./{PARTS}"], "stages": list(stages), **keys}
        return self.write(CONFIG, json.dumps(whole))

    def load(self, *stages: str | dict[str, Any], engine: str | None = None, **keys: Any) -> Chain:
        return load(self.config(*stages, **keys), engine=engine)

    def plan(self, *stages: str | dict[str, Any], **keys: Any) -> Plan:
        """The plan of a run from source to sink, as the command makes it."""
        return prepare(self.config(*stages, **keys)).plan

    def results(self, *stages: str | dict[str, Any], records: Iterable[Any] | None = None, **keys: Any) -> Results:
        """Start a run; the events that observers get are collected in `events`."""
        chain = self.load(*stages, **keys)
        return Results(chain.plan, self.events.append, records)

    def execute(self, *stages: str | dict[str, Any], allow_dead_letters: bool = True, **keys: Any) -> Any:
        """Run it from source to sink; returns the summary."""
        request = Request(allow_dead_letters=allow_dead_letters)
        return prepare(self.config(*stages, **keys), request).execute(self.events.append)

    def told(self, kind: type) -> list[Any]:
        """The events of this kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def cli(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
        """Run `stagerunner ARGUMENTS` in the folder to its end."""
        return subprocess.run(command(*arguments), cwd=self.folder, capture_output=True, timeout=60, **more)

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start `stagerunner ARGUMENTS` in the folder, in a process group of its own."""
        piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        return subprocess.Popen(command(*arguments), cwd=self.folder, process_group=0, env=environment(), **piped)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stagerunner", *arguments]


def environment() -> dict[str, str]:
    """Our environment, without variables that change how things are drawn."""
    return {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR")}
