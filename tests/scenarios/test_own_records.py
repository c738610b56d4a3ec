"""A record stays what it was when it was given, as in a plain loop that writes each one at once."""

from __future__ import annotations

import copy
import json
from collections import deque
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PARTS = """
import asyncio
from collections.abc import Iterator

@stage
def cells(record: dict) -> Iterator[dict]:
    row = {"n": record["n"], "all": []}
    for number in range(record["n"] % 4):
        row["cell"] = number
        row["all"].append(record["n"])
        yield row

@stage(state=True)
class Keeps:
    def __init__(self):
        self.row = {"n": 0, "all": []}
    def process(self, record: dict) -> dict:
        self.row["n"] += record["n"] + 1
        self.row["all"] = (self.row["all"] + [record["n"]])[-3:]
        return self.row

@stage(state=True)
class Sometimes:
    def __init__(self):
        self.row = {"n": 0, "all": [0]}
    def process(self, record: dict) -> dict:
        self.row["all"][0] += 1
        return {"n": record["n"], "in": self.row} if record["n"] % 3 else record

CACHE = {"tags": ["a"]}

@stage
def tagged(record: dict) -> dict:
    record["shared"] = CACHE
    return record

@stage
def adds(record: dict) -> dict:
    record["n"] = record["n"] + 1
    for value in record.values():
        if isinstance(value, list):
            value.append(record["n"])
        elif isinstance(value, dict):
            value["seen"] = record["n"]
    return record

@stage
async def slow(record: dict, *, kept=[]) -> dict:
    kept.append(record["n"])
    record["kept"] = kept[-1:]
    return record

@stage
def plain(record: dict) -> dict:
    return {"n": record["n"], "in": record}

@stage
def flaky(record: dict) -> dict:
    record["tries"] = record.get("tries", 0) + 1
    if record["n"] % 5 == 3:
        record["n"] = -1
        raise ValueError("no")
    record["n"] += 1
    return record

@stage.batch
def flaky_batch(records: list[dict]) -> list[dict]:
    for record in records:
        record["n"] += 100
        if record["n"] % 7 == 3:
            raise ValueError("no")
    return records
"""

STAGES = ["cells", "keeps", "sometimes", "tagged", "adds", "slow", "plain", "flaky", "flaky_batch"]


class Loop:
    """The same stages as one would write them down: each record as text at the moment it was given."""

    def __init__(self, project: Any) -> None:
        self.names: dict[str, Any] = {}
        exec(compile((project / "parts.py").read_text(), str(project / "parts.py"), "exec"), self.names)

    def through(self, use: str, texts: list[str]) -> tuple[list[str], list[str]]:
        """What the stage gives for these records, and the records on which it fails, as it got them."""
        import asyncio

        found, given, failed = self.names[use.capitalize()]() if use in ("keeps", "sometimes") else None, [], []
        for text in texts:
            record = json.loads(text)
            try:
                if found is not None:
                    given.append(json.dumps(found.process(record)))
                elif use == "flaky_batch":
                    given += [json.dumps(one) for one in self.names[use]([record])]
                elif use == "cells":
                    given += [json.dumps(one) for one in self.names[use](record)]
                elif use == "slow":
                    given.append(json.dumps(asyncio.run(self.names[use](record))))
                else:
                    given.append(json.dumps(self.names[use](record)))
            except ValueError:
                failed.append(text)
        return given, failed


def expected(project: Any, chain: list[str], records: list[Any]) -> tuple[list[str], list[str]]:
    loop, texts, letters = Loop(project), [json.dumps(record) for record in records], []
    for use in chain:
        texts, failed = loop.through(use, texts)
        letters += failed
    return texts, letters


def seen(project: Any, chain: list[str], records: list[Any], run: dict[str, Any]) -> tuple[list[str], list[str]]:
    letters = project / "letters.jsonl"
    letters.unlink(missing_ok=True)
    stages = [{"use": use, "on_error": "dead_letter", "retry": {"attempts": 2, "delay": "1ms"}} for use in chain]
    given = [json.dumps(one) for one in project.results(*stages, records=records, run=run, dead_letter=str(letters))]
    lines = letters.read_text().splitlines() if letters.exists() else []
    return given, [json.dumps(json.loads(line)["record"]) for line in lines]


@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chain=st.lists(st.sampled_from(STAGES), min_size=1, max_size=4),
    frame=st.one_of(st.just("auto"), st.integers(1, 40)),
    engine=st.sampled_from(["inline", "inline", "process"]),
    fuse=st.sampled_from(["off", "auto"]),
    length=st.integers(0, 60),
)
def test_any_chain_gives_what_a_plain_loop_gives(project, chain, frame, engine, fuse, length):
    project.plugin(PARTS)
    tags = ["t"]
    records = [{"n": number, "tags": tags} for number in range(length)]
    wanted = expected(project, chain, copy.deepcopy(records))

    given, letters = seen(project, chain, records, {"engine": engine, "frame": frame, "fuse": fuse})

    assert given == wanted[0]
    assert sorted(letters) == sorted(wanted[1])


KEPT = """
from stagerunner import Split
from collections.abc import Iterator

@stage
class Later:
    def __init__(self):
        self.row = {"n": []}
    def process(self, record: int) -> dict:
        self.row["n"].append(record)
        return self.row if record == 0 else {"other": record}

@stage
class Buffer:
    def setup(self):
        import numpy
        self.array = numpy.zeros(20_000)
    def process(self, record: int) -> object:
        self.array[:] = record
        return self.array[10_000:] if record % 2 else self.array

@stage
def options(record: int, *, tags: list[str]) -> dict:
    return {"n": record, "tags": tags}

@stage
def tag(record: dict) -> dict:
    record["tags"].append(str(record["n"]))
    return record

@stage
class Total:
    def __init__(self):
        self.row = {"n": 0}
    def process(self, record: int) -> None:
        self.row["n"] += record
    def flush(self) -> Iterator[dict]:
        for _ in range(3):
            self.row["n"] += 1
            yield self.row

@stage.batch
def rows(records: list[int]) -> Iterator[dict]:
    row = {}
    for record in records:
        row["n"] = record
        yield row

@source
def stream() -> Iterator[dict]:
    row = {}
    for number in range(5):
        row["n"] = number
        yield row

@source
class Pieces:
    def splits(self, after):
        yield Split(None, 5, 5)
    def read(self, split):
        return stream()
    def identity(self):
        return None

@sink
class Takes:
    keeps = "nothing"
    def __init__(self, *, path: Path):
        self.path = path
    def encode(self, records):
        lines = [str(record.pop("n")) for record in records]
        if "3" in lines:
            raise ValueError("not this one")
        return "".join(line + "\\n" for line in lines).encode()
    def open(self, position):
        self.file = open(self.path, "wb")
    def write(self, data):
        self.file.write(data)
    def position(self):
        return None
    def commit(self, row):
        self.file.flush()
    def finish(self):
        self.file.close()
    def abort(self):
        self.file.close()
"""

ENGINES = pytest.mark.parametrize("engine", ["inline", "process"])


@ENGINES
def test_what_a_stage_gave_once_and_changes_later_is_as_it_was(project, engine):
    project.plugin(KEPT)

    first, *_ = project.results("later", records=range(3), run={"engine": engine, "frame": 3})

    assert first == {"n": [0]}


@ENGINES
def test_an_array_that_a_stage_fills_anew_for_each_record_is_as_it_was(project, engine):
    project.plugin(KEPT)

    arrays = list(project.results("buffer", records=range(6), run={"engine": engine, "frame": 6}))

    assert [(len(array), set(array.tolist())) for array in arrays] == [
        (20_000 - 10_000 * (number % 2), {number}) for number in range(6)
    ]


@ENGINES
def test_records_that_share_an_option_do_not_share_what_a_later_stage_makes_of_it(project, engine):
    project.plugin(KEPT)
    shares = {"use": "options", "with": {"tags": ["t"]}}

    given = list(project.results(shares, "tag", records=range(4), run={"engine": engine, "frame": 4}))

    assert given == [{"n": number, "tags": ["t", str(number)]} for number in range(4)]


@ENGINES
@pytest.mark.parametrize(("use", "wanted"), [("total", [4, 5, 6]), ("rows", [0, 1, 2])])
def test_what_a_flush_or_a_batch_transform_yields_is_as_it_was(project, engine, use, wanted):
    project.plugin(KEPT)

    given = project.results(use, records=range(3), run={"engine": engine})

    assert [record["n"] for record in given] == wanted


@ENGINES
@pytest.mark.parametrize("use", ["stream", "pieces"])
def test_what_a_source_yields_is_as_it_was(project, engine, use):
    project.plugin(KEPT)

    assert [record["n"] for record in project.results(source=use, run={"engine": engine})] == list(range(5))


@ENGINES
def test_a_record_that_the_caller_gives_twice_is_two(project, engine):
    project.plugin(KEPT)
    record = {"n": 1, "tags": []}

    given = list(project.results("tag", records=[record, record, record], run={"engine": engine, "frame": 3}))

    assert given == [{"n": 1, "tags": ["1"]}] * 3
    assert record == {"n": 1, "tags": []}


@ENGINES
@pytest.mark.parametrize("give", [list, iter])
@pytest.mark.parametrize("shared", [[], {}, deque(), bytearray(), {"in": ({}, [])}])
def test_records_of_the_callers_that_share_something_are_apart(project, engine, give, shared):
    project.plugin("""
        @stage
        def adds(record: dict) -> str:
            shared = record["shared"]
            if isinstance(shared, dict):
                shared.setdefault("in", ({}, []))[1].append(record["n"])
            else:
                shared.append(record["n"])
            return str(shared)
    """)
    records = [{"n": 65, "shared": shared} for _ in range(3)]

    given = list(project.results("adds", records=give(records), run={"engine": engine, "frame": 3}))

    assert len(set(given)) == 1


@ENGINES
def test_a_sink_that_changes_what_it_can_not_encode_loses_that_record_alone(project, engine):
    project.plugin(KEPT)
    sink = {"use": "takes", "with": {"path": "out.txt"}, "on_error": "skip"}
    source = {"use": "jsonl", "with": {"path": "in.jsonl"}}
    project.write("in.jsonl", "".join(f'{{"n":{number}}}\n' for number in range(6)))

    summary = project.execute(source=source, sink=sink, run={"engine": engine})

    assert (project / "out.txt").read_text() == "0\n1\n2\n4\n5\n"
    assert summary.records["skipped"] == 1


@ENGINES
def test_a_result_that_can_not_be_sent_leaves_the_record_it_was_made_of(project, engine):
    project.plugin("""
        @stage
        def grows(record: dict) -> dict:
            if record["n"] == 2:
                record["more"] = "x" * 3_000_000
            return record
    """)
    stage, letters = {"use": "grows", "on_error": "dead_letter"}, project / "letters.jsonl"
    run = {"engine": engine, "max_growth": "1MiB"}

    given = project.results(stage, "same", records=[{"n": n} for n in range(4)], run=run, dead_letter=str(letters))

    assert [record["n"] for record in given] == [0, 1, 3]
    assert json.loads(letters.read_text())["record"] == {"n": 2}
