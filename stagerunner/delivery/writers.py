"""Where accepted results go: a sink, standard output, or the caller."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Protocol

from stagerunner.errors import OutputBusy, RunFailed, StagerunnerError, UsageError
from stagerunner.evaluate.refusable import Why, failures_of, parted
from stagerunner.evaluate.wording import message_of, type_of
from stagerunner.guard import guard, head, is_ctrl_c, passes, plain, wrong
from stagerunner.parts.sink import Sink
from stagerunner.records import Failure
from stagerunner.window.core import CHARGE

MOST_WAITING = 2**20
"""Accepted bytes that wait for a slow reader or the caller; beyond, no frame is received."""


class ResultWriter(Protocol):
    """Gets the bodies of accepted frames, in order."""

    keeps: str
    refused: Sequence[Failure]
    """Of the body that was written last: the records that the sink has refused."""

    def open(self, position: Any) -> None: ...
    @property
    def ahead(self) -> bool:
        """Whether `coming` must be called before each `write`: some sink has had results that are made again."""

    @property
    def edges(self) -> list[int]:
        """So many source records behind the beginning, frames must be cut."""

    def coming(self, records: int | None) -> None:
        """The results of so many source records come next; None: those of a flush."""

    def write(self, body: memoryview, records: int, buffers: Sequence[memoryview] = ()) -> None:
        """Write one body. buffers: the out-of-band buffers of a pickled body."""

    def columns(self) -> dict[int, Any]:
        """The columns for which workers encode, by the number of the sink; none that a sink doesn't know yet."""

    def misfit(self, body: memoryview) -> int | None:
        """The number of a sink for whose output this body was encoded with other columns; None if it fits all."""

    def pauses_dispatch(self) -> bool:
        """Whether no split should be dispatched before some results have gone."""

    def pauses_receiving(self) -> bool:
        """Whether no frame should be received before some results have gone."""

    def position(self) -> Any: ...
    def commit(self, row: Any) -> None: ...
    def sync(self) -> None: ...
    def finish(self) -> None: ...
    def discard(self) -> None: ...
    def abort(self) -> None: ...


def calling(sink: Any, method: str) -> guard:
    """A guard: what the sink raises in this method ends the run, with the sink's name."""
    return guard(lambda: f"the sink {named(sink)}", method, refused="can't be written")


def named(sink: Any) -> str:
    """What the sink calls its output, or the name of its class."""
    try:
        described = sink.describe() if hasattr(sink, "describe") else None
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        described = None
    return described if isinstance(described, str) and described else type(sink).__name__


class _Even:
    """A result writer that takes what comes at once, and is never ahead of the journal: it is alone, so what it has is
    where the run stands."""

    ahead = False
    edges: ClassVar[list[int]] = []
    refused: Sequence[Failure] = ()

    def coming(self, records: int | None) -> None:
        pass

    def pauses_dispatch(self) -> bool:
        return False

    def pauses_receiving(self) -> bool:
        return False


class _Columned:
    """The questions to a sink with columns."""

    _sink: Any

    def columns(self) -> dict[int, Any]:
        find = getattr(self._sink, "columns", None)
        if find is None:
            return {}
        with calling(self._sink, "columns"):
            columns = find()
        return {} if columns is None else {0: plain(columns, f"the sink {named(self._sink)}", "columns")}

    def misfit(self, body: memoryview) -> int | None:
        fits = getattr(self._sink, "fits", None)
        if fits is None:
            return None
        with calling(self._sink, "fits"):
            return None if fits(body) else 0


class SinkWriter(_Columned, _Even):
    """Passes what `encode` gave in the last worker to the sink's `write`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.keeps: str = sink.keeps
        self._opened = False

    def open(self, position: Any) -> None:
        with calling(self._sink, "open"):
            try:
                self._sink.open(position)
            except BlockingIOError:
                raise OutputBusy(f"another run owns this output ({named(self._sink)} is locked)") from None
            except (OSError, ValueError) as error:
                if getattr(error, "errno", None) is not None:
                    raise
                # The sink's own message: the existing output doesn't fit, and trying again won't help.
                raise UsageError(str(error)) from None
        self._opened = True

    def write(self, body: memoryview, records: int, buffers: Sequence[memoryview] = ()) -> None:
        if records:
            try:
                self._sink.write(body)
            except BaseException as error:  # as `calling` does, which would cost each frame a microsecond
                if passes(error):
                    raise
                raise calling(self._sink, "write").failure(error) from error

    def position(self) -> Any:
        with calling(self._sink, "position"):
            position = self._sink.position()
        return plain(position, f"the sink {named(self._sink)}", "position")

    def commit(self, row: Any) -> None:
        with calling(self._sink, "commit"):
            self._sink.commit(row)

    def sync(self) -> None:
        sync = getattr(self._sink, "sync", None)
        if sync is not None:
            with calling(self._sink, "sync"):
                sync()

    def finish(self) -> None:
        with calling(self._sink, "finish"):
            self._sink.finish()

    def discard(self) -> None:
        """The run can't be resumed: the sink need not keep anything."""
        discard = getattr(self._sink, "discard", None)
        if self._opened and discard is not None:
            with suppress(StagerunnerError), calling(self._sink, "discard"):
                discard()

    def abort(self) -> None:
        if self._opened:
            with suppress(StagerunnerError), calling(self._sink, "abort"):
                self._sink.abort()  # the error that ended the run is reported; this one would hide it


class RefusingWriter(SinkWriter):
    """Of a sink that says which records it refuses. They become failures of the sink, of the kind of its `on_error`.

    stage: under which the sink is counted.
    """

    def __init__(self, sink: Any, stage: int, on_error: str) -> None:
        super().__init__(sink)
        self._stage = stage
        self._on_error = on_error

    def write(self, body: memoryview, records: int, buffers: Sequence[memoryview] = ()) -> None:
        self.refused = self.failures(body, self.put(body, records)) if records else ()

    def put(self, body: memoryview, records: int) -> dict[int, Why]:
        """Write what the sink takes; what it refuses, by number of the record in the body, and why."""
        with calling(self._sink, "write_or_refuse"):
            refused = self._sink.write_or_refuse(parted(body)[1])
        if not isinstance(refused, dict) or not all(type(at) is int and 0 <= at < records for at in refused):
            raise wrong(f"the sink {named(self._sink)}", "write_or_refuse", refused, "a dict of numbers of its records")
        return {at: (type_of(error), message_of(error)) for at, error in refused.items()}

    def failures(self, body: memoryview, refused: Mapping[int, Why]) -> list[Failure]:
        return failures_of(parted(body)[0], refused, self._stage, self._on_error) if refused else []

    def misfit(self, body: memoryview) -> int | None:
        return super().misfit(parted(body)[1])


class _Keepless(_Even):
    """What result writers without a position have in common."""

    keeps = "nothing"

    def columns(self) -> dict[int, Any]:
        return {}

    def misfit(self, body: memoryview) -> int | None:
        return None

    def open(self, position: Any) -> None:
        pass

    def position(self) -> Any:
        return None

    def commit(self, row: Any) -> None:
        pass

    def sync(self) -> None:
        pass

    def finish(self) -> None:
        pass

    def discard(self) -> None:
        pass

    def abort(self) -> None:
        pass


class NullWriter(_Keepless):
    """Drops results: a sample only measures what they cost."""

    def write(self, body: memoryview, records: int, buffers: Sequence[memoryview] = ()) -> None:
        pass


class CallerWriter(_Keepless):
    """Keeps frames for the caller of the Python API, pickled until their records are asked for.

    They are unpickled late because records are cheapest to use while they are in the cache: 1,600 small ones fill it.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[memoryview, Sequence[memoryview]]] = deque()
        self._queued = 0

    def write(self, body: memoryview, records: int, buffers: Sequence[memoryview] = ()) -> None:
        if records:
            self.waiting.append((body, buffers))
            self._queued += _size(body, buffers)

    def records(self) -> list[Any]:
        """The records of the oldest frame. Raises RunFailed if they can't be unpickled here."""
        body, buffers = self.waiting.popleft()
        self._queued -= _size(body, buffers)
        try:
            found: list[Any] = pickle.loads(body, buffers=buffers)
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            raise RunFailed(f"a result can't be unpickled here: {head(error)}") from error
        return found

    def pauses_dispatch(self) -> bool:
        return len(self.waiting) > 1

    def pauses_receiving(self) -> bool:
        return self._queued > MOST_WAITING


def _size(body: memoryview, buffers: Sequence[memoryview]) -> int:
    return CHARGE + body.nbytes + sum(buffer.nbytes for buffer in buffers)


class StdoutWriter(_Columned, _Keepless):
    """Keeps bytes for standard output, a pipe or a device until the loop can write without blocking.

    If `encode` gives something other than bytes of the file, the sink's `rendered` turns it into bytes.
    """

    def __init__(self, sink: Any) -> None:
        self._sink = sink
        self.name = named(sink)
        self.stdout: bool = getattr(sink, "stdout", False)
        self.waiting: deque[memoryview] = deque()
        self.queued = 0

    def write(self, body: memoryview, records: int, buffers: Sequence[memoryview] = ()) -> None:
        data = self._rendered(body) if hasattr(self._sink, "rendered") else body
        if len(data):
            self.waiting.append(data)
            self.queued += len(data)

    def _rendered(self, body: memoryview) -> memoryview:
        with calling(self._sink, "rendered"):
            return memoryview(self._sink.rendered(body))

    def pauses_dispatch(self) -> bool:
        return self.queued + CHARGE * len(self.waiting) > MOST_WAITING

    def pauses_receiving(self) -> bool:
        return self.pauses_dispatch()

    def finish(self) -> None:
        with calling(self._sink, "finish"):
            self._sink.finish()

    def abort(self) -> None:
        with suppress(StagerunnerError), calling(self._sink, "abort"):
            self._sink.abort()
