"""Runs one cell with a hard limit, applies the fault of its case, and counts what is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import descendants, memory_of
from mischief import BAD, FOLDER

HERE = Path(__file__).parent
LIMIT = 10.0
"""A run that hasn't returned so many seconds after the fault is stopped."""

PATIENCE = 60.0
"""Seconds until the fault must have happened: some libraries take long to come to record 5,000."""

SETTLING = 2.0
"""Seconds after the end in which processes may still leave."""

WATCHED = 8.0
"""Seconds a producer's memory is watched."""

TOO_MUCH = 3 * 2**30
"""A run that uses more bytes is stopped, to protect the machine."""


@dataclass(slots=True)
class Outcome:
    """What was seen. seconds: from the fault to the end of the process. peak: bytes of the whole tree (PSS)."""

    returned: bool = False
    seconds: float = 0.0
    status: int | None = None
    seen: int = 0
    doubled: int = 0
    ordered: bool = True
    error: str = ""
    stage_named: bool = False
    record_named: bool = False
    orphans: int = 0
    shared: int = 0
    peak: int = 0
    note: str = ""


def run(library: str, case: str, limit: float = LIMIT) -> Outcome:
    """One cell. Every process it leaves behind is counted, then ended."""
    shared_before = shared()
    with tempfile.TemporaryDirectory() as name, (Path(name) / "err").open("wb") as errors:
        folder = Path(name)
        child = subprocess.Popen(
            [sys.executable, str(HERE / "contender.py"), library, case],
            env=os.environ | {FOLDER: name, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"},
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
        outcome = Outcome()
        try:
            _watch(child, case, folder, outcome, limit)
        finally:
            _settle(child, folder, outcome)
        _read(folder, outcome)
    if outcome.status is not None:  # a run that we had to kill could not clean up
        outcome.shared = len(shared() - shared_before)
    return outcome


# While it runs


def _watch(child: subprocess.Popen[bytes], case: str, folder: Path, outcome: Outcome, limit: float) -> None:
    began, faulted = time.time(), 0.0
    while True:
        time.sleep(0.02)
        now = time.time()
        faulted = faulted or _fault(child, case, folder)
        if child.poll() is not None:
            outcome.returned, outcome.status = True, child.returncode
            outcome.seconds = max(0.0, now - faulted) if faulted else 0.0
            outcome.note = "" if faulted else "the fault never happened"
            return
        if case == "10 GB, slow consumer" and _watched(child, began, outcome):
            return
        if now - (faulted or began) > (limit if faulted else PATIENCE):
            outcome.note = "" if faulted else f"did not come to the fault in {PATIENCE:.0f} s"
            return
        if _memory(child) > TOO_MUCH:
            outcome.note = f"stopped at {TOO_MUCH >> 30} GiB"
            return


def _fault(child: subprocess.Popen[bytes], case: str, folder: Path) -> float:
    """When the fault happened, or 0. The faults that come from outside are made here."""
    if case in ("Ctrl-C", "parent killed") and len(_ids(folder)) >= 100:
        at = time.time()
        if case == "Ctrl-C":
            os.killpg(child.pid, signal.SIGINT)
        else:
            child.kill()
        return at
    try:
        return float((folder / "fault").read_text() or 0)
    except FileNotFoundError:
        return 0.0


def _watched(child: subprocess.Popen[bytes], began: float, outcome: Outcome) -> bool:
    """Look at the memory of the tree; whether it was long enough."""
    outcome.peak = max(outcome.peak, _memory(child))
    outcome.note = "still running, as it should"
    outcome.returned = True
    return time.time() - began > WATCHED


_looked: dict[int, tuple[float, int]] = {}


def _memory(child: subprocess.Popen[bytes]) -> int:
    """Bytes of the tree; looked at four times a second at most, for it takes its time."""
    at, found = _looked.get(child.pid, (0.0, 0))
    if time.monotonic() - at > 0.25:
        found = sum(memory_of(pid).pss for pid in (child.pid, *descendants(child.pid)))
        _looked[child.pid] = time.monotonic(), found
    return found


# Afterwards


def _settle(child: subprocess.Popen[bytes], folder: Path, outcome: Outcome) -> None:
    """Wait for processes to leave; then count those that stayed, and end them."""
    ours = child.poll() is None
    if not ours:
        until = time.monotonic() + SETTLING
        while time.monotonic() < until and list(_marked(folder)):
            time.sleep(0.05)
        outcome.orphans = len(list(_marked(folder)))
    for pid in [child.pid] * ours + list(_marked(folder)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.wait()


def _marked(folder: Path) -> Iterator[int]:
    """Processes started, directly or indirectly, by the cell with this folder."""
    mark = f"{FOLDER}={folder}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)
            except OSError:
                continue


def shared() -> set[str]:
    return {entry.name for entry in Path("/dev/shm").iterdir()}


def _read(folder: Path, outcome: Outcome) -> None:
    told = _report(folder)
    printed = (folder / "err").read_text(errors="replace") + told.get("trace", "")
    ids = _ids(folder)
    outcome.seen, outcome.doubled = len(ids), len(ids) - len(set(ids))
    outcome.ordered = list(ids) == sorted(ids)
    outcome.error = told.get("error", "")
    outcome.stage_named = "second" in printed or "no_setup" in printed
    outcome.record_named = re.search(rf"\b({BAD}|{BAD:,})\b", printed) is not None
    if not outcome.returned and told.get("ended") and not outcome.note:
        outcome.note = "the loop ended, the interpreter didn't"


def _report(folder: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((folder / "report.json").read_text())
    except FileNotFoundError:
        return {}
    return told


def _ids(folder: Path) -> array[int]:
    """The numbers of the records that came out, in the order in which they came."""
    ids = array("I")
    with suppress(FileNotFoundError):
        data = (folder / "ids").read_bytes()
        ids.frombytes(data[: len(data) // ids.itemsize * ids.itemsize])
    return ids
