"""Any engine, any number of workers, however frames are cut: the same records, letters, ledger."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PARTS = """
import asyncio
from stagerunner import Drop

@stage
def small(record) -> object | None:
    return record if record % 3 else None

@stage
def repeat(record):
    for number in range(record % 4):
        yield record + number

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

@stage.batch
async def asked_batch(records) -> list[int | None]:
    await asyncio.sleep(0)
    return [None if record % 7 == 5 else record + 1 for record in records]

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
async def asked(record):
    await asyncio.sleep(record % 3 / 1000)
    return record + 1

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
class Plus:
    def __init__(self, *, number: int = 1):
        self.number = number
    def process(self, record):
        return record + self.number

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

@stage(state=True)
def alternate(record, *, seen=[]) -> object | None:
    seen.append(record)
    return record if len(seen) % 2 else None
"""

LISTS = ["doubled", "fewer", "spread", "fussy_batch", "asked_batch"]
FREE = ["small", "picky", "picky_batch", "repeat", "asked", "fussy", "unsendable", "plus", "same", *LISTS]
BOUND = ["sum", "running", {"use": "take", "with": {"n": 70}}]
POLICIES = ["skip", "dead_letter"]


@st.composite
def stages(draw: Any) -> dict[str, Any]:
    """A stage with its settings."""
    use = draw(st.sampled_from([*FREE * 2, *BOUND]))
    if isinstance(use, dict):
        return use
    stage = {"use": use, "on_error": draw(st.sampled_from(POLICIES))}
    if use in [*LISTS, "running"] and (size := draw(st.sampled_from([None, 1, 3, 40, 1000]))):
        stage["batch"] = size
    return stage if use in BOUND else stage | {"workers": draw(st.integers(1, 3))}


def outcome(project, stages, engine: str, frame: int | str, *, tells: bool = True, **keys: Any) -> Any:
    """Everything that can be seen of a run. tells: it writes down what is dropped."""
    letters, dropped = project / "letters.jsonl", project / "dropped.jsonl"
    dropped.write_text("")
    keys |= {"dropped": str(dropped)} if tells else {}
    run = {"engine": engine, "frame": frame}
    results = project.results(*stages, run=run, dead_letter=str(letters), **keys)
    records = list(results)
    ledger = [
        (s.name, s.taken, s.created, s.out, s.filtered, s.skipped, s.dead, s.counters) for s in results.summary.stages
    ]
    assert results.summary.balanced
    stopped = any(stage["use"] == "take" for stage in stages)
    return records, None if stopped else (letters.read_bytes(), dropped.read_bytes(), ledger, results.summary.records)


AGREE = settings(
    max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@AGREE
@given(
    chain=st.lists(stages(), min_size=1, max_size=4),
    frames=st.tuples(st.integers(1, 60), st.one_of(st.just("auto"), st.integers(1, 60))),
    length=st.integers(0, 150),
    tells=st.booleans(),
)
def test_any_chain_gives_the_same_in_every_engine(project, chain, frames, length, tells):
    project.plugin(PARTS)

    inline = outcome(project, chain, "inline", frames[0], tells=tells, records=range(length))
    processes = outcome(project, chain, "process", frames[1], tells=tells, records=range(length))
    threads = outcome(project, chain, "threads", frames[1], tells=tells, records=range(length))

    assert inline == processes == threads


@pytest.mark.parametrize("use", [*FREE, "sum", "alternate"])
def test_every_form_gives_the_same_in_every_engine(project, use):
    project.plugin(PARTS)
    bound = use in ("sum", "alternate")
    seen = [
        outcome(project, [{"use": use, "on_error": "dead_letter"}], "inline", frame, records=range(200))
        for frame in (1, 7, 200)
    ]
    seen += [
        outcome(project, [{"use": use, "on_error": "dead_letter", "workers": n}], "process", "auto", records=range(200))
        for n in ([1] if bound else [1, 2, 3])
    ]

    seen.append(
        outcome(
            project,
            [{"use": use, "on_error": "dead_letter", "workers": 1 if bound else 3}],
            "threads",
            "auto",
            records=range(200),
        )
    )

    assert all(one == seen[0] for one in seen)


@pytest.mark.parametrize("frame", [1, 7, "auto"])
def test_where_a_stage_says_fail_everything_before_it_is_delivered(project, frame):
    project.plugin(PARTS)
    outcomes = []
    for engine in ("inline", "process", "threads"):
        got = []
        with pytest.raises(Exception, match="15 will not do"):
            for record in project.results(
                "repeat", {"use": "fussy", "workers": 1}, records=range(5, 200), run={"engine": engine, "frame": frame}
            ):
                got.append(record)
        outcomes.append(got)

    assert outcomes[0] == outcomes[1] == outcomes[2] != []
