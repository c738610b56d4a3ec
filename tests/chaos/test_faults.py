"""A system call of the parent fails: the run ends well all the same, or cleanly, and --resume makes it exact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chaos_support.case import Case
from chaos_support.oracle import calm, done, left_over
from chaos_support.outputs import OUTPUTS
from chaos_support.parallel import in_parallel, report
from chaos_support.running import RESUME, Run, wrapped
from chaos_support.scenario import named

pytestmark = [pytest.mark.reliability("system call faults"), pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Fault:
    """As chaos_support.shim has it. sink: the output it happens to."""

    call: str
    error: str
    when: str
    sink: str = "jsonl"

    def __str__(self) -> str:
        return f"{self.call} {self.error} {self.when} {self.sink}"


def _faults(call: str, errors: str, whens: str, sinks: str = "jsonl") -> list[Fault]:
    return [Fault(call, e, w, s) for e in errors.split() for w in whens.split() for s in sinks.split()]


FAULTS = [
    *_faults("file write", "ENOSPC EIO short", "1 3+", "jsonl gz"),
    *_faults("write", "ENOSPC EIO short", "1 1+"),
    *_faults("fsync", "EIO ENOSPC", "1 4"),
    *_faults("file truncate", "EIO", "1"),
    *_faults("ftruncate", "EIO", "1 2"),
    *_faults("rename", "EIO EACCES ENOSPC", "1"),
    *_faults("open", "EMFILE EACCES ENOSPC", "1"),
    *_faults("pipe", "EMFILE", "1 2 5 7"),
    *_faults("memfd_create", "EMFILE ENOMEM", "1"),
    *_faults("popen", "EAGAIN ENOMEM", "1"),
    *_faults("writev", "EAGAIN EPIPE EIO", "1 4"),
    *_faults("readv", "EAGAIN ECONNRESET EIO", "2 5"),
    *_faults("database", "full", "1 4 6 8 9 11+", "jsonl sqlite"),
]

ERRORS = {
    "file write": "ENOSPC EIO short",
    "write": "ENOSPC EIO short",
    "fsync": "EIO ENOSPC",
    "file truncate": "EIO",
    "ftruncate": "EIO",
    "rename": "EIO EACCES ENOSPC",
    "open": "EMFILE EACCES ENOSPC",
    "pipe": "EMFILE",
    "memfd_create": "EMFILE ENOMEM",
    "popen": "EAGAIN ENOMEM",
    "writev": "EAGAIN EPIPE EIO",
    "readv": "EAGAIN ECONNRESET EIO",
    "database": "full",
}
"""Every call of the shim, and every way in which the system refuses it."""

PASSING = ("EAGAIN", "EPIPE", "ECONNRESET")
"""Errors that no system returns forever for a descriptor that is ready."""

FIRST = " ".join(map(str, range(1, 13)))

EVERY = [
    fault
    for call, errors in ERRORS.items()
    for error in errors.split()
    for fault in _faults(call, error, FIRST if error in PASSING else f"{FIRST} 1+ 3+ 11+", " ".join(OUTPUTS))
]

INTERRUPTED = ("write", "writev", "readv", "pwrite64", "recvfrom", "epoll_wait")
"""Calls that are interrupted in the kernel, by strace: Python itself begins them anew."""


def _case(folder: Path, sink: str) -> Case:
    records = [{"key": "a", "value": number, "deed": "kill" if number in (30, 90) else ""} for number in range(120)]
    chain = [{"use": "numbered"}, {"use": "deadly", "with": {"harmless": True}, "on_error": "dead_letter"}]
    run = {"frame": 4, "checkpoint": "1ms", "window": "1KiB", "durability": "power"}
    return Case(folder, named(chain), records, sink, run)


def _well_or_resumable(case: Case, **how: Any) -> int:
    """Exit status of the run with the fault."""
    expected = case.write().expected()
    with Run(case, **how) as run:
        code = run.wait()
    calm(run)
    left_over(case)
    assert code in (1, 3, 75), f"exit {code}\n{run.said[-2000:]}"
    with Run(case, *RESUME) as run:
        done(case, run, expected)
    return code


def test_a_refusal_ends_well_or_cleanly(folder, full, proved):
    def examine(fault: Fault) -> int:
        shim = wrapped("shim", fault.call, fault.error, fault.when)
        return _well_or_resumable(_case(folder / str(fault), fault.sink), **shim)

    codes, failures = in_parallel(EVERY if full else FAULTS, examine)

    proved(cells=len(codes), survived=sum(code == 3 for code in codes.values()))
    assert not failures, report(failures, "CHAOS_KEEP=1 pytest tests/chaos/test_faults.py")
    assert {1, 3, 75} >= set(codes.values()) >= {3, 75}, "some are survived, some are not"
    harmless = [fault for fault in codes if fault.error in ("short", "EAGAIN") and fault.call != "popen"]
    assert all(codes[fault] == 3 for fault in harmless)


def test_an_interrupted_call_changes_nothing(folder, strace, proved):
    def examine(call: str) -> int:
        wrapper = (strace, "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EINTR:when=3+5")
        return _well_or_resumable(_case(folder / f"EINTR {call}", "jsonl"), wrapper=wrapper)

    codes, failures = in_parallel(INTERRUPTED, examine)

    proved(cells=len(codes), survived=sum(code == 3 for code in codes.values()))
    assert not failures, report(failures, "CHAOS_KEEP=1 pytest tests/chaos/test_faults.py")
    assert set(codes.values()) == {3}
