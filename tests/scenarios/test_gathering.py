"""Lists of a batch transform are full however few records a frame holds; and no list waits for what can't come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

SIZE = 20

PARTS = """
import asyncio
from collections.abc import Iterator

def note(size):
    with open(Path(__file__).parent / "sizes", "a") as file:
        file.write(f"{size}\\n")

@stage.batch
def model(records: list, *, seconds: float = 0.0) -> list:
    "Notes how long its lists are."
    note(len(records))
    time.sleep(seconds)
    return [record * 2 for record in records]

@stage.batch
async def asked(records: list) -> list:
    note(len(records))
    await asyncio.sleep(0.001)
    return [record * 2 for record in records]

@stage.batch
class Numbered:
    "A batch transform with state."
    def __init__(self):
        self.seen = 0
    def process_batch(self, records):
        note(len(records))
        first, self.seen = self.seen, self.seen + len(records)
        return [(first + number, record) for number, record in enumerate(records)]
    def snapshot(self):
        return self.seen
    def restore(self, data):
        self.seen = data

@stage
def one_in_ten(record) -> int | None:
    return record if record % 10 == 0 else None

@stage
def hundred(record) -> Iterator[int]:
    yield from range(100)
"""


@pytest.fixture
def lists(project) -> Callable[[], list[int]]:
    """Lengths of the lists that were passed so far."""
    project.plugin(PARTS)
    return lambda: [int(line) for line in (project / "sizes").read_text().split()]


def gathering(use: str, size: int = SIZE, **settings: Any) -> dict[str, Any]:
    return {"use": use, "batch": {"size": size, "wait": "60s"}, **settings}


def few_short(lengths: list[int], records: int, size: int = SIZE, short: int = 2) -> bool:
    """Whether all records came, and all lists but `short` were full."""
    return sum(lengths) == records and sum(length < size for length in lengths) <= short


@pytest.mark.parametrize("use", ["model", "asked"])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_lists_are_full_however_many_workers(project, lists, use, workers):
    records = list(range(1000))
    with project.results(gathering(use, workers=workers), records=records) as results:
        assert list(results) == [record * 2 for record in records]

    assert few_short(lists(), 1000, short=(2 if use == "model" else 4) * workers)


@pytest.mark.parametrize(("before", "each", "workers"), [([], 1, 2), ([], 1, 3), (["one_in_ten"], 10, 1)])
def test_from_the_first_list_on_only_the_last_ones_are_short(project, lists, before, each, workers):
    """As many records for each worker; and the first list waits until the filter is known."""
    gathers = gathering("model", 64, workers=workers, **{"with": {"seconds": 0.01}})
    with project.results(*before, gathers, records=range(1000 * each)) as results:
        assert sum(1 for _ in results) == 1000

    assert few_short(lists(), 1000, 64, short=workers)


@pytest.mark.parametrize("frame", [1, 3, 500])
def test_lists_are_full_however_frames_are_cut(project, lists, frame):
    with project.results(gathering("model"), records=range(1000), run={"frame": frame}) as results:
        assert list(results) == list(range(0, 2000, 2))

    assert few_short(lists(), 1000)


@pytest.mark.parametrize("use", ["model", "asked"])
def test_lists_are_full_behind_a_filter(project, lists, use):
    with project.results("one_in_ten", gathering(use), records=range(10_000)) as results:
        assert list(results) == list(range(0, 20_000, 20))

    assert few_short(lists(), 1000, short=2 if use == "model" else 5)  # until the filter is known


def test_lists_are_full_behind_a_generator(project, lists):
    with project.results("hundred", gathering("model", 30), records=range(50)) as results:
        assert list(results) == [2 * number for _ in range(50) for number in range(100)]

    assert few_short(lists(), 5000, 30)


def test_lists_are_full_in_a_stage_with_state(project, lists):
    with project.results(gathering("numbered"), records=range(1000)) as results:
        assert list(results) == [(number, number) for number in range(1000)]

    assert few_short(lists(), 1000)


def test_barriers_leave_lists_full_in_stages_without_state(project, lists):
    """A checkpoint every few milliseconds sends a barrier through the model's stage."""
    model = gathering("model", 40, **{"with": {"seconds": 0.01}})
    numbered = {"use": "numbered", "batch": {"size": 7, "wait": "10ms"}}
    project.execute(
        model,
        numbered,
        source={"use": "range", "with": {"stop": 2000}},
        sink="out.jsonl",
        run={"checkpoint": "5ms"},
    )

    assert sum(length == 40 for length in lists()) >= 2000 // 40 - 2


@pytest.mark.parametrize("use", ["model", "asked"])
def test_a_barrier_that_nothing_follows_passes_at_once(project, lists, use):
    """The window is full of what waits for that barrier."""
    project.execute(
        gathering(use, 1),
        {"use": "numbered", "batch": 1},
        source={"use": "range", "with": {"stop": 200}},
        sink="out.jsonl",
        run={"frame": 1, "window": "1KiB"},
    )

    assert len((project / "out.jsonl").read_text().splitlines()) == 200


@pytest.mark.parametrize("use", ["model", "asked"])
@pytest.mark.parametrize("count", [0, 1, SIZE - 1, SIZE + 1])
def test_what_is_left_at_the_end_does_not_wait(project, lists, use, count):
    began = time.monotonic()
    with project.results(gathering(use), records=range(count)) as results:
        assert list(results) == list(range(0, 2 * count, 2))

    assert time.monotonic() - began < 30


@pytest.mark.parametrize("use", ["model", "asked"])
def test_a_full_window_does_not_wait_for_more(project, lists, use):
    """Ten thousand records of a KB don't fit into a window of 64 KiB."""
    run = {"window": "64KiB", "frame": 10}
    with project.results(gathering(use, 10_000), records=["x" * 1000] * 1000, run=run) as results:
        assert sum(1 for _ in results) == 1000

    assert sum(lists()) == 1000


def test_records_that_would_exceed_a_limit_are_not_waited_for(project, lists):
    project.write("in.txt", "".join(f"{number}\n" for number in range(5000)))
    project.config(gathering("model", 64), source="in.txt", sink="out.txt")

    ran = project.cli("run", "chain.yaml", "-q", "--limit", "100")

    assert (ran.returncode, len((project / "out.txt").read_text().splitlines())) == (0, 100)


def test_a_trickling_stream_waits_no_longer_than_it_may(project, lists):
    """The generator gives a second record only once the first has come through."""
    project.plugin(
        PARTS
        + """
@source
def trickle():
    yield 1
    wait_for("first")
    yield 2
"""
    )
    stage = {"use": "model", "batch": {"size": 100, "wait": "50ms"}}
    with project.results(stage, source="trickle") as results:
        assert next(results) == 2
        (project / "first").touch()
        assert list(results) == [4]

    assert lists() == [1, 1]


def test_two_gathering_stages_in_a_row_do_not_wait_for_each_other(project, lists):
    with project.results(gathering("model", 30), gathering("asked", 70), records=range(1000)) as results:
        assert list(results) == list(range(0, 4000, 4))


@pytest.mark.parametrize("size", [10_000, 60_000])
def test_lists_that_leave_through_full_pipes_hold_up_no_other(project, lists, size):
    """A list holds more than a pipe does; one worker's results wait for the other's, whose records come behind them."""
    stages = gathering("model", 64, workers=2), {"use": "same", "workers": 1}
    with project.results(*stages, records=["x" * size] * 600) as results:
        assert sum(1 for _ in results) == 600

    assert few_short(lists(), 600, 64, short=4)


def test_a_killed_worker_loses_no_record_of_its_list(project, lists):
    project.plugin(
        PARTS
        + """
@stage.batch
def mortal(records: list) -> list:
    if 500 in records and once("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    return records
"""
    )
    with project.results(gathering("mortal"), records=range(1000)) as results:
        assert list(results) == list(range(1000))

    assert results.summary.restarts >= 1


def test_a_poison_record_within_a_list_costs_one_record(project, lists):
    project.plugin(
        PARTS
        + """
@stage.batch
def poisoned(records: list) -> list:
    if 500 in records:
        os.kill(os.getpid(), signal.SIGKILL)
    return records
"""
    )
    with project.results(gathering("poisoned", on_error="skip"), records=range(1000)) as results:
        assert list(results) == [number for number in range(1000) if number != 500]


@pytest.mark.parametrize("policy", ["skip", "dead_letter"])
def test_a_list_that_fails_costs_the_record_that_fails(project, lists, policy):
    project.plugin(
        PARTS
        + """
@stage.batch
def picky(records: list) -> list:
    if any(record % 100 == 7 for record in records):
        raise ValueError("seven")
    return records
"""
    )
    stage = gathering("picky", on_error=policy)
    with project.results(stage, records=range(1000), dead_letter=str(project / "dead.jsonl")) as results:
        assert list(results) == [number for number in range(1000) if number % 100 != 7]


def test_enough_in_a_list_ends_the_run_after_it(project, lists):
    project.plugin(
        PARTS
        + """
@stage.batch
class Until:
    def __init__(self):
        self.over = False
    def process_batch(self, records):
        assert not self.over
        self.over = 300 in records
        if self.over:
            enough()
        return records
    def flush(self):
        return []
"""
    )
    with project.results(gathering("until"), records=range(10_000)) as results:
        assert list(results) == list(range(320))


def test_a_slow_head_holds_up_no_other_call(project):
    """The first call waits until thousands after it have ended: more than any number of frames on their way."""
    project.plugin("""
        import asyncio
        seen = []

        @stage
        async def call(record: int) -> int:
            if record == 0:
                while len(seen) < 3000:
                    await asyncio.sleep(0.001)
            seen.append(record)
            return record
    """)
    stage = {"use": "call", "concurrency": 8}
    with project.results(stage, records=range(4000)) as results:
        assert list(results) == list(range(4000))


def test_what_waits_behind_a_slow_head_is_bounded_by_bytes(project):
    """With a window of 256 KiB the worker holds no more results than that, whatever a record has become."""
    project.plugin("""
        import asyncio
        begun = []

        @stage
        async def call(record: int) -> bytes:
            begun.append(record)
            if record == 0:
                for _ in range(200):
                    await asyncio.sleep(0.001)
                tell("begun", len(begun))
            return bytes(10_000)
    """)
    stage = {"use": "call", "concurrency": 4}
    with project.results(stage, records=range(1000), run={"window": "256KiB"}) as results:
        assert sum(1 for _ in results) == 1000

    assert int((project / "begun").read_text()) <= 26 + 2 * 4 + 1
