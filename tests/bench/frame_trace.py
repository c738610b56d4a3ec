"""What one frame of JSON lines passes on its way through three plain stages: functions, files and calls, by process.

A cycle is what a process does from one frame to the next: a worker from reading one to reading the next, the parent
from taking one to taking the next. Of the cycles behind the first ones the one with the median number of calls counts.
Only functions of this project count.

usage: python frame_trace.py [--list]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import CodeType, FrameType

LINES = 300_000
CYCLES = 30
NAMES = ["first", "middle", "last"]
OURS = f"{os.sep}stagerunner"

PLUGIN = """
import frame_trace

from stagerunner import hookimpl, stage


@hookimpl
def stagerunner_stages():
    return [first, middle, last]


@hookimpl
def stagerunner_worker_started(stage, worker):
    frame_trace.worker(stage)


@stage
def first(record: dict) -> dict:
    return record


@stage
def middle(record: dict) -> dict:
    return record


@stage
def last(record: dict) -> dict:
    return record
"""


class Cycles:
    """Calls of our own functions, cut where a frame begins."""

    def __init__(self, place: Path, border: str) -> None:
        self._place = place
        self._border = border
        self._now: list[str] | None = None
        self._found: list[list[str]] = []

    def heard(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or OURS not in frame.f_code.co_filename:
            return
        name = named(frame.f_code)
        if name.endswith(self._border):
            if self._now is not None:
                self._found.append(self._now)
            self._now = []
            if len(self._found) == 2 * CYCLES:
                sys.setprofile(None)
                self._place.write_text(json.dumps(sorted(self._found[CYCLES:], key=len)[CYCLES // 2]))
        if self._now is not None:
            self._now.append(name)


def named(code: CodeType) -> str:
    return f"{code.co_filename[code.co_filename.rindex('stagerunner') :]}:{code.co_qualname}"


def worker(name: str) -> None:
    """Called in a worker before its first frame."""
    sys.setprofile(Cycles(Path(os.environ["TRACED"]) / name, "Inbound.only").heard)


def traced(folder: Path) -> dict[str, list[str]]:
    import stagerunner

    (folder / "stages.py").write_text(PLUGIN)
    with (folder / "in.jsonl").open("w") as lines:
        lines.writelines(
            f'{{"id":{number},"name":"customer {number % 997}","price":{number / 7}}}\n' for number in range(LINES)
        )
    chain = {"version": 1, "plugins": ["./stages.py"], "source": "in.jsonl", "stages": NAMES, "sink": "out.jsonl"}
    (folder / "chain.yaml").write_text(json.dumps(chain))
    sys.setprofile(Cycles(folder / "parent", "Receiving.receive").heard)
    stagerunner.run(folder / "chain.yaml")
    return {name: json.loads((folder / name).read_text()) for name in ("parent", *NAMES)}


def main() -> None:
    if "TRACED" not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"TRACED": folder, "PYTHONPATH": str(Path(__file__).parent)}
            sys.exit(subprocess.run([sys.executable, __file__, *sys.argv[1:]], env=environment, check=False).returncode)
    found = traced(Path(os.environ["TRACED"]))
    print("| process | functions | files | calls |\n|---|---|---|---|")
    for name, calls in found.items():
        print(row(name, calls))
        if "--list" in sys.argv:
            print("\n".join(f"    {call}" for call in calls))
    print(row("together", [call for calls in found.values() for call in calls]))


def row(name: str, calls: list[str]) -> str:
    files = {call.partition(":")[0] for call in calls}
    return f"| {name} | {len(set(calls))} | {len(files)} | {len(calls)} |"


if __name__ == "__main__":
    main()
