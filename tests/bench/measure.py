"""What the benches share: contenders taken in turns, medians with their spread, CPU and memory of a tree of processes.

Everything is a ratio of neighbours: in each round every contender runs once, in shuffled order, and the ratio is taken
within the round. What else the machine does then slows both alike.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process of every run would compile all modules

HERE = Path(__file__).parent
CORES = len(os.sched_getaffinity(0))


class Spread(NamedTuple):
    """The median, lowest and highest of several rounds."""

    median: float
    low: float
    high: float
    rounds: int

    def text(self, form: str = "{:.2f}") -> str:
        if self.rounds == 1:
            return form.format(self.median)
        return f"{form.format(self.median)} [{form.format(self.low)}–{form.format(self.high)}]"


def spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values), len(values))


class HasRate(Protocol):
    """What the result of a contender needs."""

    @property
    def rate(self) -> float: ...


Rated = TypeVar("Rated", bound=HasRate)


class Outcome(NamedTuple):
    """The costs of one run of one contender. amount: the work done, in the job's own unit."""

    amount: float
    seconds: float
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        return self.amount / self.seconds


def clocked(work: Callable[[], float]) -> Outcome:
    """Run it; `work` returns the amount. The CPU seconds are of this process and of the children it has reaped."""
    gc.collect()
    cpu, began = cpu_seconds(), time.perf_counter()
    amount = work()
    return Outcome(amount, time.perf_counter() - began, cpu_seconds() - cpu)


def in_turns(contenders: dict[str, Callable[[], Rated]], rounds: int, seed: int = 1) -> dict[str, list[Rated]]:
    """Each contender once a round, in an order shuffled anew for each."""
    order, dice = list(contenders), random.Random(seed)
    outcomes: dict[str, list[Rated]] = {name: [] for name in order}
    for number in range(rounds):
        dice.shuffle(order)
        for name in order:
            outcomes[name].append(contenders[name]())
            say(f"round {number + 1}/{rounds} {name}: {outcomes[name][-1].rate:,.0f}/s")
    return outcomes


def ratios(ours: list[Outcome], theirs: list[Outcome]) -> Spread:
    """How many times as fast we were, for each round."""
    return spread([mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)])


def rates(outcomes: list[Outcome]) -> Spread:
    return spread([outcome.rate for outcome in outcomes])


# The machine


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def descendants(root: int) -> list[int]:
    """All processes below `root`, itself not counted."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := parent_of(int(entry.name))):
            parents.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def parent_of(pid: int) -> int:
    """0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


class Memory(NamedTuple):
    """Bytes. pss: a page shared by n processes counts 1/n in each."""

    pss: int
    rss: int


def memory_of(pid: int) -> Memory:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return Memory(0, 0)
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
    return Memory(sizes.get("Pss", 0), sizes.get("Rss", 0))


def version_of(distribution: str) -> str:
    """Its version, or "" where it isn't installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


PEERS = (
    *("pypeln", "mpire", "joblib", "spdl-core", "gpupipe", "mpipe"),
    *("pyarrow", "polars", "duckdb", "datatrove", "daft", "ray", "bytewax"),
)


def machine() -> str:
    """Processor, memory, system and versions, in one paragraph."""
    model = next((line.split(":")[1].strip() for line in lines_of("/proc/cpuinfo") if "model name" in line), "?")
    memory = int(next(line.split()[1] for line in lines_of("/proc/meminfo") if line.startswith("MemTotal"))) / 2**20
    known = [("stagerunner", version_of("stagerunner"))]
    known += [(name, version_of(name)) for name in ("numpy", "msgspec", *PEERS)]
    versions = ", ".join(f"{name} {version}" for name, version in known if version)
    absent = ", ".join(name for name, version in known if not version)
    missing = f" Not installed, so not measured: {absent}." if absent else ""
    load = os.getloadavg()[0]
    return (
        f"{CORES} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"CPython {platform.python_version()}; {versions}.{missing} Load at the start: {load:.1f}."
    )


def lines_of(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


# The table


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a job's table. ratio: ours against theirs; aim: the least it should be; met: whether it is, if that
    is judged."""

    what: str
    ours: str
    theirs: str
    ratio: str = ""
    aim: str = ""
    met: bool | None = None

    def text(self) -> str:
        cells = (self.what, self.ours, self.theirs, self.ratio, self.aim)
        return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in cells)} |"


HEAD = "| measured | stagerunner | against | ratio | aim |\n|---|---|---|---|---|"


def present(title: str, rows: Callable[[bool], Iterator[Row]]) -> None:
    """The `main` of every job: prints its rows as a table on stdout, and the progress on stderr."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer rounds")
    arguments = parser.parse_args()
    print(f"### {title}\n\n{HEAD}", flush=True)
    judged = []
    for row in rows(arguments.quick):
        print(row.text(), flush=True)
        judged += [row] if row.met is not None else []
    print("".join(f"\n* {verdict(row)}" for row in judged), flush=True)


def verdict(row: Row) -> str:
    """ "NOT met: … mean batch: 0.85 (≥ 0.9 of its size)": in plain words, for a line that is judged."""
    figure = row.ratio or row.ours
    return f"{'met' if row.met else 'NOT met'}: {row.what}: {figure} (aim: {row.aim})"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def kilo(rates: Spread, unit: str = "k/s") -> str:
    return Spread(rates.median / 1e3, rates.low / 1e3, rates.high / 1e3, rates.rounds).text("{:,.1f}") + f" {unit}"


# Contenders that need a process of their own


def elsewhere(script: str, *arguments: str, limit: float = 300) -> Outcome | None:
    """An Outcome from a fresh interpreter: peers change the start method or start processes at import.

    None if it failed or took too long; why is said on stderr. CPU seconds are of its whole tree.
    """
    command = [sys.executable, str(HERE / script), *arguments]
    before = os.times()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            output, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            say(f"{' '.join(arguments)}: not done within {limit:.0f} s")
            return None
    after = os.times()
    if child.returncode:
        say(f"{' '.join(arguments)}: exit {child.returncode}")
        return None
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Outcome(told["amount"], told["seconds"], cpu)


def tell(outcome: Outcome) -> None:
    """Print an outcome as the last line of a script that `elsewhere` runs."""
    print(json.dumps(outcome._asdict()))


# Pages


BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


def put_between(page: Path, text: str) -> None:
    """Put the text between the two marks of a page. Raises ValueError if they aren't there."""
    before, _, after = _parted(page)
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}")


def put_tables(page: Path, tables: list[str], where: str) -> None:
    """Put each table in the place of the one with the same letter, or behind the last. where: a paragraph under its
    heading, since the others are of another day. Raises ValueError if the page has no marks."""
    _, measured, _ = _parted(page)
    kept = {part[:6]: part.strip() for part in re.split(r"(?m)^(?=### )", measured)}
    for table in tables:
        title, _, rest = table.strip().partition("\n")
        kept[title[:6]] = f"{title}\n\n{where}\n{rest}".strip()
    put_between(page, "\n\n".join(kept.values()))


def _parted(page: Path) -> tuple[str, str, str]:
    """What stands before the marks of a page, between them, and behind."""
    before, begin, rest = page.read_text().partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for figures: {BEGIN} … {END}")
    return before, between, after
