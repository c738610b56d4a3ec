"""Split sources: a splittable source, records of the caller, or standard input.

A split source is asked for the next split when the window has room. It answers at once, with a split or None.
"""

from __future__ import annotations

import os
import pickle
import selectors
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from time import monotonic
from typing import Any, Protocol, TypeGuard

from msgspec import Struct

from stagerunner.errors import RunFailed, StagerunnerError, UsageError
from stagerunner.evaluate.copying import defensive_copy, share_nothing
from stagerunner.guard import guard, is_ctrl_c, plain, wrong
from stagerunner.parts.source import Want
from stagerunner.records import Origin, Split
from stagerunner.runtime.blocks import Loaded
from stagerunner.wire.bounding import bounded
from stagerunner.wire.payload import Strange, packing

SOURCE = "the source"
"""The name of the source in messages about failures."""

SIMPLE = frozenset((str, int, float, bool, type(None)))
"""A list of these can stand in a journal; any other position is tried."""

AHEAD = 4
"""Splits of standard input that may wait before reading pauses."""

SMALL = 65536
"""Bytes of a split below which standard input is cut by number: a pipe gives so many bytes at once, however many
records they are."""


class PendingSplit(Struct):
    """The next split: payload for a worker, bytes, position behind it, most records, number of its first record.

    marked: it is of a resumable stream, which can be read again only from a mark: its position is the mark right behind
    it, or None without one. place: what `locate` needs besides.
    """

    payload: Any
    size: int
    position: Any = None
    most: int | None = None
    base: int | None = None
    marked: bool = False
    place: Any = None


class SplitSource(Protocol):
    """Gives splits. `ended`: there will be no more. `error`: why, if the source failed."""

    error: BaseException | None

    @property
    def ended(self) -> bool: ...
    @property
    def prompt(self) -> bool:
        """Whether `next` may give a split at once, without waiting for events."""

    def next(self, want: Want) -> PendingSplit | None: ...
    def locate(self, payload: bytes, base: int | None, record: int, place: Any = None) -> Origin: ...
    def total(self) -> int | None:
        """Bytes of the whole source, if known."""

    def close(self) -> None: ...


class MarkedSource:
    """The base of a split source that may give marks.

    marks: whether it does. late_mark: called with the position of a mark behind everything that was given.
    """

    error: BaseException | None = None

    def __init__(self, *, marks: bool) -> None:
        self.marks = marks
        self.late_mark: Callable[[Any], None] = lambda position: None


class GivenRecords:
    """Records of an iterable that never waits, pickled as they are sent. Deadlines stand still meanwhile.

    For an iterator that may wait see `iterator_input`.
    """

    prompt = True

    def __init__(self, records: Iterable[Any], linger: float = 0.05) -> None:
        self._iterator = iter(records)
        self._linger = linger
        self.pack: Callable[[list[Any], bool], Any] = packing()
        """(records, plain) → payload. Raises Strange if `plain` and some record is not. May be replaced."""
        self.drop: Callable[[Any], None] = lambda payload: None
        """Called with a payload that is not sent."""
        self.max_record = sys.maxsize
        self._plain = True
        """All records so far were of plain types."""
        self._count = 0
        self.elsewhere = False
        """The records go to other processes."""
        self.ended = False
        self.error: BaseException | None = None

    def next(self, want: Want) -> PendingSplit | None:
        if self.ended:
            return None
        records: list[Any] = []
        try:
            self.ended = self._gather(records, want.records)
        except Exception as error:
            self.error, self.ended = error, True
        return self._pending_split(records) if records else None

    def _gather(self, records: list[Any], wanted: int) -> bool:
        """Take records until there are `wanted`, or `linger` is over; whether the iterable has ended."""
        began, size = monotonic(), 1
        while True:
            goal = min(wanted, len(records) + size)
            records.extend(islice(self._iterator, goal - len(records)))
            if len(records) < goal:
                return True
            if goal == wanted or monotonic() - began >= self._linger:
                return False
            size *= 4

    def _pending_split(self, records: list[Any]) -> PendingSplit | None:
        try:
            if self.elsewhere and not self._count:
                _refuse_of_main(records[0])
            payload, size = self._bounded(records)
        except Exception as error:
            self.error, self.ended = error, True
            return None
        base = self._count
        self._count += len(records)
        return PendingSplit(payload, size, None, len(records), base)

    def _bounded(self, records: list[Any]) -> tuple[Any, int]:
        """The payload of the records, too large ones replaced by failures, and its size."""
        payload = self._payload(records)
        size = payload.size if isinstance(payload, Loaded) else len(payload)
        if size <= self.max_record or (fit := bounded(records, self.max_record)) is records:
            return payload, size
        self.drop(payload)
        self._plain = False  # a failure is not of a plain type
        return self._bounded(fit)

    def _payload(self, records: list[Any]) -> Any:
        """The records pickled so that no two share an object. For plain records the first worker does that
        (`copy_if_shared`)."""
        if self._plain:
            try:
                return self.pack(records, True)
            except Strange:
                self._plain = False
        return self.pack(records if share_nothing(records) else list(map(defensive_copy, records)), False)

    def locate(self, payload: bytes, base: int | None, record: int, place: Any = None) -> Origin:
        return Origin("", None, (base or 0) + record)

    def total(self) -> int | None:
        return None

    def close(self) -> None:
        self.ended = True


def _refuse_of_main(record: Any) -> None:
    """Raises UsageError for a type of `__main__`: pickle stores its name, and a worker has another `__main__`."""
    kind = type(record)
    if kind.__module__ == "__main__":
        message = f"a worker process can't read records of type {kind.__qualname__}, which is defined in __main__"
        raise UsageError(f"{message}; move it to a module, or take engine='inline'")


class Rereadable:
    """The base of a split source that may be read again from its beginning, with the same cuts."""

    can_rewind = True

    def remember(self) -> None:
        """Keep how each split was cut, for `rewind`."""
        raise NotImplementedError

    def rewind(self) -> None:
        """Begin again with the same cuts."""
        raise NotImplementedError


def splits_of(source: Any, after: Any, want: Want) -> Iterator[Split]:
    """The splits behind a position. A source whose splits have only one size doesn't take what is wanted."""
    code = getattr(source.splits, "__code__", None)
    if code is not None and code.co_argcount < 3:
        return iter(source.splits(after))
    return iter(source.splits(after, want))


class SourceSplits(Rereadable):
    """The splits of a splittable source, behind the position `after`."""

    prompt = True

    def __init__(self, source: Any, after: Any) -> None:
        self._source = source
        self._after = after
        self._want = Want()
        self._wants: list[tuple[int, int, bool]] = []
        self._again: Iterator[tuple[int, int, bool]] = iter(())
        self._remembers = False
        self._total = self._size()
        self._splits = self._ask(after)
        self.ended = False
        self.error: BaseException | None = None

    def _ask(self, after: Any) -> Iterator[Split]:
        with guard(SOURCE, "splits"):
            return splits_of(self._source, after, self._want)

    def rewind(self) -> None:
        """Begin again with the same cuts."""
        self._splits, self._again, self.ended = self._ask(self._after), iter(list(self._wants)), False

    def remember(self) -> None:
        """Keep how each split was cut, for `rewind`."""
        self._remembers = True

    def next(self, want: Want) -> PendingSplit | None:
        if self.ended:
            return None
        before = next(self._again, None)
        size, records, exact = before or (want.size, want.records, want.exact)
        if before is None and self._remembers:
            self._wants.append((size, records, exact))
        self._want.size, self._want.records, self._want.exact = size, records, exact
        try:
            split = next(self._splits, self)  # None from the source is not the end
            if split is not self:
                pending = _pending_split(split, "splits", again=True)
                # An empty split means that the source still looks for the end of a record: ask again later.
                return None if pending.most == 0 else pending
        except BaseException:  # the guard stands here, because it would cost each split a microsecond
            try:
                with guard(SOURCE, "splits"):
                    raise
            except StagerunnerError as error:
                self.error = error
        self.ended = True
        return None

    def locate(self, payload: bytes, base: int | None, record: int, place: Any = None) -> Origin:
        return _located(self._source, payload, record)

    def total(self) -> int | None:
        return self._total

    def _size(self) -> int | None:
        """The source's size. Asked before anything begins, because it may fail."""
        with guard(SOURCE, "size"):
            size = self._source.size() if hasattr(self._source, "size") else None
        if not isinstance(size, int | None):
            raise wrong(SOURCE, "size", size, "a whole number")
        return size

    def close(self) -> None:
        """Let the source close what it holds open. An error in that changes nothing about the run."""
        self.ended = True
        close = getattr(self._source, "close", None)
        if close is not None:
            with suppress(StagerunnerError), guard(SOURCE, "close"):
                close()


class StandardInput:
    """Standard input, or another stream, read when data is there, and cut into splits by its source.

    own: close the descriptor at the end.
    """

    def __init__(self, source: Any, selector: selectors.BaseSelector, fd: int = 0, *, own: bool = False) -> None:
        self._source = source
        self._selector = selector
        self._fd = fd
        self._own = own
        self._waiting: deque[Split] = deque()
        self._registered = False
        self._over = False
        self._want = Want()
        self._cutting: Iterator[Split] | None = None
        """The waiting splits, recut to the records that are wanted."""
        self.error: BaseException | None = None
        self._pollable = self._watch()

    @property
    def ended(self) -> bool:
        return self._over and not self._waits

    @property
    def prompt(self) -> bool:
        return self._waits or not self._pollable

    @property
    def _waits(self) -> bool:
        return bool(self._waiting) or self._cutting is not None

    def _watch(self) -> bool:
        """Register with the selector; False for a plain file, which can't be polled and never blocks."""
        if self._registered or self._over:
            return True
        try:
            self._selector.register(self._fd, selectors.EVENT_READ, self._read)
        except PermissionError:
            return False
        self._registered = True
        return True

    def _unwatch(self) -> None:
        if self._registered:
            self._selector.unregister(self._fd)
            self._registered = False

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 262144)
        except BlockingIOError:
            return
        except OSError as error:
            self.error = RunFailed(f"the source can't be read: {error.strerror}")
            data = b""
        with guard(SOURCE, "feed"):
            if data:
                self._waiting.extend(self._source.feed(data))
            else:
                self._over = True
                self._waiting.extend(self._source.feed_end())
        if self._over or len(self._waiting) > AHEAD:
            self._unwatch()

    def next(self, want: Want) -> PendingSplit | None:
        # One read, even if no record is complete: a record without an end must not block the parent.
        if not self._pollable and not self._over and not self._waits:
            self._read()
        split = self._next_split(want) if self._waits else None
        if len(self._waiting) <= AHEAD and self._pollable:
            self._watch()
        if split is None:
            return None
        with guard(SOURCE, "feed"):
            return _pending_split(split, "feed", again=False)

    def _next_split(self, want: Want) -> Split | None:
        """The next split. If small ones are wanted, it is cut to their number of records, or to fewer at the end of
        what is here: nothing waits for more."""
        self._want.records, self._want.exact = want.records, want.exact or want.size < SMALL
        by_number = getattr(self._source, "by_number", None)
        if self._cutting is None:
            if by_number is None or not self._want.exact:
                return self._waiting.popleft()
            self._cutting = by_number(self._taken(), self._want)
        with guard(SOURCE, "by_number"):
            split = next(self._cutting, None)
        if split is None:
            self._cutting = None
        return split

    def _taken(self) -> Iterator[Split]:
        while self._waiting:
            yield self._waiting.popleft()

    def locate(self, payload: bytes, base: int | None, record: int, place: Any = None) -> Origin:
        return _located(self._source, payload, record)

    def total(self) -> int | None:
        return None

    def close(self) -> None:
        self._unwatch()
        self._over = True
        self._cutting = None
        self._waiting.clear()
        if self._own:
            os.close(self._fd)
            self._own = False


def stream_of(source: Any, selector: selectors.BaseSelector) -> StandardInput | None:
    """The split source for a path that can't be read twice; None for other sources. Raises UsageError."""
    if not (getattr(source, "stream", False) or getattr(source, "stdin", False)):
        return None
    try:
        fd = source.open_stream() if hasattr(source, "open_stream") else 0
    except OSError as error:
        raise UsageError(f"the source can't be opened: {error}") from error
    if fd == 0 and sys.__stdin__ is None:  # the descriptor was closed when Python started
        raise UsageError("standard input is closed; -i FILE reads a file")
    return StandardInput(source, selector, fd, own=fd != 0)


def _pending_split(split: Any, method: str, *, again: bool) -> PendingSplit:
    """The split of a source, checked. Raises RunFailed for anything else, or for wrong values in it.

    again: the source can be read again from the split's position.
    """
    if not isinstance(split, Split):
        raise wrong(SOURCE, method, split, "a Split")
    if type(split.size) is not int or not isinstance(split.most, int | None):
        odd = split.size if type(split.size) is not int else split.most
        raise wrong(SOURCE, f"`size` or `most` of a split of {method}", odd, "a whole number")
    position = split.position if again else None
    if again and (type(position) is not list or not SIMPLE.issuperset(map(type, position))):
        position = plain(position, SOURCE, method)
    return PendingSplit(pickle.dumps(split.data, 5), split.size, position, split.most)


def _located(source: Any, payload: bytes, record: int) -> Origin:
    """The origin of a source record, as the source says; else its number in the split."""
    if not hasattr(source, "locate"):
        return Origin("", None, record)
    return located(lambda: source.locate(Split(pickle.loads(payload), 0), record), record)


def located(find: Callable[[], Any], number: int) -> Origin:
    """The origin that a source's `locate` finds; just the number if it finds none."""
    try:
        found = find()
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        found = None
    return found if _is_origin(found) else Origin("", None, number)


def _is_origin(found: Any) -> TypeGuard[Origin]:
    return (
        isinstance(found, Origin)
        and isinstance(found.name, str)
        and isinstance(found.offset, int | None)
        and isinstance(found.number, int | None)
    )
