"""A long input, with a process killed at 20, 40, 60 and 80 % of it: memory and descriptors don't grow."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from pathlib import Path
from signal import SIGKILL
from typing import NamedTuple
from zlib import crc32

import pytest
from chaos_support.case import PARTS, Case
from chaos_support.family import send
from chaos_support.running import RESUME, Run, gone
from support.leaks import needs_proc
from support.processes import descriptors

LINES = 100_000
LINE = 1000
"""Bytes of a line; a file of the input has LINES of them, and all files are one."""

MEGABYTE = 10**6
SIZE = 500 * MEGABYTE
FULL = 100_000 * MEGABYTE

WINDOW = 8 * 2**20
GROWTH = 24 * 2**20 + 2 * WINDOW
"""Bytes a process may grow after it was first looked at; a leak of what passes through it would be far more."""

VICTIMS = ((0.2, "worker"), (0.4, "fork_server"), (0.6, "parent"), (0.8, "worker"))

pytestmark = [needs_proc, pytest.mark.reliability("soak"), pytest.mark.timeout(300)]


class Expected(NamedTuple):
    """Bytes of the output, and their digest."""

    size: int
    digest: str


def _input(folder: Path, files: int) -> Expected:
    """Files of lines, links to the first of them; what is to come out: every sixteenth line, number and checksum."""
    lines = [b"%08d %s\n" % (number, b"x" * (LINE - 10)) for number in range(LINES)]
    folder.mkdir(parents=True)
    (folder / "0.txt").write_bytes(b"".join(lines))
    for number in range(1, files):
        os.link(folder / "0.txt", folder / f"{number}.txt")
    whole, passed = b"".join(lines).replace(b"\n", b"").upper(), b"".join(lines[15::16]).upper()
    digest, total = hashlib.sha256(), 0
    for _ in range(files):
        digest.update(passed)
        total = crc32(whole, total)
    last = b"%d %08x\n" % (files * LINES, total)
    digest.update(last)
    return Expected(files * len(passed) + len(last), digest.hexdigest())


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path / "case", [], [])
    case.temporary.mkdir(parents=True)
    config = {
        "version": 1,
        "plugins": [str(PARTS)],
        "source": "in/*.txt",
        "stages": ["text.strip", {"use": "text.upper", "workers": 2}, "summed"],
        "sink": {"use": "lines", "with": {"path": str(case.output)}},
        "run": {"window": WINDOW, "checkpoint": "100ms"},
    }
    case.config.write_text(json.dumps(config))
    return case


class Watch:
    """One life of the command: its progress, and the sizes of its processes at each point."""

    def __init__(self, run: Run, size: int) -> None:
        self.run, self._size = run, size
        self.memory: defaultdict[int, list[int]] = defaultdict(list)
        self.descriptors: defaultdict[int, list[int]] = defaultdict(list)

    def until(self, share: float) -> None:
        """A look at every hundredth of the output, up to this share of it."""
        while not self.run.over and (done := self._written() / self._size) < share:
            self.run.wait_until(lambda: self._written() >= (done + 0.01) * self._size, "progress")
            for pid in (self.run.pid, *self.run.workers):
                self._look_at(pid)

    def kill(self, victim: str) -> None:
        pid = {"worker": self.run.workers[0], "fork_server": self.run.fork_server, "parent": self.run.pid}[victim]
        assert pid is not None
        assert send(pid, SIGKILL)

    def _look_at(self, pid: int) -> None:
        try:
            resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            self.descriptors[pid].append(len(descriptors(pid)))
            self.memory[pid].append(resident * os.sysconf("SC_PAGESIZE"))
        except OSError:
            return  # it has ended

    def _written(self) -> int:
        output = self.run.case.output
        found = [path for path in (output, output.with_name(f"{output.name}.partial")) if path.exists()]
        return max((path.stat().st_size for path in found), default=0)


def test_memory_and_descriptors_stay_flat(case, full, proved):
    files = (FULL if full else SIZE) // (LINES * LINE)
    expected = _input(case.folder / "in", files)
    lives, victims = [], list(VICTIMS)

    for arguments in ((), RESUME):
        with Run(case, *arguments) as run:
            lives.append(watch := Watch(run, expected.size))
            while victims and not run.over:
                share, victim = victims.pop(0)
                watch.until(share)
                watch.kill(victim)
                if victim == "parent":
                    run.wait()
            watch.until(0.99)
            code = run.wait()
        gone(case, 5)

    assert code == 0, run.said
    with open(case.output, "rb") as output:
        assert hashlib.file_digest(output, "sha256").hexdigest() == expected.digest
    assert run.summary["restarts"] == 1
    for life in lives:
        grown = {pid: max(sizes) - sizes[0] for pid, sizes in life.memory.items()}
        assert max(grown.values()) < GROWTH, f"memory of {life.run.pid} and its workers: {dict(life.memory)}"
        numbers = {pid: max(numbers) - numbers[0] for pid, numbers in life.descriptors.items()}  # fewer, as it ends
        assert max(numbers.values()) <= 2, f"descriptors of {life.run.pid} and its workers: {dict(life.descriptors)}"
    megabytes = files * LINES * LINE // MEGABYTE
    proved(megabytes=megabytes, kills=len(VICTIMS), looks=_looks(lives), KiB_grown_at_most=_growth(lives))


def _looks(lives: list[Watch]) -> int:
    return sum(len(sizes) for life in lives for sizes in life.memory.values())


def _growth(lives: list[Watch]) -> int:
    """The largest growth of any process, in KiB."""
    return max(max(sizes) - sizes[0] for life in lives for sizes in life.memory.values()) // 1024
