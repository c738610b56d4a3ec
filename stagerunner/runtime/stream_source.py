"""The parent's side of a stream source: it starts the source process and keeps its frames as opaque bytes.

A mark of a resumable stream becomes the position of the split that it follows. One that comes late, when that split has
been given already, goes to `late_mark`.
"""

from __future__ import annotations

import json
import os
import pickle
import selectors
import signal
from collections import deque
from contextlib import suppress
from typing import Any

from stagerunner.engines.process.parent.fork_server import refusal_of, run_module
from stagerunner.engines.process.parent.printed import OnPrinted, Printed
from stagerunner.errors import RunFailed
from stagerunner.guard import refused
from stagerunner.parts.source import Want
from stagerunner.records import END, Origin
from stagerunner.runtime.input import AHEAD, MarkedSource, PendingSplit, located
from stagerunner.wire.frame import BadFrame, Frame
from stagerunner.wire.pipe import ControlMessage, Inbound, widen
from stagerunner.wire.spec import ASKED, SourceSpec

LARGEST = 2**31
"""Bytes of the largest frame a source process may send."""


class Stream(MarkedSource):
    """A split source whose splits come from a source process: so many frames ahead, each as large as was wanted when it
    was asked for.

    first: records in the first frames, at most. lines: gets what the source prints. source: the parent's instance of a
    resumable stream, which says where records stand. before: records that a resumed run took from it before.
    """

    def __init__(
        self,
        feed: SourceSpec,
        first: int,
        selector: selectors.BaseSelector,
        lines: OnPrinted,
        hash_seed: str | None,
        source: Any = None,
        before: int = 0,
    ) -> None:
        super().__init__(marks=feed.marks)
        self._selector = selector
        self._source = source
        self._waiting: deque[PendingSplit] = deque()
        self._count = before
        self._place = (feed.after, before)
        """The last mark that came, and how many records there are before it."""
        self._over = False
        self._end = ControlMessage(END)
        """Its text is what the source failed with; empty where it did not fail."""
        reading, out = os.pipe()
        spec, spec_end = os.pipe()
        life, self._life = os.pipe()
        output_reader, output_writer = os.pipe()
        self._printed = Printed(selector, lines)
        self._printed.watch(output_reader, "source")
        widen(out)
        self._pipe = Inbound(reading, LARGEST)
        os.set_blocking(reading, False)
        try:
            self._process = run_module(
                "stagerunner.engines.process.source_process", (spec, out, life), output_writer, hash_seed
            )
        finally:
            for fd in (spec, out, life, output_writer):
                os.close(fd)
        with open(spec_end, "wb") as file, suppress(BrokenPipeError):
            pickle.dump(feed.files, file, 5)
            pickle.dump(feed, file, 5)
        selector.register(reading, selectors.EVENT_READ, self._read)
        for _ in range(AHEAD):
            self._ask(first)

    def _ask(self, records: int) -> None:
        """Ask for a frame with so many records at most."""
        with suppress(BrokenPipeError):  # it has died; its pipe says so
            os.write(self._life, records.to_bytes(ASKED, "little"))

    @property
    def ended(self) -> bool:
        return self._over and not self._waiting

    @property
    def prompt(self) -> bool:
        return bool(self._waiting)

    def _read(self) -> None:
        try:
            if not self._pipe.fill():
                self._died("it ended without END")
            while (frame := self._pipe.take()) is not None:
                self._take(frame)
        except BlockingIOError:
            pass
        except BadFrame as fault:
            self._died(str(fault))
        if self._over:
            self._selector.unregister(self._pipe.fd)

    def _take(self, frame: Frame) -> None:
        if frame.header.kind != END:
            self._take_data(frame)
            return
        if self._end.add(frame):
            self._over = True
            if self._end.data:
                self.error = RunFailed(f"the source failed: {self._end.data.decode(errors='replace')}")

    def _take_data(self, frame: Frame) -> None:
        """Keep the records of a frame, and the mark behind them."""
        records, size = frame.header.records, len(frame.payload) - frame.header.last
        mark = json.loads(bytes(frame.payload[size:])) if frame.header.last else None
        if records:
            body = bytes(frame.payload[:size])
            split = PendingSplit(body, size, mark, records, self._count, marked=self.marks, place=self._place)
            self._waiting.append(split)
            self._count += records
        elif self._waiting:
            self._waiting[-1].position = mark
        else:
            self.late_mark(mark)
        if mark is not None:
            self._place = (mark, self._count)

    def _died(self, how: str) -> None:
        if not self._over:
            self._over = True
            refusal = refusal_of(self._process)
            self.error = RunFailed(f"the source's process failed: {how}") if refusal is None else refused(refusal)

    def next(self, want: Want) -> PendingSplit | None:
        if not self._waiting:
            return None
        self._ask(want.records)
        return self._waiting.popleft()

    def locate(self, payload: bytes, base: int | None, record: int, place: Any = None) -> Origin:
        number = (base or 0) + record
        if place is None or not hasattr(self._source, "locate"):
            return Origin("", None, number)
        after, before = place
        return located(lambda: self._source.locate(after, number - before), number)

    def total(self) -> int | None:
        return None

    def close(self) -> None:
        """End the source process, with every process it has started."""
        if self._life < 0:
            return
        if not self._over:
            self._selector.unregister(self._pipe.fd)
        self._over = True
        self._waiting.clear()
        os.close(self._life)
        self._life = -1
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._printed.close()
        os.close(self._pipe.fd)
