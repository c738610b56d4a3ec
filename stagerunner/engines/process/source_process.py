"""The source process: a stream source runs here, so that its code can neither block nor break the parent.

Arguments: the descriptors of its spec, of the pipe for its frames, and of the life pipe; then PYTHONPATH, as for the
fork server. Each number on the life pipe asks for one frame, with so many records at most. The process sends DATA
frames (pickled lists of records), then END, with the error as text if there was one. It belongs to no epoch: restarts
don't touch it.

A frame ends at a mark if one has come: at the last one within the number of records that were asked for. The mark, as
JSON, follows the records in the frame's payload, and the header's `last` says how long it is. A mark behind records
that have gone is sent alone, without being asked for.
"""

from __future__ import annotations

import errno
import os
import pickle
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from stagerunner.engines.process.worker.tuning import forward_logging
from stagerunner.evaluate.copying import defensive_copy
from stagerunner.evaluate.loading import load
from stagerunner.evaluate.wording import describe
from stagerunner.parts.files import register
from stagerunner.records import DATA, END, Mark
from stagerunner.wire.bounding import bounded
from stagerunner.wire.frame import Header
from stagerunner.wire.pipe import send, send_pieces
from stagerunner.wire.spec import ASKED, SourceSpec

AHEAD = 1000
"""Records that may be gathered before a frame for them is asked for."""


class SourceProcess:
    """The main thread runs the source; a second one sends what has gathered, and notices when the parent is gone."""

    def __init__(self, feed: SourceSpec, out: int, life: int) -> None:
        self._feed = feed
        self._out = out
        self._life = life
        self._gathered: list[Any] = []
        self._marks: list[tuple[int, bytes]] = []
        """The marks among the gathered records: how many of these stand before it, and its position as JSON."""
        self._over = False
        self._error = ""
        self._change = threading.Condition()
        self._sent = 0
        self._wanted = 1

    def run(self) -> int:
        sender = threading.Thread(target=self._send_all, daemon=True)
        try:
            sender.start()
        except RuntimeError as error:  # "can't start new thread"
            raise OSError(errno.EAGAIN, str(error)) from None
        try:
            for record in self._records():
                self._take(record)
        except BaseException as error:
            self._error = describe(error)
        with self._change:
            self._over = True
            self._change.notify_all()
        sender.join()
        return 0

    def _records(self) -> Iterator[Any]:
        found = load(self._feed.target)(**self._feed.options)
        if self._feed.marks:
            found.max_record = self._feed.max_record
        records = found.read(self._feed.after) if self._feed.marks else found
        forward_logging()
        yield from records

    def _take(self, item: Any) -> None:
        if type(item) is Mark:
            self._mark(self._encoded(item))
        else:
            self._gather(defensive_copy(item))

    def _encoded(self, mark: Mark) -> bytes:
        """Its position as JSON. Raises TypeError if there is no place for a mark here, or it isn't JSON data."""
        if not self._feed.marks:
            raise TypeError("a generator function gave a Mark; a stream with marks is a class with read(after)")
        import json  # late: most sources give no marks

        try:
            return json.dumps(mark.position, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise TypeError(f"the position of a Mark isn't JSON data: {error}") from None

    def _mark(self, position: bytes) -> None:
        with self._change:
            place = len(self._gathered)
            if self._marks and self._marks[-1][0] == place:
                self._marks.pop()
            self._marks.append((place, position))
            if not place:
                self._change.notify_all()

    def _gather(self, record: Any) -> None:
        with self._change:
            while len(self._gathered) >= max(AHEAD, self._wanted):
                self._change.wait()
            self._gathered.append(record)
            if len(self._gathered) in (1, self._wanted):
                self._change.notify_all()

    def _send_all(self) -> None:
        try:
            while self._send_some():
                pass
            self._end()
        except OSError:
            leave()  # the parent is gone
        except BaseException as error:
            # A record can't be pickled. The source may never end, so don't wait for it.
            self._error = describe(error)
            self._end()
            os._exit(0)

    def _send_some(self) -> bool:
        with self._change:
            while not self._gathered and not self._marks and not self._over:
                self._change.wait(0.5)
                self._look_for_parent()
            late, self._marks = self._cut_marks(0)
        if late:
            self._put([], late)
            return True
        if not self._gathered:
            return False
        self._wanted = wanted = self._asked()
        with self._change:
            if len(self._gathered) < wanted and not self._over:
                self._change.wait(self._feed.linger)
            number = self._until_mark(wanted)
            mark, self._marks = self._cut_marks(number)
            records, self._gathered = self._gathered[:number], self._gathered[number:]
            self._change.notify_all()
        self._put(records, mark)
        return True

    def _until_mark(self, wanted: int) -> int:
        """How many records to send of those wanted: up to the last mark among them."""
        return next((place for place, _ in reversed(self._marks) if place <= wanted), min(wanted, len(self._gathered)))

    def _cut_marks(self, number: int) -> tuple[bytes, list[tuple[int, bytes]]]:
        """The mark right behind so many gathered records, b"" without one; the marks behind it."""
        mark = next((position for place, position in self._marks if place == number), b"")
        return mark, [(place - number, position) for place, position in self._marks if place > number]

    def _asked(self) -> int:
        """Wait until the parent asks for a frame; for how many records."""
        number = os.read(self._life, ASKED)
        if not number:
            leave()
        return int.from_bytes(number, "little")

    def _put(self, records: list[Any], mark: bytes) -> None:
        data = pickle.dumps(records, 5) if records else b""
        if len(data) > self._feed.max_record:
            data = pickle.dumps(bounded(records, self._feed.max_record), 5)
        send(self._out, Header(DATA, 0, 0, self._sent, last=len(mark), records=len(records)), data, mark)
        self._sent += 1

    def _end(self) -> None:
        send_pieces(self._out, Header(END, 0, 0, self._sent), self._error.encode(errors="backslashreplace"))

    def _look_for_parent(self) -> None:
        poll = select.poll()
        poll.register(self._life, 0)  # only whether the other end is closed
        if poll.poll(0):
            leave()


def leave() -> None:
    """End at once, together with every process the source has started."""
    with suppress(OSError):
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def main() -> None:
    """Run the source process."""
    spec, out, life = (int(number) for number in sys.argv[1:4])
    os.environ.pop("PYTHONPATH", None)
    if len(sys.argv) > 4:
        os.environ["PYTHONPATH"] = sys.argv[4]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with open(spec, "rb") as file:
        register(pickle.load(file))  # options can be of types that a plugin's file defines
        feed: SourceSpec = pickle.load(file)
    os._exit(SourceProcess(feed, out, life).run())
