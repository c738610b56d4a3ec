from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

PARTS = """
import os, signal
from pathlib import Path
from stagerunner import stage

def once(name):
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

@stage
def deadly(record, *, field: str = "n", at: int):
    "Its worker dies at this record, once."
    if record.get("record", record)[field] == at and once("died in the middle"):
        os.kill(os.getpid(), signal.SIGKILL)
    return record

@stage
def fatal(record, *, field: str = "n", at: int):
    "The whole run dies at this record, once."
    if record.get("record", record)[field] == at and once("the run died"):
        parent = int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(") ")[2].split()[1])
        os.kill(parent, signal.SIGKILL)
    return record
"""
COUNTING = f"{sys.executable} {Path(__file__).parent / 'counting_tap.py'}"
SCRIPTS = Path(sysconfig.get_path("scripts"))


class Place:
    """A folder in which chains are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "parts.py").write_text(PARTS)

    def chain(self, source: Any, *stages: Any, sink: Any = "out.jsonl", **more: Any) -> None:
        whole = {
            "version": 1,
            "plugins": ["./parts.py"],
            "source": source,
            "stages": list(stages),
            "sink": sink,
            **more,
        }
        (self.folder / "chain.yaml").write_text(json.dumps(whole))

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stagerunner", "run", "chain.yaml", *flags]
        path = os.pathsep.join((str(SCRIPTS), os.environ["PATH"]))
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=120, env={**os.environ, "PATH": path}
        )

    def out(self, name: str = "out.jsonl") -> list[Any]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def counting(self, *, stop: int = 600, streams: Any = ("numbers", "fives"), **how: Any) -> dict[str, Any]:
        """The source that runs the counting tap. how: its config, and options of the source."""
        options = {key: how.pop(key) for key in ("resume", "schema") if key in how}
        config = {"stop": stop, "died": str(self.folder / "died"), **how}
        streams = {} if streams is None else {"streams": list(streams)}
        return {"use": "singer", "with": {"command": COUNTING, "config": config, **streams, **options}}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)
