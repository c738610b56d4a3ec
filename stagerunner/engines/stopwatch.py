"""How long something took, had nobody else wanted the cores."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from time import perf_counter, process_time

from stagerunner.tuples import NamedTuple

_SCHEDULED = Path("/proc/thread-self/schedstat")


class Spent(NamedTuple):
    """Seconds. time: at work or waiting for something; cpu: of that, at work."""

    time: float
    cpu: float


class Stopwatch:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._delayed = delayed()
        self._cpu = process_time()
        self._began = perf_counter()

    def stop(self) -> Spent:
        time, cpu = perf_counter() - self._began, process_time() - self._cpu
        return Spent(max(cpu, time - (delayed() - self._delayed)), cpu)


def delayed() -> float:
    """Seconds that this thread has been ready to run and had no core; 0 where the system doesn't tell; Linux does."""
    with suppress(OSError, IndexError, ValueError):
        return int(_SCHEDULED.read_text().split()[1]) / 1e9
    return 0.0
