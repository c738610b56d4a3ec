"""The conformance suite of engines: chains that give the same with every engine, byte for byte.

    from stagerunner.testing.engines import CASES

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_the_engine_conforms(case, tmp_path):
        case.check("my-engine", tmp_path)

A case is run with the engine `inline`, or `process` where it needs what inline can't do, and with the engine that is
tested. Output, dead letters, dropped records and the ledger have to be equal. Each run has its own folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Struct

from stagerunner.api import prepare
from stagerunner.errors import StagerunnerError
from stagerunner.events import Summary
from stagerunner.hookspecs import EngineSpec
from stagerunner.plan.preparing import Request

PARTS = """
import asyncio, os, signal, time
from pathlib import Path
from stagerunner import Drop, Reject, count, enough, hookimpl, stage


@stage
def small(record) -> object | None:
    return record if record % 3 else None


@stage
def repeat(record):
    for number in range(record % 4):
        yield record + number


@stage
def widen(record):
    return "x" * 3000 + str(record)


@stage.batch
def doubled(records):
    return [record * 2 for record in records]


@stage.batch
def fewer(records) -> list[int | None]:
    return [record if record % 5 else None for record in records]


@stage.batch(many=True)
def spread(records):
    count("spread", len(records))
    return [list(range(record % 3)) for record in records]


@stage
async def asked(record):
    await asyncio.sleep(record % 3 / 1000)
    return record + 1


@stage.batch
async def asked_batch(records) -> list[int | None]:
    await asyncio.sleep(0)
    return [None if record % 7 == 5 else record + 1 for record in records]


@stage
class Meeting:
    def setup(self):
        self.met = asyncio.Barrier(4)  # each call waits for three others

    async def process(self, record):
        await asyncio.wait_for(self.met.wait(), 20)
        return record


@stage.batch
def full(records):
    if len(records) < 10:
        raise ValueError(f"only {len(records)}")
    return records


@stage
def fussy(record):
    count("looked at")
    if record % 11 == 4:
        raise ValueError(f"{record} will not do")
    return record


@stage.batch
def fussy_batch(records):
    if any(record % 13 == 6 for record in records):
        raise Reject("one of them will not do")
    return records


@stage
def picky(record):
    yield record
    if record % 7 == 3:
        raise Drop(f"{record} is too odd")


@stage.batch
def picky_batch(records):
    if any(record % 19 == 7 for record in records):
        raise Drop("one of them is too odd")
    return records


class Rooted:
    def __reduce__(self):
        raise TypeError("I stay here")

    def __repr__(self):
        return "Rooted()"


@stage
def unsendable(record):
    return Rooted() if record % 17 == 3 else record


@stage
class Sum:
    def __init__(self):
        self.sum = 0

    def process(self, record):
        self.sum += record
        return self.sum

    def flush(self):
        yield self.sum
        yield 0

    def snapshot(self):
        return self.sum

    def restore(self, data):
        self.sum = data


@stage.batch
class Running:
    def __init__(self):
        self.sum = 0

    def process_batch(self, records):
        return [self.add(record) for record in records]

    def add(self, record):
        self.sum += record
        return self.sum

    def flush(self):
        yield self.sum

    def snapshot(self):
        return self.sum

    def restore(self, data):
        self.sum = data


@stage
class Plus:
    def __init__(self, *, number: int = 1):
        self.number = number

    def process(self, record):
        return record + self.number


@stage(state=True)
def alternate(record, *, seen=[]) -> object | None:
    seen.append(record)
    return record if len(seen) % 2 else None


@stage
def slower(record):
    time.sleep(0.004)
    return record


@stage
def tries(record, *, times: int = 2):
    mark = Path(f"tried-{record}")
    with mark.open("a") as file:
        file.write(".")
    if record % 5 == 0 and mark.stat().st_size < times:
        raise OSError("not yet")
    return record


@stage
def paid(record):
    with open("paid", "a") as file:
        file.write(f"{record}\\n")
    count("usd", 1)
    return record * 10


@stage
def deadly(record):
    if record == 37:
        os.kill(os.getpid(), signal.SIGKILL)
    return record


@stage
async def deadly_call(record):
    await asyncio.sleep(0.002)
    return deadly(record)


@stage
def deadly_once(record):
    if record == 23 and not os.path.exists("died"):
        open("died", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return record


@stage
def hanging(record):
    if record == 41:
        time.sleep(600)
    return record


@stage
def where(record):
    return os.environ["WHERE"]


@stage
class Unready:
    def setup(self):
        raise RuntimeError("no model here")

    def process(self, record):
        return record
"""
"""A plugin file: stages of every form, on whole numbers."""

KILLS, HARD_TIMEOUTS, AHEAD = "kills", "hard_timeouts", "ahead"
"""What an engine may be able to do; the names are those of EngineSpec."""


class Outcome(Struct, frozen=True):
    """Everything that can be seen of a run. error: how it ended, if not well. files: name → content. ledger: per stage.
    counts: end to end."""

    error: str
    files: dict[str, str]
    ledger: list[tuple[Any, ...]]
    counts: dict[str, int]


class Case(Struct, frozen=True):
    """A chain. stages: as in a config; keys: of the config. needs: what the engine has to be able to do. again: it is
    run a second time over what the first run left. loose: only the output and the end are compared."""

    name: str
    stages: tuple[Any, ...]
    records: int = 120
    keys: dict[str, Any] = {}
    needs: frozenset[str] = frozenset()
    again: bool = False
    loose: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def reference(self) -> str:
        """The engine of ours that others are held against."""
        return "process" if self.needs else "inline"

    def suits(self, engine: EngineSpec) -> bool:
        """Whether the engine can do what it needs."""
        return all(getattr(engine, need) for need in self.needs)

    def check(self, engine: str | dict[str, Any], folder: Path) -> None:
        """Run it with this engine and with one of ours, and compare. Raises AssertionError if they differ."""
        reference = self.reference
        expected, found = (self.run(one, folder / name) for one, name in ((reference, "expected"), (engine, "found")))
        for aspect in ("error", "files") if self.loose else Outcome.__struct_fields__:
            ours, theirs = getattr(expected, aspect), getattr(found, aspect)
            assert theirs == ours, f"{aspect} of {self.name}: {theirs!r}, where {reference} has {ours!r}"

    def run(self, engine: str | dict[str, Any], folder: Path) -> Outcome:
        """Run it in a new folder."""
        folder.mkdir()
        (folder / "parts.py").write_text(PARTS)
        config = {
            "version": 1,
            "plugins": ["./parts.py"],
            "source": {"use": "range", "with": {"stop": self.records}},
            "stages": list(self.stages),
            "sink": "out.jsonl",
            "dead_letter": "failed.jsonl",
            "dropped": "dropped.jsonl",
            **self.keys,
        }
        config = {key: value for key, value in config.items() if value is not None}
        config["run"] = {"engine": engine, **self.keys.get("run", {})}
        (folder / "chain.yaml").write_text(json.dumps(config))
        outcome = _executed(folder)
        return _executed(folder) if self.again else outcome


def _executed(folder: Path) -> Outcome:
    """Run the chain in the folder, which is the current one meanwhile."""
    error, summary = "", None
    with chdir(folder):
        try:
            summary = prepare(Path("chain.yaml"), Request(allow_dead_letters=True)).execute()
        except StagerunnerError as raised:
            error = f"{raised.exit_code} {type(raised).__name__}: {str(raised).splitlines()[0]}"
    told = ("out.jsonl", "0.jsonl", "1.jsonl", "failed.jsonl", "dropped.jsonl", "paid")
    files = {name: _text(path) for name in told if (path := _written(folder / name)) is not None}
    return Outcome(error, files, _ledger(summary), summary.records if summary else {})


def _written(path: Path) -> Path | None:
    """The file, or what a run that ended early has left of it."""
    return next((one for one in (path, path.with_name(f"{path.name}.partial")) if one.exists()), None)


def _text(path: Path) -> str:
    """The file's text, without the paths and lines of code in dead letters."""
    if path.name == "paid":  # several workers pay in any order
        return "".join(sorted(path.read_text().splitlines(keepends=True)))
    if path.name not in ("failed.jsonl", "dropped.jsonl"):
        return path.read_text()
    lines = [json.loads(line) | {"frames": []} for line in path.read_text().splitlines()]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _ledger(summary: Summary | None) -> list[tuple[Any, ...]]:
    if summary is None:
        return []
    return [(s.name, s.taken, s.created, s.out, s.filtered, s.skipped, s.dead, s.counters) for s in summary.stages]


def _cases() -> Iterable[Case]:
    dead = {"on_error": "dead_letter"}
    three = {"workers": 3}
    yield Case("no stages", ())
    yield Case("functions, generators and filters", ("small", "repeat", {"use": "picky"}))
    yield Case("unequal workers", ({"use": "repeat", "workers": 3}, {"use": "small", "workers": 2}, "repeat"))
    yield Case("lists across frames", ({"use": "doubled", "batch": 50, "workers": 2}, {"use": "spread", "batch": 7}))
    yield Case("async", ({"use": "asked", "concurrency": 8, "workers": 2}, {"use": "asked_batch", "batch": 20}))
    yield Case("failures", ({"use": "fussy", **dead, **three}, {"use": "unsendable", **dead}, "small"))
    yield Case("failures that are skipped", ({"use": "fussy", "on_error": "skip", **three},))
    yield Case("a failure that ends the run", ("repeat", {"use": "fussy", "workers": 2}))
    yield Case("retries", ({"use": "tries", "retry": {"attempts": 3, "delay": "1ms"}, "workers": 2},), records=40)
    yield Case("state and flush", ("sum", {"use": "repeat", "workers": 2}, "sum"))
    yield Case("state without snapshot", ("alternate", "small"))
    yield Case("an early stop", ({"use": "repeat", "workers": 2}, {"use": "take", "with": {"n": 70}}), loose=True)
    yield Case(
        "conditions", ({"use": "doubled", "when": "it % 4 == 0", "workers": 2}, {"use": "sum", "when": "it > 50"})
    )
    yield Case("counts", ({"use": "small", "workers": 2}, {"use": "count"}), records=300)
    yield Case(
        "frames of one record", ({"use": "fussy", **dead, **three}, "sum"), keys={"run": {"frame": 1}}, records=40
    )
    yield Case("slow records", ({"use": "slower", **three}, "sum"), records=60)
    yield Case("large records", ({"use": "widen", "workers": 2}, {"use": "text.upper"}), records=400)
    yield Case("environments", ({"use": "where", "env": {"WHERE": "here"}, "workers": 2},), records=10)
    even, odd = ({"use": "jsonl", "when": f"it % 2 == {rest}", "with": {"path": f"{rest}.jsonl"}} for rest in (0, 1))
    both = {"sink": None, "sinks": ["out.jsonl", even, odd]}
    yield Case("several sinks", ({"use": "repeat", "workers": 2}, {"use": "fussy", **dead}), keys=both)
    yield Case("a memo", ({"use": "paid", "memo": True, "workers": 2},), records=20, again=True, loose=True)
    yield Case(
        "a budget", ({"use": "paid", "budget": {"usd": 15}},), records=40, keys={"run": {"frame": 1}}, loose=True
    )
    yield Case("a setup that fails", ("small", "unready"))
    killed = frozenset({KILLS})
    yield Case("a worker that dies once", ({"use": "deadly_once", "workers": 2}, "sum"), needs=killed)
    yield Case("a record that kills", ({"use": "deadly", **dead, "workers": 2}, "sum"), needs=killed)
    yield Case("a call that kills", ({"use": "deadly_call", "concurrency": 4, **dead},), records=50, needs=killed)
    late = frozenset({KILLS, HARD_TIMEOUTS})
    yield Case("a record that hangs", ("small", {"use": "hanging", **dead, "timeout": "500ms"}), needs=late)
    fill = {"use": "full", "batch": {"size": 10, "wait": "30s"}}
    one = {"run": {"frame": 1}}
    meet = {"use": "meeting", "concurrency": 4}
    yield Case("calls and lists across frames", (meet, fill), records=40, keys=one, needs=frozenset({AHEAD}))


LISTS = ("doubled", "fewer", "spread", "fussy_batch", "asked_batch")
"""The stages of PARTS that take lists, and have no state."""
FREE = ("small", "picky", "picky_batch", "repeat", "asked", "fussy", "unsendable", "plus", *LISTS)
"""All of them without state that no case needs for itself."""
RANDOM = 5
"""Random chains among the cases."""


def random_case(seed: int) -> Case:
    """A chain of up to five stages with any settings; the same for the same seed."""
    choice = Random(seed)
    stages: list[dict[str, Any]] = []
    for _ in range(choice.randint(1, 5)):
        use = choice.choice((*FREE, "sum"))
        stage: dict[str, Any] = {"use": use, "on_error": choice.choice(("skip", "dead_letter"))}
        if use != "sum":
            stage["workers"] = choice.randint(1, 3)
        if use in LISTS:
            stage["batch"] = choice.choice((1, 3, 40))
        stages.append(stage)
    frame = choice.choice(("auto", choice.randint(1, 60)))
    return Case(f"random chain {seed}", tuple(stages), choice.randint(0, 150), {"run": {"frame": frame}})


CASES = (*_cases(), *map(random_case, range(RANDOM)))
"""All cases. Leave out those that need what the engine can't do: `case.suits(spec)`."""
