"""`dropped: FILE`: what stages filter out is written there, once and in order, whoever is killed."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest
from support.leaks import needs_proc

from stagerunner.errors import StageFailed

PARTS = """
import asyncio
from stagerunner import Drop

@stage
def odd(record) -> int | None:
    return record if record % 2 else None

@stage
def named(record):
    if record % 2 == 0:
        raise Drop(f"{record} is even")
    return record

@stage
def repeated(record):
    if record % 2:
        yield record

@stage
def taken_back(record):
    yield record
    if record % 2 == 0:
        raise Drop(f"{record} is even")

@stage.batch
def odd_list(records) -> list[int | None]:
    return [record if record % 2 else None for record in records]

@stage.batch(many=True)
def odd_lists(records):
    return [[record] if record % 2 else [] for record in records]

@stage.batch
def named_list(records):
    for record in records:
        if record % 2 == 0:
            raise Drop(f"{record} is even")
    return records

@stage
async def odd_async(record) -> int | None:
    await asyncio.sleep(0)
    return record if record % 2 else None

@stage
async def named_async(record):
    await asyncio.sleep(0)
    if record % 2 == 0:
        raise Drop(f"{record} is even")
    return record

@stage.batch
async def named_async_list(records):
    for record in records:
        if record % 2 == 0:
            raise Drop(f"{record} is even")
    return records

@stage
class Built:
    def process(self, record) -> int | None:
        return record if record % 2 else None

@stage
class Sum:
    def __init__(self):
        self.sum = 0
    def process(self, record) -> int | None:
        if record % 2 == 0:
            raise Drop(f"{record} is even")
        self.sum += record
    def flush(self):
        yield self.sum
    def snapshot(self):
        return self.sum
    def restore(self, data):
        self.sum = data

@stage
def fussy(record):
    if record % 5 == 4:
        raise ValueError("no")
    return record
"""

FILTER = {"use": "filter", "with": {"where": "record % 2 == 1"}}
SILENT = {
    "odd": "gave None",
    "repeated": "gave no record",
    "odd_list": "gave None",
    "odd_lists": "gave no record",
    "odd_async": "gave None",
    "Built": "gave None",
    "filter": "gave None (where: record % 2 == 1)",
}
NAMED = ["named", "taken_back", "named_list", "named_async", "named_async_list"]
ENGINES = ["inline", "process"]


@pytest.fixture
def parts(project):
    project.plugin(PARTS)
    return project


def stage(use: str, **settings) -> dict:
    return {**(FILTER if use == "filter" else {"use": use.lower()}), **settings}


def told(path) -> list[tuple]:
    """Stage, origin, reason and record of each line."""
    lines = map(json.loads, path.read_text().splitlines())
    return [(line["stage"], line["origin"]["number"], line["reason"], line["record"]) for line in lines]


def ran(project, *stages, number: int = 100, **keys):
    """The records that came out, what was told as dropped, and the summary."""
    file = project / "dropped.jsonl"
    results = project.results(*stages, records=range(number), dropped=str(file), **keys)
    records = list(results)
    assert results.summary.balanced
    return records, told(file), results.summary


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("use", [*SILENT, *NAMED])
def test_every_form_tells_each_record_that_it_drops(parts, use, engine):
    records, dropped, summary = ran(parts, stage(use), run={"engine": engine, "frame": 7})

    name = use.lower().replace("_", "-")
    assert records == list(range(1, 100, 2))
    assert dropped == [(name, n, SILENT.get(use, f"{n} is even"), n) for n in range(0, 100, 2)]
    assert summary.records["filtered"] == summary.stages[0].filtered == 50
    assert (summary.exit_code, summary.dropped) == (0, str(parts / "dropped.jsonl"))


@pytest.mark.parametrize("use", [*SILENT, *NAMED])
def test_without_the_file_the_same_records_are_filtered_out(parts, use):
    results = parts.results(stage(use), "double", records=range(100), run={"frame": 7})

    assert list(results) == list(range(2, 200, 4))
    assert results.summary.records["filtered"] == 50
    assert results.summary.balanced
    assert results.summary.dropped == ""


@pytest.mark.parametrize("use", ["odd_list", "named_list", "named_async_list"])
def test_lists_gathered_across_batches(parts, use):
    gathered = stage(use, batch={"size": 16, "wait": "1s"})
    records, dropped, _ = ran(parts, gathered, run={"frame": 5})

    assert records == list(range(1, 100, 2))
    assert [number for _, number, *_ in dropped] == list(range(0, 100, 2))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_chain_of_them_tells_them_in_the_order_of_the_source(parts, engine):
    run = {"engine": engine, "frame": 9, "fuse": "auto" if engine == "process" else "off"}
    where = {"use": "filter", "name": "thirds", "with": {"where": "record % 3 == 0"}}
    records, dropped, _ = ran(parts, "same", stage("repeated"), stage("named_list"), where, run=run)

    assert records == list(range(3, 100, 6))
    assert [number for _, number, *_ in dropped] == [n for n in range(100) if n % 6 != 3]
    assert {name for name, *_ in dropped} == {"repeated", "thirds"}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_goes_into_a_sum_is_not_dropped_unless_the_stage_says_so(parts, engine):
    records, dropped, _ = ran(parts, "sum", run={"engine": engine, "frame": 7})

    assert records == [50 * 50]
    assert [number for _, number, *_ in dropped] == list(range(0, 100, 2))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_drop_is_no_failure(parts, engine):
    """It isn't tried again, is no dead letter, and doesn't count against `max_errors`."""
    fussy = {"use": "named", "on_error": "dead_letter", "max_errors": 1, "retry": 3}
    letters = parts / "failed.jsonl"
    _, dropped, summary = ran(parts, fussy, dead_letter=str(letters), run={"engine": engine})

    assert len(dropped) == 50
    assert letters.read_text() == ""
    assert (summary.exit_code, summary.records["dead"]) == (0, 0)


def test_a_failure_behind_it_leaves_it_to_the_next_run(parts):
    """8 and 9 come from one source record: 9 ends the run, so 8 is told by the resumed run alone."""
    parts.write("in.jsonl", "".join(f"{n}\n" for n in range(20)))
    parts.plugin(
        PARTS
        + """
@stage
def two(record):
    yield record * 2
    yield record * 2 + 1

@stage
def fatal(record):
    if record % 2 == 0:
        raise Drop("even")
    if record == 9 and once("failed"):
        raise ValueError("nine")
    return record
"""
    )
    parts.config("two", "fatal", source="in.jsonl", sink="out.jsonl", dropped="dropped.jsonl")
    assert parts.cli("run", "chain.yaml", "-q").returncode == 1
    assert parts.cli("run", "chain.yaml", "-q", "--resume").returncode == 0

    lines = [json.loads(line)["record"] for line in (parts / "dropped.jsonl").read_text().splitlines()]
    assert lines == list(range(0, 40, 2))
    assert (parts / "out.jsonl").read_text().split() == [str(n) for n in range(1, 40, 2)]


def test_where_there_is_no_record_a_drop_is_a_failure(parts):
    parts.plugin(
        PARTS
        + """
@stage
class Late:
    def process(self, record) -> int | None:
        return None
    def flush(self):
        raise Drop("nothing there")
        yield
"""
    )
    with pytest.raises(StageFailed, match="Drop: nothing there"):
        list(parts.results("late", records=range(3), dropped=str(parts / "dropped.jsonl")))


def test_a_secret_in_a_reason_is_masked(parts):
    parts.plugin(PARTS + "\n@stage\ndef says(record, *, token: str):\n    raise Drop(f'{token} says no')\n")
    saying = {"use": "says", "with": {"token": "${secret:TOKEN}"}}
    parts.write("in.jsonl", "1\n")
    parts.config(saying, source="in.jsonl", sink="out.jsonl", dropped="dropped.jsonl")
    environment = os.environ | {"TOKEN": "abracadabra"}
    assert parts.cli("run", "chain.yaml", "-q", env=environment).returncode == 0

    (line,) = map(json.loads, (parts / "dropped.jsonl").read_text().splitlines())
    assert line["reason"] == "*** says no"


def test_the_summary_names_the_file(parts):
    parts.write("in.jsonl", "1\n2\n3\n")
    parts.config("named", source="in.jsonl", sink="out.jsonl", dropped="dropped.jsonl")
    done = parts.cli("run", "chain.yaml", "--summary", "summary.json")

    assert b"1 filtered \xc2\xb7 dropped records in " in done.stderr
    assert json.loads((parts / "summary.json").read_text())["dropped"].endswith("dropped.jsonl")
    assert b"dropped records: " in parts.cli("run", "chain.yaml", "--dry-run").stderr
    assert b"dropped: dropped.jsonl" in parts.cli("show", "chain.yaml").stdout


def test_a_replay_does_not_take_it(parts):
    parts.write("in.jsonl", "1\n2\n")
    parts.config("named", source="in.jsonl", sink="out.jsonl", dropped="dropped.jsonl")
    assert parts.cli("run", "chain.yaml", "-q").returncode == 0

    refused = parts.cli("replay", "dropped.jsonl", "-c", "chain.yaml", "-o", "more.jsonl")
    assert refused.returncode == 2
    assert b"holds dropped records" in refused.stderr
    assert len((parts / "dropped.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("use", ["named", "taken_back", "named_list", "named_async"])
def test_a_memo_keeps_the_reason(parts, use):
    run = {"engine": "inline"}
    cached = stage(use, memo="memo.sqlite")
    first = ran(parts, cached, run=run)
    (parts / "dropped.jsonl").unlink()
    again = ran(parts, cached, run=run)

    assert again[:2] == first[:2]
    assert again[2].stages[0].hits == 100
    assert again[2].records["filtered"] == 50


# Whoever is killed

CHAIN = """
@stage
def deadly(record):
    if record in MOMENTS and once(f"met {record}"):
        os.kill(parent() if MOMENTS[record] == "parent" else os.getpid(), 9)
    return record

@stage
def thirds(record):
    if record % 3 == 0:
        yield record
"""


def killed_until_done(project, moments: dict[int, str]) -> int:
    """Run and resume the chain until it ends; how often the parent was killed."""
    project.plugin(f"MOMENTS = {moments!r}\n" + PARTS + CHAIN)
    project.write("in.jsonl", "".join(f"{n}\n" for n in range(3000)))
    run = {"frame": 37, "checkpoint": "1ms"}
    stages = [{"use": "named", "workers": 2}, {"use": "deadly", "workers": 2}, "thirds"]
    project.config(*stages, source="in.jsonl", sink="out.jsonl", dropped="dropped.jsonl", run=run)
    arguments: tuple[str, ...] = ()
    for kills in range(10):
        done = project.cli("run", "chain.yaml", "-q", "--summary", "summary.json", *arguments)
        if done.returncode != -signal.SIGKILL:
            assert (done.returncode, done.stderr) == (0, b"")
            return kills
        arguments = ("--resume",)
    raise AssertionError("killed forever")


@needs_proc
@pytest.mark.parametrize("who", ["parent", "worker"])
def test_the_file_is_exact_whoever_is_killed(parts, who):
    odd = range(1, 3000, 2)
    moments = dict.fromkeys(random.Random(who).sample(odd, 3), who)

    kills = killed_until_done(parts, moments)

    assert kills >= 1 if who == "parent" else kills == 0
    lines = [json.loads(line) for line in (parts / "dropped.jsonl").read_text().splitlines()]
    assert [line["record"] for line in lines] == [n for n in range(3000) if n % 6 != 3]
    assert [line["number"] for line in lines] == list(range(1, 2501))
    records = json.loads((parts / "summary.json").read_text())["records"]
    assert (records["in"], records["created"], records["out"], records["filtered"]) == (3000, 0, 500, 2500)
    assert (parts / "out.jsonl").read_text().split() == [str(n) for n in range(3, 3000, 6)]


@pytest.mark.parametrize("point", ["deliver:3", "sink written:2", "commit:2", "finishing:1", "rename:1"])
def test_the_file_is_exact_if_the_parent_is_killed_where_it_matters(parts, point):
    parts.write("in.jsonl", "".join(f"{n}\n" for n in range(3000)))
    run = {"frame": 37, "checkpoint": "1ms", "window": "16KB"}
    parts.config("odd", source="in.jsonl", sink="out.jsonl", dropped="dropped.jsonl", run=run)
    killed = parts.cli("run", "chain.yaml", "-q", env=os.environ | {"STAGERUNNER_KILL_AT": point})
    assert killed.returncode == -signal.SIGKILL

    assert parts.cli("run", "chain.yaml", "-q", "--resume").returncode == 0

    lines = [json.loads(line)["record"] for line in (parts / "dropped.jsonl").read_text().splitlines()]
    assert lines == list(range(0, 3000, 2))
