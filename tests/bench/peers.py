"""The same chain said in each library: `CHAINS[name](functions, items, setup)` gives its results as they come.

functions: one for each stage, at the top of a module. items: a callable that gives the records. setup: called once in
each worker, or None. A library that isn't installed is not in the table.

"tuned" means: batched by the library where it can, else by hand, a thousand records a message; queues bounded; meters
off. What has no chain gets the functions as one (`fused`) and two workers: its rows say so.

usage: python peers.py NAME COUNT       one run of job A in a fresh interpreter, its Outcome as JSON
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from batching import BATCH, Chain, Functions, InTurn, Items, Setup, by_hand
from measure import CORES, Outcome, tell
from transforms import same

QUEUE = 1024
FORK = multiprocessing.get_context("fork")


def stagerunner(functions: Functions, items: Items, setup: Setup = None) -> Iterator[Any]:
    """As documented. `setup` is not used here: a stage with a setup is a class."""
    import stagerunner as library

    assert setup is None
    uses = ", ".join(f'"{function.__module__}:{function.__qualname__}"' for function in functions)
    return iter(library.load(f"version: 1\nstages: [{uses}]\n").run(items()))


# The standard library


def pools(functions: Functions, items: Items, setup: Setup = None, chunk: int = 1) -> Iterator[Any]:
    """A `Pool(1)` for each stage, each fed by the one before."""
    opened = [FORK.Pool(1, setup) for _ in functions]
    results: Iterable[Any] = items()
    try:
        for pool, function in zip(opened, functions, strict=True):
            results = pool.imap(function, results, chunksize=chunk)
        yield from results
    finally:
        for pool in opened:
            pool.terminate()


def sends(functions: Functions, items: Items, setup: Setup = None) -> Iterator[Any]:
    """What one writes without a library: a process for each function, `Pipe.send` from one to the next."""
    head, feed = FORK.Pipe(duplex=False)
    inbound = head
    for function in functions:
        reader, writer = FORK.Pipe(duplex=False)
        FORK.Process(target=_forward, args=(function, setup, inbound, writer), daemon=True).start()
        writer.close()
        inbound.close()
        inbound = reader
    threading.Thread(target=_fill, args=(feed.send, items), daemon=True).start()
    while (record := inbound.recv()) is not None:
        yield record


def _forward(function: Callable[[Any], Any], setup: Setup, inbound: Any, outbound: Any) -> None:
    if setup is not None:
        setup()
    while (record := inbound.recv()) is not None:
        outbound.send(function(record))
    outbound.send(None)


def _fill(put: Callable[[Any], Any], items: Items) -> None:
    for record in items():
        put(record)
    put(None)


# Libraries with chains


def pypeln(functions: Functions, items: Items, setup: Setup = None, maxsize: int = 0) -> Iterator[Any]:
    import pypeln as library

    stage: Any = items()
    for function in functions:
        stage = library.process.map(function, stage, workers=1, maxsize=maxsize, on_start=setup)
    return iter(stage)


def mpipe(functions: Functions, items: Items, setup: Setup = None) -> Iterator[Any]:
    """Fed by a thread: putting everything first, as its pages show, deadlocks as soon as the pipes are full."""
    import mpipe as library

    stages = [library.Stage(_mpipe_worker(library, function, setup)) for function in functions]
    for stage, following in itertools.pairwise(stages):
        stage.link(following)
    pipeline = library.Pipeline(stages[0])
    threading.Thread(target=_fill, args=(pipeline.put, items), daemon=True).start()
    return iter(pipeline.results())


def _mpipe_worker(library: Any, function: Callable[[Any], Any], setup: Setup) -> type:
    class Worker(library.OrderedWorker):  # type: ignore[misc]
        def doInit(self) -> None:
            if setup is not None:
                setup()

        def doTask(self, record: Any) -> Any:
            return function(record)

    return Worker


class Source:
    """A source as gpupipe wants it: an object whose call gives the records."""

    def __init__(self, items: Items) -> None:
        self.items = items

    def __call__(self) -> Iterator[Any]:
        yield from self.items()


class Stage:
    """A stage as gpupipe wants it."""

    def __init__(self, function: Callable[[Any], Any], setup: Setup) -> None:
        self.function, self.setup = function, setup

    def load(self) -> None:
        if self.setup is not None:
            self.setup()

    def __call__(self, record: Any) -> Any:
        return self.function(record)


def gpupipe(
    functions: Functions, items: Items, setup: Setup = None, queued: int | None = None, **settings: Any
) -> Iterator[Any]:
    from pipe import Pipe

    chunk = settings.pop("chunk", None)
    pipe = Pipe(**settings)
    pipe.add(Source(items), outqn=queued, chunk=chunk)
    for function in functions:
        pipe.add(Stage(function, setup), outqn=queued, chunk=chunk)
    try:
        yield from itertools.islice(pipe, items.count)  # else it waits ten seconds for its processes at the end
    finally:
        pipe.stop(force=True)


def spdl(functions: Functions, items: Items, setup: Setup = None, buffer: int = 1, sink: int = 3) -> Iterator[Any]:
    """A region for each stage, so that each has its process; records pass through the main one in between."""
    from spdl.pipeline import PipelineBuilder
    from spdl.pipeline.defs import MAIN_PROCESS, ProcessPoolExecutorConfig

    builder = PipelineBuilder().add_source(items())
    for function in functions:
        executor = ProcessPoolExecutorConfig(max_workers=1, mp_context="fork", initializer=setup)
        builder = builder.to(executor, buffer_size=buffer).pipe(function)
    pipeline = builder.to(MAIN_PROCESS, buffer_size=buffer).add_sink(sink).build(num_threads=1)
    with pipeline.auto_stop():
        yield from pipeline


def spdl_one_region(functions: Functions, items: Items, setup: Setup = None) -> Iterator[Any]:
    """All stages in one process: the chain its makers recommend, with no hop between stages."""
    from spdl.pipeline import PipelineBuilder
    from spdl.pipeline.defs import MAIN_PROCESS, ProcessPoolExecutorConfig

    executor = ProcessPoolExecutorConfig(max_workers=1, mp_context="fork", initializer=setup)
    builder = PipelineBuilder().add_source(items()).to(executor, buffer_size=BATCH)
    for function in functions:
        builder = builder.pipe(function)
    pipeline = builder.to(MAIN_PROCESS, buffer_size=BATCH).add_sink(QUEUE).build(num_threads=1)
    with pipeline.auto_stop():
        yield from pipeline


# Pools: no chain, so the functions are made one


def mpire(functions: Functions, items: Items, setup: Setup = None, chunk: int | None = None) -> Iterator[Any]:
    from mpire import WorkerPool

    given = items()
    length = len(given) if hasattr(given, "__len__") else None
    with WorkerPool(n_jobs=CORES, start_method="fork") as pool:
        arguments = ((record,) for record in given)
        fused = InTurn(functions)
        yield from pool.imap(fused, arguments, iterable_len=length, chunk_size=chunk, worker_init=setup)


def joblib(functions: Functions, items: Items, setup: Setup = None, batch: int | str = "auto") -> Iterator[Any]:
    from joblib import Parallel, delayed, parallel_config

    fused = delayed(InTurn(functions))
    with parallel_config("loky", initializer=setup) if setup is not None else parallel_config("loky"):
        parallel = Parallel(CORES, return_as="generator", batch_size=batch)
        yield from parallel(fused(record) for record in items())


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


CONTROLS: dict[str, Chain] = {
    "Pool(1).imap × 3": pools,
    "Pipe.send, one by one": sends,
}
LIBRARIES: dict[str, tuple[str, Chain]] = {
    "pypeln": ("pypeln", pypeln),
    "mpipe": ("mpipe", mpipe),
    "gpupipe": ("pipe", gpupipe),
    "SPDL": ("spdl", spdl),
    "mpire (fused)": ("mpire", mpire),
    "joblib (fused)": ("joblib", joblib),
}
TUNED: dict[str, tuple[str, Chain]] = {
    "pypeln, lists by hand": ("pypeln", by_hand(functools.partial(pypeln, maxsize=16))),
    "mpipe, lists by hand": ("mpipe", by_hand(mpipe)),
    "gpupipe, chunk=256": (
        "pipe",
        functools.partial(gpupipe, queued=QUEUE, chunk=256, stats_interval=0, raise_errors=True),
    ),
    "SPDL, buffer_size=1000": ("spdl", functools.partial(spdl, buffer=BATCH, sink=QUEUE)),
    "SPDL, one region (no hops)": ("spdl", spdl_one_region),
    "mpire (fused), chunk_size=1000": ("mpire", functools.partial(mpire, chunk=BATCH)),
    "joblib (fused), batch_size=1000": ("joblib", functools.partial(joblib, batch=BATCH)),
}
BY_HAND: dict[str, Chain] = {"Pipe.send, lists by hand": by_hand(sends)}


def _here(table: dict[str, tuple[str, Chain]]) -> dict[str, Chain]:
    return {name: chain for name, (module, chain) in table.items() if installed(module)}


DEFAULTS: dict[str, Chain] = CONTROLS | _here(LIBRARIES)
BEST: dict[str, Chain] = BY_HAND | _here(TUNED)
CHAINS: dict[str, Chain] = {"stagerunner": stagerunner} | DEFAULTS | BEST


class Dicts:
    """Job A's records, made as they are asked for; picklable, and its length is known."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return ({"id": number, "name": f"record {number}", "score": number * 0.5} for number in range(self.count))

    def __call__(self) -> Dicts:
        return self


def measured(name: str, count: int) -> Outcome:
    """Job A in one library, from the first result to the last, so that neither start nor end counts.

    Raises if records are missing or changed. Order is not asked for: not all keep it.
    """
    seen, score, first, last = 0, 0.0, 0.0, 0.0
    for record in CHAINS[name]([same, same, same], Dicts(count), None):
        first = first or time.perf_counter()
        seen += 1
        score += record["score"]
        if seen == count:
            last = time.perf_counter()
    if seen != count or score != count * (count - 1) / 4:
        raise AssertionError(f"{seen} of {count} records, or not the same ones")
    return Outcome(count, last - first)


if __name__ == "__main__":
    tell(measured(sys.argv[1], int(sys.argv[2])))
