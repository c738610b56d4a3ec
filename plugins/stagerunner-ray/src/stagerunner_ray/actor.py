"""The actor: a seat for one worker. Imported in the cluster, and in the parent only once Ray is."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import ray

from stagerunner.engines.process.seat import Report, Seat, SeatSpec
from stagerunner.records import END
from stagerunner.wire.bundle import frames_of


@ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)
class Actor:
    """Holds the worker's process, and passes frames to it and back."""

    def __init__(self, folder: str, path: list[str], hash_seed: str | None) -> None:
        with suppress(OSError):  # elsewhere there may be no such folder
            os.chdir(folder)
        sys.path += [entry for entry in path if entry not in sys.path]
        self._seat = Seat(hash_seed)

    def begin(self, told: SeatSpec) -> Report:
        """Start the worker and wait until it is set up."""
        return self._seat.begin(told)

    @ray.method(num_returns=2)  # type: ignore[untyped-decorator]
    def feed(self, data: bytes | None) -> tuple[Report, bytes | None]:
        """What becomes of a frame; nothing of nothing."""
        if data is None:
            return Report(nothing=True), None
        frame = next(frames_of(data))
        if frame.header.kind == END:
            return self._seat.end(data), None
        return self._seat.feed(data, ray.get_runtime_context().is_canceled)

    def close(self) -> None:
        """End the worker."""
        self._seat.close()
