"""The actor: a seat for one worker. Imported in the cluster, and in the parent only once Ray is."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NamedTuple

import ray

from stagerunner.engines.process.seat import Report, Seat, SeatSpec
from stagerunner.records import END
from stagerunner.wire.frame import frames_of
from stagerunner_ray.shipping import moved, unpacked


class Surroundings(NamedTuple):
    """What the workers of a run find around them. run: tells one run from another.

    path: the parent's `sys.path`. files: contents of plugin files, by path in the parent. environment: the parent's, on
    its own machine; else nothing.
    """

    run: str
    folder: str
    path: tuple[str, ...]
    files: dict[str, bytes]
    environment: dict[str, str]
    hash_seed: str | None


RESULTS, ASIDE = "results", "aside"
"""Groups of calls that run beside the others, one after the other: those that wait for results, and `drop`."""


@ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0, concurrency_groups={RESULTS: 1, ASIDE: 1})
class Actor:
    """Holds the worker's process, and passes frames to it and back: with `feed`, or, of a stage that works ahead, with
    a `put` and a `take` for each, so that several frames are in the worker at once."""

    def __init__(self) -> None:
        self._seat: Seat | None = None
        self._surroundings: Surroundings | None = None
        self._path = list(sys.path)
        self._places: dict[str, str] = {}
        self._dropped = False

    def begin(self, told: SeatSpec, surroundings: Surroundings) -> Report:
        """Start the worker and wait until it is set up."""
        if self._seat is None or self._surroundings != surroundings:
            self._settle(surroundings)
        assert self._seat is not None
        self._dropped = False
        return self._seat.begin(told._replace(sealed=moved(told.sealed, self._places)))

    def _settle(self, surroundings: Surroundings) -> None:
        """Take a seat for a run: its worker inherits folder, path and environment from this process."""
        self.close()
        with suppress(OSError):  # elsewhere there may be no such folder
            os.chdir(surroundings.folder)
        sys.path[:] = [*self._path, *(entry for entry in surroundings.path if entry not in self._path)]
        os.environ.update(surroundings.environment)
        self._places = unpacked(surroundings.files)
        self._seat, self._surroundings = Seat(surroundings.hash_seed), surroundings

    @ray.method(num_returns=2)  # type: ignore[untyped-decorator]
    def feed(self, data: bytes | None) -> tuple[Report, bytes | None]:
        """What becomes of a frame; nothing of nothing."""
        if data is None or self._dropped:
            return Report(nothing=True), None
        frame = next(frames_of(data))
        assert self._seat is not None
        if frame.header.kind == END:
            return self._seat.end(data), None
        return self._seat.feed(data, self._unwanted)

    def put(self, data: bytes | None) -> bytes | None:
        """Give the worker a frame. What it returns is for `take`: END itself, nothing of nothing."""
        if data is None or next(frames_of(data)).header.kind == END:
            return data
        assert self._seat is not None
        self._seat.put(data)
        return b""

    @ray.method(num_returns=2, concurrency_group=RESULTS)  # type: ignore[untyped-decorator]
    def take(self, put: bytes | None) -> tuple[Report, bytes | None]:
        """What becomes of the frame that was put."""
        if put is None or self._dropped:
            return Report(nothing=True), None
        assert self._seat is not None
        return (self._seat.end(put), None) if put else self._seat.take(self._unwanted)

    def _unwanted(self) -> bool:
        return self._dropped or ray.get_runtime_context().is_canceled()

    @ray.method(concurrency_group=ASIDE)  # type: ignore[untyped-decorator]
    def drop(self) -> None:
        """Give up every frame that was submitted, until the next `begin`: the parent no longer waits for them."""
        self._dropped = True

    def close(self) -> None:
        """End the worker."""
        if self._seat is not None:
            self._seat.close()
            self._seat = None
