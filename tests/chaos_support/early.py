"""A run that may end early: a chain and what happens to it. Its summary is compared with the files."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from chaos_support.case import Case
from chaos_support.family import send
from chaos_support.monkey import JITTER
from chaos_support.oracle import calm, exact
from chaos_support.outputs import BEFORE
from chaos_support.running import RESUME, Run, count, gone
from chaos_support.scenario import WORKERS, named, records

SINKS = ("jsonl", "lines", "csv", "append")
"""Those whose unfinished output can be counted."""

DEEDS = ("nothing", "interrupt", "interrupt", "terminate", "kill", "kill", "kill a worker")
POLICIES = ("fail", "skip", "dead_letter", "dead_letter")
STOPPED = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM}
FATES = ("out", "filtered", "skipped", "dead", "not_processed")
MOST_LIVES = 4


def case_of(seed: int, folder: Path) -> Case:
    """One to five stages of which some refuse records; what that means for the run is drawn too."""
    draw = Random(f"early {seed}")
    uses = draw.choices(["same", "plus", "twins", "most", "numbered", "deadly"], k=draw.choice([1, 2, 3, 4]))
    chain: list[dict[str, Any]] = [_stage(draw, use) for use in ["deadly", *uses]]
    draw.shuffle(chain)
    if draw.random() < 0.15:
        chain.append({"use": "take", "with": {"n": draw.choice([3, 30])}})
    elif draw.random() < 0.15:
        chain.append({"use": "count", "with": {"by": "key"}})
    return Case(
        folder=folder,
        stages=named(chain),
        records=records(draw, draw.choice([40, 200]), 0),
        sink=draw.choice(SINKS),
        run={
            "frame": draw.choice([1, 4, 16, "auto"]),
            "checkpoint": draw.choice(["5ms", "100ms"]),
            "grace": draw.choice(["10s", "10s", "1ms"]),
            "fuse": draw.choice(["off", "auto"]),
            "engine": draw.choice(["process", "process", "process", "inline"]),
        },
    )


def _stage(draw: Random, use: str) -> dict[str, Any]:
    if use == "numbered":
        return {"use": use}
    stage: dict[str, Any] = {"use": use, "workers": draw.choice(WORKERS)}
    if use == "deadly":
        stage |= {"with": {"pause": draw.choice([0, 0.001])}, "on_error": draw.choice(POLICIES)}
        if stage["on_error"] != "fail" and draw.random() < 0.2:
            stage["max_errors"] = draw.choice([0, 2])
    return stage


@dataclass(slots=True)
class Early:
    """One seed: a case and what is done to its first lives; `hit` counts how they ended. deeds: drawn where silent."""

    seed: int
    case: Case
    deeds: tuple[str, ...] = DEEDS
    more: dict[str, Any] = field(default_factory=dict)
    hit: Counter[str] = field(default_factory=Counter)

    def run(self) -> Counter[str]:
        """Life after life until one ends by itself, each summary held against the files."""
        self.case.write()
        draw = Random(f"deeds {self.seed}")
        for life in range(MOST_LIVES):
            deed = draw.choice(self.deeds) if life < MOST_LIVES - 1 else "nothing"
            code = self._live(deed, draw, RESUME if life else ())
            self.hit["lives"] += 1
            self.hit[f"exit {code}"] += 1
            if code in (0, 1, 3):
                break
        if code == 1:  # it fails at the same record again, and nothing is counted twice
            assert self._live("nothing", draw, RESUME) == 1
            self.hit["failed again"] += 1
        elif not any(stage["use"] == "take" for stage in self.case.stages):
            exact(self.case, self.case.expected())
        return self.hit

    def _live(self, deed: str, draw: Random, resume: tuple[str, ...]) -> int:
        aim, delay = count(self.case) + draw.choice([1, 10, 60]), draw.random() * JITTER
        with Run(self.case, *resume, **self.more) as run:
            if deed != "nothing" and run.wait_until(lambda: count(self.case) >= aim, "progress"):
                time.sleep(delay)  # chance, not synchronisation
                self._do(deed, run, draw)
            code = run.wait()
        gone(self.case, 5)
        calm(run)
        if code != -signal.SIGKILL:
            holds(self.case, run)
        return code

    def _do(self, deed: str, run: Run, draw: Random) -> None:
        if deed in STOPPED:
            send(run.pid, STOPPED[deed])
        elif deed == "kill":
            send(run.pid, signal.SIGKILL)
        elif workers := run.workers:
            send(draw.choice(workers), signal.SIGKILL)


def holds(case: Case, run: Run) -> None:
    """The summary, in JSON and in words, says what stands in the files."""
    where = f"{case.folder}\n{run.said[-3000:]}"
    summary, code = run.summary, run.process.returncode
    if not summary:  # ended by the watchdog, which has no time for one
        assert code > 128, where
        return
    told = summary["records"]
    written, letters = _lines(case), _count(case.letters)
    assert (summary["exit"], summary["ok"]) == (code, code == 0), where
    assert told["out"] == written, f"{told['out']} out, {written} written: {where}"
    assert told["dead"] == letters, f"{told['dead']} dead, {letters} letters: {where}"
    assert told["in"] <= len(case.records), where
    assert code != 0 or not told["dead"], where
    _balances(told, summary["stages"], where)
    _says_the_same(case, run, told, whole=code in (0, 3))


def _balances(told: dict[str, int], stages: list[dict[str, Any]], where: str) -> None:
    for entry in (told, *stages):
        assert entry["in"] + entry["created"] == sum(entry[fate] for fate in FATES), f"{entry}: {where}"
    for before, after in pairwise(stages):
        assert before["out"] == after["in"], where
    assert told["not_processed"] >= sum(stage["not_processed"] for stage in stages), where


def _says_the_same(case: Case, run: Run, told: dict[str, int], *, whole: bool) -> None:
    """The closing summary names no file that doesn't hold what it says, and counts as filtered what stages filtered."""
    head = next(
        (line for line in run.said.splitlines() if re.match(r"(done in|failed after|stopped after) ", line)), ""
    )
    assert head, run.said
    assert f"{told['in']:,} in" in head, head
    assert f"{told['out']:,} out" in head, head
    output, letters = (path.relative_to(case.folder) for path in (case.output, case.letters))
    assert (f" to {output}" in head) == (whole and case.output.exists()), head
    assert (str(letters) in head) == bool(told["dead"]), head
    assert ("not processed" in head) == bool(told["not_processed"]), head
    filters = {"twins", "most", "numbered", "count"}
    for stage in run.summary["stages"]:
        assert not stage["filtered"] or stage["name"].rpartition("-")[0] in filters, stage


def _lines(case: Case) -> int:
    """Records in the output, finished or not, however they are written there."""
    partial = case.output.with_name(f"{case.output.name}.partial")
    if case.sink == "append":
        return _count(case.output) - BEFORE.count(b"\n")
    number = _count(partial if partial.exists() else case.output)
    return max(0, number - 1) if case.sink == "csv" else number


def _count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
