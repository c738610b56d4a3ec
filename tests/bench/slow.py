"""A slow sink, for the job about memory."""

from __future__ import annotations

import time

from stagerunner import sink

RATE = 150_000_000
"""Bytes a second."""


@sink("slow")
class Slow:
    """Write lines nowhere, at RATE."""

    keeps = "nothing"

    def __init__(self) -> None:
        self._until = time.monotonic()

    def encode(self, records: list[str]) -> bytes:
        return "\n".join([*records, ""]).encode()

    def write(self, data: bytes) -> None:
        now = time.monotonic()
        self._until = max(now, self._until + len(data) / RATE)
        time.sleep(self._until - now)

    def check(self) -> None: ...

    def open(self, position: object) -> None: ...

    def position(self) -> None: ...

    def commit(self, row: object) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...
