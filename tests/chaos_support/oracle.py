"""The checks that every run has to pass, whatever was done to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from chaos_support.case import Case, Outcome
from chaos_support.running import Run, gone

SHARED = Path("/dev/shm")
OURS = ("Traceback (most recent call last)", "error[internal]", "InternalError")
"""Words that a user must never see."""


def exact(case: Case, expected: Outcome) -> None:
    """Output and dead letters are those of a run without faults."""
    got = case.got()
    assert got.letters == expected.letters, (
        f"dead letters of {case.folder}: {_difference(expected.letters, got.letters)}"
    )
    assert got.output == expected.output, f"output of {case.folder}: {_difference(expected.output, got.output)}"


def nothing_left(case: Case, seconds: float = 3.0) -> None:
    """What is left after a run that came to its end: output, dead letters and journal, and nothing else."""
    _only(case, _lasting(case), seconds)
    hidden = [path.name for path in case.out.glob("*/.*") if not path.name.endswith(".stagerunner")]
    assert hidden == [], f"left over below {case.out}: {hidden}"


def left_over(case: Case, seconds: float = 3.0) -> None:
    """What is left after one that did not: what --resume needs, SQLite's files beside the journal included."""
    lasting = _lasting(case)
    beside = {f"{base}-{what}" for base in lasting for what in ("wal", "shm", "journal")}
    _only(case, lasting | {f"{name}.partial" for name in case.outputs} | beside, seconds)


def _only(case: Case, allowed: set[str], seconds: float) -> None:
    """No process, no shared memory, no temporary file, no file but those allowed."""
    gone(case, seconds)
    files = {path.name for path in case.out.iterdir()}
    assert files <= allowed, f"left over in {case.out}: {sorted(files - allowed)}"
    assert list(case.temporary.iterdir()) == [], f"temporary files of {case.folder}"
    assert shared() == [], "shared memory is left over"


def _lasting(case: Case) -> set[str]:
    return {case.letters.name, *case.outputs, *(f".{name}.stagerunner" for name in case.outputs)}


def shared() -> list[str]:
    """Entries of shared memory that a run of ours could have made, since the tests began."""
    return sorted(_shared() - _THERE)


def _shared() -> set[str]:
    return {name for name in os.listdir(SHARED) if "stagerunner" in name} if SHARED.exists() else set()


_THERE = _shared()
"""What others left there, or keep there, is no concern of the tests."""


def done(case: Case, run: Run, expected: Outcome) -> None:
    """The run came to its end, and everything is as if nothing had happened."""
    assert run.wait() == (3 if expected.letters else 0), (
        f"exit {run.process.returncode} in {case.folder}\n{run.said[-3000:]}"
    )
    calm(run)
    exact(case, expected)
    nothing_left(case)


def calm(run: Run) -> None:
    """No traceback of ours, and no message about an internal error."""
    assert not any(text in run.said for text in OURS), run.said[-3000:]
    assert run.process.returncode != 70, run.said[-3000:]


def _difference(expected: Any, got: Any) -> str:
    if isinstance(expected, dict) and isinstance(got, dict):
        name = next(name for name in {**expected, **got} if expected.get(name) != got.get(name))
        return f"{name}: {_difference(expected.get(name), got.get(name))}"
    if isinstance(expected, bytes) and isinstance(got, bytes):
        expected, got = expected.splitlines(), got.splitlines()
    if not (isinstance(expected, list) and isinstance(got, list)):
        return f"expected {str(expected)[:500]}, got {str(got)[:500]}"
    at = next((n for n, pair in enumerate(zip(expected, got)) if pair[0] != pair[1]), min(len(expected), len(got)))
    return f"{len(expected)} expected, {len(got)} got; at {at}: {expected[at : at + 3]} against {got[at : at + 3]}"
