"""`run.engine: inline`: all stages in this process, one after the other, so that `breakpoint()` works.

Every frame passes the same stations and the same codec as between processes, so it fails where they would fail, and
gives the same records, failures and books. Timeouts are not watched: nobody is there to watch them.
"""

from __future__ import annotations

import os
import selectors
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from typing import Any

from stagerunner.chain.frames import Frame, Header
from stagerunner.chain.groups import Group, groups_of, hires, slots_of
from stagerunner.chain.meters import Page, create
from stagerunner.chain.station import Station
from stagerunner.chain.transport import Ready, Transport, Trouble
from stagerunner.chain.worker import call_hooks, describe
from stagerunner.parts.files import know
from stagerunner.plan import Plan
from stagerunner.window.kinds import END


class InlineTransport:
    """Frames wait in a queue and are worked on when arrivals are asked for."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._groups = tuple(replace(group, width=1) for group in groups_of(plan))
        self._meters = create(slots_of(self._groups))
        self._page = Page(self._meters, slots_of(self._groups))
        self._stations: list[Station] = []
        self._queue: deque[Frame] = deque()
        self._current: Iterator[Frame] = iter(())
        self._open = ExitStack()
        self.ready: Ready | None = None
        self.ended = False
        self.trouble: Trouble | None = None

    def start(self, epoch: int, snapshots: dict[int, Any], *, careful: bool = False) -> None:
        know(self._plan.files)
        self._open.enter_context(redirect_stdout(sys.stderr))
        self._open.callback(_restore_environment, dict(os.environ))
        self._page.clear()
        errors = []
        for hire in hires(self._plan, self._groups, epoch, snapshots):
            os.environ.update(dict(hire.env))
            station = Station(hire, self._page)
            self._stations.append(station)
            try:
                call_hooks(hire.started_hooks, hire)
                station.setup()
            except BaseException as error:
                errors.append((hire.works[0].index if hire.works else 0, 0, os.getpid(), describe(error)))
        pids = tuple((index, 0, os.getpid()) for index in range(len(self._stations)))
        self.ready = Ready(pids, tuple(errors))

    def send(self, header: Header, notes: bytes, body: bytes) -> None:
        self._queue.append(Frame(header, notes + body))

    def end(self, frames: int) -> None:
        self._queue.append(Frame(Header(END, 0, 0, frames), b""))

    def arrivals(self) -> Iterator[Frame]:
        """What becomes of the next frame; one frame a call, so that the loop can look around in between."""
        if not self._queue or self.ready is None or self.ready.errors:
            return
        frame = self._queue.popleft()
        if frame.header.kind != END:
            yield from self._through(frame, 0)
            return
        for station in self._stations:
            station.close()
        self.ended = True

    def _through(self, frame: Frame, place: int) -> Iterator[Frame]:
        if place == len(self._stations):
            yield frame
            return
        for header, notes, body in self._stations[place].feed(frame):
            yield from self._through(Frame(header, b"".join((notes, body))), place + 1)

    @property
    def busy(self) -> bool:
        return bool(self._queue)

    def deadline(self) -> float | None:
        return None

    def look(self) -> None:
        pass

    def clocks(self) -> list[tuple[int, int, int, int, int, int]]:
        words = [station.slots[0].words for station in self._stations]
        return [(index, w[4], w[5], w[6], w[7], 1) for index, w in enumerate(words)]

    def teardown_failures(self) -> list[str]:
        return []

    def close(self) -> None:
        self._stations.clear()
        self._queue.clear()
        self._open.close()
        self._page.close()
        os.close(self._meters)


def _restore_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


class InlineEngine:
    """The engine to debug with."""

    name = "inline"

    def transport(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        lines: Callable[[str, int, bytes], None],
        hash_seed: str | None,
    ) -> Transport:
        return InlineTransport(plan)


__all__ = ["Group", "InlineEngine", "InlineTransport"]
