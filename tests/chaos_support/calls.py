"""SIGKILL of the parent at its n-th call of the system, by strace; only the parent is traced."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos_support.case import Case, Outcome
from chaos_support.oracle import calm, done
from chaos_support.running import RESUME, Run, gone

CALLS = {
    "write": ("write", "writev"),
    "pwrite64": ("pwrite64",),
    "fsync": ("fsync",),
    "fdatasync": ("fdatasync",),
    "rename": ("rename", "renameat", "renameat2"),
    "ftruncate": ("ftruncate",),
    "unlink": ("unlink", "unlinkat"),
    "openat": ("openat",),
    "clone": ("clone", "clone3", "vfork", "fork"),
    "close": ("close",),
}
"""Name of a point, and its system calls."""

_LINE = re.compile(r"^(?:\d+ +)?(\w+)\(")


@dataclass(frozen=True, slots=True)
class Point:
    """The n-th call of this name in the parent."""

    config: str
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.config}, {self.call} {self.number}"


def traced(strace: str, case: Case) -> dict[str, range]:
    """Which numbers of each call lie behind the first look at the output: what is before has only read.

    And the birth of the fork server, which comes up while the parent reads on.
    """
    log = case.folder / "trace"
    run = Run(case, wrapper=(strace, "-o", str(log), "-e", f"trace={_names(*CALLS)}", "-s", "300"))
    with run:
        assert run.wait() in (0, 3), run.said
    return _numbers(log, case.out)


def _numbers(log: Path, out: Path) -> dict[str, range]:
    counts, first = dict.fromkeys(CALLS, 0), dict[str, int]()
    begun = False
    for line in log.read_text(errors="replace").splitlines():
        begun = begun or f"{out}/" in line
        call = _call(line)
        if call is None:
            continue
        counts[call] += 1
        if begun or call == "clone":
            first.setdefault(call, counts[call])
    return {call: range(first[call], counts[call] + 1) for call in first}


def _call(line: str) -> str | None:
    match = _LINE.match(line)
    return next((call for call, names in CALLS.items() if match and match[1] in names), None)


def _names(*calls: str) -> str:
    return ",".join(name for call in calls for name in CALLS[call])


def chosen(numbers: dict[str, range], most: int) -> list[tuple[str, int]]:
    """So many points, the rare calls whole, the frequent ones spread evenly."""
    left, points = most, list[tuple[str, int]]()
    rarest = sorted(numbers, key=lambda call: len(numbers[call]))
    for place, call in enumerate(rarest):
        some = spread(numbers[call], left // (len(rarest) - place))
        left -= len(some)
        points += [(call, number) for number in some]
    return points


def spread(numbers: range, most: int) -> Sequence[int]:
    """The first, the last, and evenly what is between."""
    if len(numbers) <= most:
        return numbers
    return [numbers[round(place * (len(numbers) - 1) / max(1, most - 1))] for place in range(most)]


def kill_at(strace: str, case: Case, point: Point, expected: Outcome) -> bool:
    """Kill at the point, resume, and hold it to the oracle; whether the point was reached."""
    injected = f"inject={_names(point.call)}:signal=SIGKILL:when={point.number}"
    wrapper = (strace, "-o", "/dev/null", "-e", f"trace={_names(point.call)}", "-e", injected)
    with Run(case, wrapper=wrapper) as run:
        code = run.wait()
    gone(case, 5)
    calm(run)
    with Run(case, *RESUME) as run:
        done(case, run, expected)
    return code in (-signal.SIGKILL, 128 + signal.SIGKILL)
