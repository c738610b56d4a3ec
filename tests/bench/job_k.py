"""Job K, expensive stages: slow records, batches for a model, paid calls; with their plain scripts beside them.

What a stage costs is time asleep, so that cores don't matter. Everything is counted from notes that the transforms
make of their calls. A run that takes much too long is ended, and what it would have taken is marked with "≥".

usage: python job_k.py [--quick]
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from heapq import heapreplace
from pathlib import Path
from typing import Any, NamedTuple

import expensive
import waiting
from calls import Call, Command, calls, ended, mean_size, rate, twice, under_way
from files import folder
from measure import HERE, Row, Spread, elsewhere, in_turns, present, spread

import stagerunner
from stagerunner import RetryLater
from stagerunner.api import prepare
from stagerunner.errors import ConfigError

sys.path.append(str(HERE.parent))  # the service, and the kills, are those of the tests

from chaos_support.spending import Spending, spending_case
from support.billing import Service, needed, price

PATIENCE = 4.0
"""A run is ended when it has taken so many times what its plain script takes."""

OURS, SCRIPT = "stagerunner", "plain script"
SETTLED = 2.0
"""Seconds after which a run must have its old rate back, once it is known who is innocent."""


class Ran(NamedTuple):
    """One run over `wanted` source records. records: those that were done. first: seconds until the first result.

    seconds: until the end, or until it was ended. began: on the clock of the calls.
    """

    wanted: int
    records: int
    seconds: float
    first: float
    calls: list[Call]
    began: float

    @property
    def wall(self) -> float:
        """Seconds for all of it, extrapolated where the run was ended."""
        return self.seconds * self.wanted / max(1, self.records)

    @property
    def start(self) -> float:
        """Seconds until the first call."""
        return min((call.began for call in self.calls), default=self.began) - self.began

    @property
    def rate(self) -> float:
        return self.wanted / self.wall

    @property
    def whole(self) -> bool:
        return self.records == self.wanted


class Place:
    """A folder with an input of numbered lines, and the notes of the calls."""

    def __init__(self, path: Path, count: int, start: int = 0) -> None:
        self.path, self.count = path, count
        self.log = path / "calls"
        self.lines = [f"{start + number}" for number in range(count)]
        (path / "in.txt").write_text("".join(f"{line}\n" for line in self.lines))

    def stage(self, name: str, module: str = "expensive", **settings: Any) -> dict[str, Any]:
        """A stage that notes its calls."""
        options = settings.pop("options", {})
        return {"use": f"{module}:{name}", "with": {"log": str(self.log), **options}, **settings}

    def config(self, *stages: Any, **run: Any) -> dict[str, Any]:
        source = {"use": "lines", "with": {"path": str(self.path / "in.txt")}}
        return {"version": 1, "source": source, "stages": list(stages), "run": run}

    def clear(self) -> None:
        self.log.unlink(missing_ok=True)


def ours(place: Place, config: dict[str, Any], limit: float, factor: float = 1.0, expected: Any = None) -> Ran:
    """A run whose results we take. factor: results for a source record. expected: all of them, if they matter."""
    place.clear()
    began, first, count = time.monotonic(), 0.0, 0
    with stagerunner.load(config).run() as results:
        for result in results:
            assert expected is None or result == expected[count], result
            count += 1
            first = first or time.monotonic() - began
            if time.monotonic() - began > limit:
                break
    seconds = time.monotonic() - began
    return Ran(place.count, min(place.count, round(count / factor)), seconds, first, calls(place.log), began)


def script(place: Place, work: Callable[[Path], Iterator[str]]) -> Ran:
    """A plain script over the same lines."""
    place.clear()
    began, first = time.monotonic(), 0.0
    for _ in work(place.path / "in.txt"):
        first = first or time.monotonic() - began
    return Ran(place.count, place.count, time.monotonic() - began, first, calls(place.log), began)


def measured(place: Place, config: dict[str, Any], plain: Callable[[Path], Iterator[str]], rounds: int, **more: Any):
    """Both in turns, `rounds` times; the script runs once before, to know when to give up on a run."""
    limit = PATIENCE * script(place, plain).seconds + 1
    return in_turns({OURS: partial(ours, place, config, limit, **more), SCRIPT: partial(script, place, plain)}, rounds)


def walls(ran: list[Ran]) -> str:
    whole = ("" if all(one.whole for one in ran) else "≥ ") + spread([one.wall for one in ran]).text() + " s"
    start = spread([one.start for one in ran])
    return f"{whole} ({start.median:.2f} to start)" if start.median > 0.01 else whole


def against(mine: list[Ran], theirs: list[Ran], form: str = "{:.2f}") -> str:
    """How many times as long as the script."""
    return times_as_long(mine, theirs).text(form) + " ×"


def times_as_long(mine: list[Ran], theirs: list[Ran]) -> Spread:
    return spread([one.wall / other.wall for one, other in zip(mine, theirs, strict=True)])


def counted(ran: list[Ran]) -> str:
    return f"{len(ran[-1].calls):,} calls of {spread([mean_size(one.calls) for one in ran]).text('{:.1f}')}"


# Slow records


def slow_records(path: Path, quick: bool) -> Iterator[Row]:
    """Lines of four bytes: when the first result is there, and what the first Ctrl-C leaves."""
    seconds, few, stop = (0.25, 8, 8) if quick else (1.0, 10, 20)
    place = Place(path, few, start=100)
    config = place.config(place.stage("slow", options={"seconds": seconds}))

    def plain(lines: Path) -> Iterator[str]:
        for line in lines.open():
            yield expensive.slow(line.rstrip("\n"), log=str(place.log), seconds=seconds)

    came = measured(place, config, plain, 1 if quick else 3)
    mine, theirs = came[OURS], came[SCRIPT]
    what = f"{seconds:g} s a record, lines of 3 bytes"
    of = [spread([one.first for one in ran]).text() + " s" for ran in (mine, theirs)]
    after = spread([(one.began + one.first - one.calls[0].began) / seconds for one in mine])
    yield Row(f"{what}: first result, start included", of[0], f"plain loop: {of[1]}")
    yield Row("… after its call began", "", "a record's time", after.text() + " ×", "≤ 1.2 ×", after.median <= 1.2)
    yield Row(f"{what}: {few} records", walls(mine), walls(theirs), against(mine, theirs))
    yield from interrupted(Place(path, 600, start=100), seconds, stop)


def interrupted(place: Place, seconds: float, stop: int) -> Iterator[Row]:
    """Ctrl-C as soon as so many records are done."""
    place.clear()
    out = place.path / "out.txt"
    config = place.config(place.stage("slow", options={"seconds": seconds}))
    run = Command(config | {"sink": {"use": "lines", "with": {"path": str(out)}}}, place.path)
    run.wait_for(lambda: ended(place.log) >= stop, 60)
    at = run.send(signal.SIGINT)
    took = run.end(60 * seconds) - at
    done = rate(calls(place.log), 0, at) * at
    saved = len(Path(f"{out}.partial").read_text().splitlines())
    moved = len({event["in"] for event in run.told("progress")})
    yield Row(
        f"Ctrl-C after {done:.0f} records",
        f"{saved} committed; ended after {took / seconds:.1f} records' time; progress moved {moved} times",
        "plain loop: all in hand is lost",
        "",
        "all committed, ≤ 1.2 records' time",
        saved >= stop and took <= 1.2 * seconds,
    )


# Batches


def batches(path: Path, quick: bool) -> Iterator[Row]:
    """A model that takes 40 ms a call and 0.2 ms a record, with `batch: 256`."""
    costs, size, rounds = {"call": 0.04, "each": 0.0002}, 256, 1 if quick else 3
    place = Place(path, 2_048 if quick else 4_096)
    model = place.stage("model", batch=size, options=costs)
    few = Place(path, 20_480) if quick else Place(path, 40_960)
    yield from batched("batch: 256", place, place.config(model), rounds, costs, size)
    twice_the_workers = place.config(model | {"workers": 2})
    yield from batched("batch: 256, 2 workers", place, twice_the_workers, rounds, costs, size, workers=2)
    filtered = few.config({"use": "expensive:one_in_ten"}, model)
    yield from batched(
        "batch: 256 behind a filter that drops 90 %", few, filtered, rounds, costs, size, only=_every(10)
    )
    many = Place(path, few.count // 1_000)
    made = many.config({"use": "expensive:hundred"}, model)
    yield from batched("batch: 256 behind a generator of 100", many, made, rounds, costs, size, each=100)


def _every(number: int) -> Callable[[str], bool]:
    return lambda line: int(line) % number == 0


def batched(
    what: str,
    place: Place,
    config: dict[str, Any],
    rounds: int,
    costs: dict[str, float],
    size: int,
    *,
    workers: int = 1,
    only: Callable[[str], bool] = bool,
    each: int = 1,
) -> Iterator[Row]:
    """Against calls of full batches one after the other; their time is divided by the workers."""
    place = Place(place.path, place.count)

    def plain(lines: Path) -> Iterator[str]:
        records = [line.rstrip("\n") for line in lines.open() if only(line)] * each
        for start in range(0, len(records), size * workers):
            yield from expensive.model(records[start : start + size], log=str(place.log), **costs)
            yield from records[start + size : start + size * workers]

    results = sum(map(only, place.lines)) * each
    came = measured(place, config, plain, rounds, factor=results / place.count)
    mine, theirs = came[OURS], came[SCRIPT]
    full = spread([mean_size(one.calls) / min(size, results / workers) for one in mine])
    wall = times_as_long(mine, theirs)
    yield Row(
        what,
        f"{walls(mine)}, {counted(mine)}",
        walls(theirs),
        wall.text() + " ×",
        "≤ 1.15 ×",
        wall.median <= 1.15,
    )
    yield Row(f"… {what}, mean batch", full.text("{:.3f}"), "", "", "≥ 0.9 of its size", full.median >= 0.9)


def starvation(path: Path, quick: bool) -> Iterator[Row]:
    """Decoding takes CPU, the model waits: how busy the model is kept."""
    place = Place(path, 1_024 if quick else 4_096)
    config = place.config(
        {"use": "expensive:decoded", "with": {"seconds": 0.0003}},
        place.stage("model", batch=32, options={"call": 0.04, "each": 0.0}),
    )
    bound = place.count / 32 * 0.04
    ran = [ours(place, config, PATIENCE * bound) for _ in range(1 if quick else 3)]
    busy = spread([100 * sum(call.ended - call.began for call in one.calls if call.ended) / one.seconds for one in ran])
    useful = spread([100 * bound / one.wall for one in ran])
    yield Row(
        "decoding, 0.3 ms of CPU a record → model, 40 ms a batch of 32: the model is busy",
        f"{_percent(busy)} ({_percent(useful)} with full batches); {counted(ran)}",
        "",
        "",
        "≥ 90 %",
        busy.median >= 90,
    )


def _percent(share: Spread) -> str:
    return share.text("{:.0f}") + " %"


# Calls that wait


class Tail(NamedTuple):
    """Calls that wait. every: one in so many takes `long` seconds."""

    count: int
    concurrency: int
    seconds: float
    every: int
    long: float

    def stage(self, place: Place, **settings: Any) -> dict[str, Any]:
        options = {"seconds": self.seconds, "every": self.every, "long": self.long}
        return place.stage("tailed", "waiting", options=options, concurrency=self.concurrency, **settings)

    def plain(self, place: Place) -> Callable[[Path], Iterator[str]]:
        """`asyncio.gather` with a semaphore."""

        async def all_of(lines: list[str]) -> list[str]:
            free = asyncio.Semaphore(self.concurrency)

            async def one(line: str) -> str:
                async with free:
                    return await waiting.tailed(
                        line, log=str(place.log), seconds=self.seconds, every=self.every, long=self.long
                    )

            return await asyncio.gather(*map(one, lines))

        return lambda lines: iter(asyncio.run(all_of(lines.read_text().split())))


def tails(path: Path, quick: bool) -> Iterator[Row]:
    for what, tail in (
        ("even calls", Tail(2_000, 64, 0.07, 10**9, 0)),
        ("1 in 200 takes 4 s", Tail(2_000, 64, 0.07, 200, 4.0)),
    ):
        tail = tail._replace(count=800, long=tail.long / 2) if quick else tail
        place = Place(path, tail.count)
        came = measured(place, place.config(tail.stage(place)), tail.plain(place), 1 if quick else 3)
        mine, theirs = came[OURS], came[SCRIPT]
        name = f"async, concurrency: 64, calls of 35–105 ms, {what.replace('4', f'{tail.long:g}')}"
        wall = times_as_long(mine, theirs)
        against_gather = f"asyncio.gather: {walls(theirs)}"
        yield Row(name, walls(mine), against_gather, wall.text() + " ×", "≤ 1.1 ×", wall.median <= 1.1)


def slow_tail_of_workers(path: Path, quick: bool) -> Iterator[Row]:
    """Plain workers, and now and then a record that takes long: the others mustn't wait for it."""
    place, workers = Place(path, 800 if quick else 2_000), 4
    seconds, every, long = 0.005, 200, 0.5 if quick else 1.0
    stage = place.stage("uneven", workers=workers, options={"seconds": seconds, "every": every, "long": long})
    ideal = dealt([long if int(line) % every == every // 2 else seconds for line in place.lines], workers)
    ran = [ours(place, place.config(stage), PATIENCE * ideal + 1) for _ in range(1 if quick else 3)]
    whole = spread([one.wall / ideal for one in ran])
    what = f"4 workers, 5 ms a record, 1 in 200 takes {long:g} s"
    best = f"dealt to whom is free: {ideal:.2f} s"
    yield Row(what, walls(ran), best, whole.text() + " ×", "≤ 1.1 ×", whole.median <= 1.1)


def dealt(costs: list[float], places: int) -> float:
    """Seconds until all records are done, if each goes to the place that is free first."""
    free = [0.0] * places
    for cost in costs:
        heapreplace(free, free[0] + cost)
    return max(free)


# Kills


def killed_worker(path: Path, quick: bool) -> Iterator[Row]:
    """SIGKILL for the worker of an async stage, once."""
    tail = Tail(4_000, 16, 0.02, 200, 0.5) if quick else Tail(12_000, 64, 0.07, 200, 4.0)
    place = Place(path, tail.count)
    place.clear()
    kill_at, limit = 2 * tail.count // 5, 8 if quick else 30
    run = Command(sunk(place, tail.stage(place)), path)
    run.wait_for(lambda: ended(place.log) >= kill_at, 60)
    at = run.send(signal.SIGKILL, calls(place.log)[-1].pid)
    run.end(limit)
    found = calls(place.log)
    half = (found[0].began + at) / 2  # at first there are no long calls under way, and more short ones
    before, suspects = rate(found, half, at), under_way(found, at)
    cleared = max((call.ended or 0 for call in found if call.first in suspects), default=at)
    end = found[-1].began  # from then on there are fewer and fewer calls
    after = rate(found, cleared + SETTLED, end)
    back = _back(found, cleared, end, 0.95 * before)
    yield Row(
        f"SIGKILL of an async worker, concurrency: {tail.concurrency}: calls per second after it and before",
        f"{after:,.0f}" if after else "not measured: it ended before",
        f"{before:,.0f}",
        f"{after / before:.2f} ×",
        "≥ 0.95 ×",
        after >= 0.95 * before if after else None,
    )
    yield Row(
        "… suspects done with after the kill, and the old rate back after that",
        f"{cleared - at:.2f} s, {back}; {twice(found)} calls again, {len(suspects)} under way at the kill",
        "",
    )


def _back(found: list[Call], start: float, end: float, wanted: float) -> str:
    """How long after `start` the rate was back for a second."""
    moments = [start + step / 10 for step in range(int((end - 1 - start) * 10))]
    back = (moment for moment in moments if rate(found, moment, moment + 1) >= wanted)
    return next((f"{moment - start:.1f} s" for moment in back), "never")


def sunk(place: Place, *stages: Any, **run: Any) -> dict[str, Any]:
    sink = {"use": "lines", "with": {"path": str(place.path / "out.txt")}}
    return place.config(*stages, **run) | {"sink": sink}


def kept(config: dict[str, Any]) -> dict[str, Any] | None:
    """The config with a memo for its first stage, if such a stage may have one in this version."""
    first, *others = config["stages"]
    wanted = config | {"stages": [first | {"memo": True}, *others]}
    try:
        prepare(wanted)
    except ConfigError:
        return None
    return wanted


def killed_parent(path: Path, quick: bool) -> Iterator[Row]:
    """SIGKILL for the parent, then `--resume`: which calls are paid a second time."""
    tail = Tail(600, 16, 0.02, 100, 1.0) if quick else Tail(1_000, 64, 0.07, 200, 4.0)
    place = Place(path, tail.count)
    without = sunk(place, tail.stage(place))
    for config in filter(None, (without, kept(without))):
        place.clear()
        run = Command(config, path)
        run.wait_for(lambda: ended(place.log) >= place.count // 2, 60)
        at = run.send(signal.SIGKILL)
        run.end(5)
        paid, suspects = ended(place.log), under_way(calls(place.log), at)
        again = Command(config, path, "--resume")
        again.end(30)
        found, name = calls(place.log), "" if config is without else ", memo"
        exact = (path / "out.txt").exists() and (path / "out.txt").read_text().split() == place.lines
        yield Row(
            f"SIGKILL of the parent after {paid} calls, --resume: calls paid again{name}",
            f"{twice(found)} of {len(found)}; output {'exact' if exact else 'WRONG'}",
            f"under way at the kill: {len(suspects)}",
            "",
            "no more than were under way",
            exact and twice(found) <= len(suspects) if config is not without else None,
        )


# Paid calls


class Unreliable(NamedTuple):
    """Chats with the service of `tests/support/billing.py`: it is slow now and then, busy, wrong, and hangs up."""

    count: int
    concurrency: int = 64
    slowness: float = 16.0
    seed: int = 1

    @property
    def ideal(self) -> float:
        """Seconds that the service takes for all records, with as many calls at once as may be."""
        return dealt(
            [needed(self.seed, "chat", number, self.slowness) for number in range(self.count)], self.concurrency
        )

    def service(self, place: Place) -> Service:
        (place.path / "bill").unlink(missing_ok=True)
        return Service(place.path / "bill", self.seed, slowness=self.slowness)

    def right(self) -> list[dict[str, Any]]:
        return [{"id": f"{number}", "price": f"{price('chat', number)}"} for number in range(self.count)]


RETRY = {"attempts": 6, "delay": "10ms", "factor": 1}


def spending(path: Path, quick: bool) -> Iterator[Row]:
    """An unreliable service, without kills: the wall, and what was paid."""
    job = Unreliable(800 if quick else 3_000)
    place = Place(path, job.count)
    ways = {
        OURS: paid_by_us,
        "our stage `llm`": paid_by_llm,
        "asyncio script": paid_by_script,
        "datatrove": paid_by_datatrove,
    }
    came = in_turns({name: partial(way, place, job) for name, way in ways.items()}, 1 if quick else 3)
    mine = came.pop(OURS)
    ideal = spread([one.wall / job.ideal for one in mine])
    what = f"{job.count:,} chats with an unreliable service, concurrency: {job.concurrency}"
    wall = f"{walls(mine)}, {paid(mine)}"
    yield Row(what, wall, f"ideal: {job.ideal:.2f} s", ideal.text() + " ×", "≤ 1.25 ×", ideal.median <= 1.25)
    for name, theirs in came.items():
        if all(one.records for one in theirs):
            yield Row("… the same", walls(mine), f"{name}: {walls(theirs)}, {paid(theirs)}", against(mine, theirs))
        else:
            yield Row("… the same", walls(mine), f"{name}: not installed, or failed")


def paid(ran: list[Ran]) -> str:
    return f"{len(ran[-1].calls):,} paid calls"


def billed(service: Service) -> list[Call]:
    return [Call(0, call.came, call.paid, 1, f"{call.number}") for call in service.bill.calls()]


def paid_by_us(place: Place, job: Unreliable) -> Ran:
    with job.service(place) as service:
        stage = {"use": "waiting:asked_by_hand", "with": {"port": service.port}, "retry": RETRY}
        ran = ours(place, place.config(stage | {"concurrency": job.concurrency}), 60, expected=job.right())
        return ran._replace(calls=billed(service))


def paid_by_llm(place: Place, job: Unreliable) -> Ran:
    """With the stage that is there for it."""
    with job.service(place) as service:
        address = {"base_url": f"http://127.0.0.1:{service.port}/v1", "model": "any"}
        llm = {"use": "llm", "with": address | {"prompt": "{id}", "into": "price"}, "concurrency": job.concurrency}
        config = place.config("expensive:question", llm | {"retry": RETRY})
        ran = ours(place, config, 60, expected=job.right())
        return ran._replace(calls=billed(service))


def paid_by_script(place: Place, job: Unreliable) -> Ran:
    """`asyncio.gather`, a semaphore, and a loop around each call."""

    async def all_of(port: int, lines: list[str]) -> list[Any]:
        free = asyncio.Semaphore(job.concurrency)

        async def one(line: str) -> Any:
            async with free:
                while True:
                    try:
                        return await waiting.asked_by_hand(line, port=port)
                    except RetryLater as later:
                        await asyncio.sleep(later.seconds)
                    except (ValueError, OSError):
                        await asyncio.sleep(0.01)

        return await asyncio.gather(*map(one, lines))

    with job.service(place) as service:
        began = time.monotonic()
        assert asyncio.run(all_of(service.port, place.lines)) == job.right()
        seconds = time.monotonic() - began
        return Ran(job.count, job.count, seconds, seconds, billed(service), began)


def paid_by_datatrove(place: Place, job: Unreliable) -> Ran:
    """In an interpreter of its own, from the first chat to the last."""
    with job.service(place) as service:
        arguments = (str(service.port), str(job.count), str(job.concurrency))
        outcome = elsewhere("datatrove_peer.py", *arguments, limit=120)
        found = billed(service)
    done, seconds = (int(outcome.amount), outcome.seconds) if outcome is not None else (0, 1.0)
    return Ran(job.count, done, seconds, seconds, found, min((call.began for call in found), default=0.0))


def spending_under_kills(path: Path, quick: bool) -> Iterator[Row]:
    """The spend test's chain: what is paid while workers, fork servers and parents are killed."""
    kills = 6 if quick else 20
    for what in ("", ", memo"):
        seconds = []
        for number in (0, kills):
            place = path / f"{number}{what}"
            place.mkdir()
            with Service(place / "bill", 1) as service:
                case = spending_case(place / "case", service.port, 40 * kills, kept=bool(what))
                run, began = Spending(case, service, 1, number), time.monotonic()
                assert run.run() == 0, run
                seconds.append(time.monotonic() - began)
        account = run.account()
        again = sum(map(len, account.killed.values()))
        yield Row(
            f"{kills} kills{what}: {account.records:,} records to pay for",
            f"{account.records + account.excess:,} paid: {account.unanswered} unanswered, {again} under way at a kill, "
            f"{len(account.lost)} without a reason",
            f"{seconds[0]:.1f} s without kills, {seconds[1]:.1f} s with them",
            "",
            "none without a reason" if what else "",  # without a memo, what was not yet committed is paid again
            not account.lost if what else None,
        )


# Fusing


def lazy(path: Path, quick: bool) -> Iterator[Row]:
    """`fuse: auto` with a stage whose first call loads something: what it takes for the cost of a record."""
    place, seconds = Place(path, 150 if quick else 400), 0.007
    stages = [{"use": "expensive:Lazy", "with": {"load": 0.78, "seconds": seconds}}, "transforms:same"]
    with stagerunner.load(place.config(*stages, fuse="auto")).run() as results:
        for _ in results:
            pass
    assert results.summary is not None
    work = [cost for fusion in results.summary.fusions for part in fusion.work for cost in part][:1]
    yield Row(
        "fuse: auto, the first call loads for 780 ms: what it takes for a record's cost",
        f"{1e3 * work[0]:.1f} ms" if work else "no decision",
        f"{1e3 * seconds:g} ms",
        f"{work[0] / seconds:.2f} ×" if work else "",
        "≤ 1.2 ×",
        bool(work) and work[0] <= 1.2 * seconds,
    )


PARTS = (
    slow_records,
    batches,
    starvation,
    tails,
    slow_tail_of_workers,
    killed_worker,
    killed_parent,
    spending,
    spending_under_kills,
    lazy,
)


def rows(quick: bool) -> Iterator[Row]:
    with folder() as base:
        for part in PARTS:
            place = base / part.__name__
            place.mkdir()
            yield from part(place, quick)
            shutil.rmtree(place)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes background processes ignore Ctrl-C
    present("K. Expensive stages", rows)
