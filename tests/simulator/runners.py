"""A simulated stage runner: what `engines/worker/stage_runner.py` promises to do with a frame, and no more.

`feed` yields the frames to send, and None wherever a worker could be killed between two of them.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

from simulator.behaviour import CALLS, Behaviour, Died, Flaw, Memory, flush, form_of, kills_in_decoding
from simulator.frame_context import SimFrameContext, SimPiece, SimSlot, SimStop
from simulator.pipes import SimFrame
from simulator.scenario import Scenario, line

from stagerunner.evaluate.branches import packed
from stagerunner.evaluate.refusable import LENGTH
from stagerunner.records import BARRIER, DATA, SOURCE, WHOLE, Counts, Failure, Spread, spread_counters
from stagerunner.wire.frame import CUT, MORE, STOP, Frame, Header, Metadata, pack_metadata, pack_spread

Judge = Callable[[int, int, int, int], None]
"""Called when a quarantine takes effect: split, stage, source record, ordinal."""


class SimRunner:
    """One stage, set up, in one worker."""

    def __init__(self, scenario: Scenario, index: int, snapshot: Any, stop: SimStop, judge: Judge) -> None:
        self._scenario = scenario
        self._index = self.index = index
        self._stage: Behaviour = scenario.stages[index]
        self._memory = Memory([] if snapshot is None else list(snapshot))
        self._call = CALLS[self._stage.kind]
        self._last = index == len(scenario.stages) - 1
        self._stop = stop
        self._judge = judge
        self._context = SimFrameContext(Header(DATA, 0, 0, 0))
        self.slot = SimSlot()
        self.took = self.gave = 0
        """Records."""

    @property
    def has_state(self) -> bool:
        return form_of(self._stage).state

    def feed(self, frame: SimFrame) -> Iterator[SimFrame | None]:
        kind = frame.header.kind
        if kind == DATA:
            return self._data(frame)
        if kind == BARRIER:
            return iter([self._barrier(frame)])
        return self._flush(frame) if frame.content == self._index else iter([frame])

    # Records

    def _data(self, frame: SimFrame) -> Iterator[SimFrame | None]:
        self.enter(frame)
        yield None
        yield from self.worked(self.opened(frame), frame.header.more)

    def enter(self, frame: SimFrame) -> None:
        """Begin a frame, or go on with its next piece."""
        header = frame.header
        if header.piece == 0:
            self._context = SimFrameContext(header)
        if self._index:  # the first stage reads a whole split, of which no part can be sent alone
            self.slot.hold(header, header.first, header.last)

    def opened(self, frame: SimFrame) -> SimPiece:
        """The records of a frame or piece. Raises Died if decoding them kills."""
        header, context = frame.header, self._context
        context.take(frame)
        key = (self._index, header.first, WHOLE)
        context.halted |= bool(header.flags & CUT)
        if self._stop.halted and header.piece == 0 and (self._index == 0 or self._stage.places > 1):
            context.halted = context.cut = True
            return SimPiece([], header.first, header.first)
        beyond = 0 <= self._stop.sequence < header.sequence and self._index <= self._stop.stage
        if self._index == 0:
            piece = self._read(frame, beyond)
        elif key in context.quarantined:
            piece = self._undecoded(frame)
        else:
            piece = SimPiece(frame.content, header.first, header.last, frame.failures)
        if beyond:
            context.cut, piece.pairs, piece.failures = True, [], []
        if kills_in_decoding(self._stage, [value for _, value in piece.pairs]):
            raise Died
        return piece

    def worked(self, piece: SimPiece, more: bool) -> Iterator[SimFrame | None]:
        """The stage over a piece: the frames to send."""
        yield from self._emit(self._applied(piece), more)

    def called(self, piece: SimPiece) -> list[int]:
        """The values for which the stage will be called in this piece, unless one of them cuts it."""
        if self._context.cut:
            return []
        quarantined, values = self._context.quarantined, list[int]()
        origin, ordinal = -1, 0
        for source, value in piece.pairs:
            ordinal = ordinal + 1 if source == origin else 0
            origin = source
            if (self._index, origin, ordinal) not in quarantined:
                values.append(value)
        return values

    def outcome(self, value: int) -> list[int] | Flaw:
        """What the stage makes of a value. Raises Died."""
        try:
            return CALLS[self._stage.kind](self._stage, self._memory, value)
        except Flaw as flaw:
            return flaw

    def deal(self, outcomes: Iterator[list[int] | Flaw]) -> None:
        """Give these outcomes from now on, instead of calling the stage."""

        def dealt(stage: Behaviour, memory: Memory, value: int) -> list[int]:
            outcome = next(outcomes)
            if isinstance(outcome, Flaw):
                raise outcome
            return outcome

        self._call = dealt

    def _read(self, frame: SimFrame, beyond: bool) -> SimPiece:
        """Records of a split; those that can't be read are failures of the source."""
        header, scenario = frame.header, self._scenario
        if beyond:
            return SimPiece([], header.first, header.first)
        start, stop = frame.content
        if header.first > stop - start:
            return SimPiece([], header.first, stop - start)
        values = scenario.values[start:stop][header.first : header.last]
        piece = SimPiece(list(enumerate(values, header.first)), header.first, header.first + len(values))
        counts = self._context.count(SOURCE)
        counts.taken += len(values)
        if scenario.malformed:
            self._take_out(piece, counts)
        counts.out += len(piece.pairs)
        return piece

    def _take_out(self, piece: SimPiece, counts: Counts) -> None:
        readable, policy = self._scenario.readable, self._scenario.on_error
        bad = [(origin, value) for origin, value in piece.pairs if not readable(value)]
        piece.pairs = [pair for pair in piece.pairs if readable(pair[1])]
        if bad and policy == "fail":
            piece.last, bad = bad[0][0], bad[:1]
            piece.pairs = [pair for pair in piece.pairs if pair[0] < piece.last]
        counts.fail(policy, len(bad))
        piece.failures = [Failure(SOURCE, origin, 0, "Malformed", "", policy, record=v) for origin, v in bad]

    def _undecoded(self, frame: SimFrame) -> SimPiece:
        """A source record whose results kill the worker that decodes them: all of them fail."""
        header, policy, count = frame.header, self._stage.on_error, len(frame.content)
        self._judge(header.split, self._index, header.first, WHOLE)
        counts = self._context.count(self._index)
        counts.taken += count
        counts.fail(policy, count)
        lost = [Failure(self._index, header.first, n, "Killed", "", policy, text="?") for n in range(count)]
        if policy == "fail":
            return SimPiece([], header.first, header.first, lost)
        return SimPiece([], header.first, header.last, frame.failures + lost)

    def _applied(self, piece: SimPiece) -> Iterator[SimPiece | None]:
        """The stage over one inbound piece: the pieces it becomes."""
        context, stage, memory = self._context, self._stage, self._memory
        counts = context.count(self._index)
        counts.taken += len(piece.pairs)
        self.took += len(piece.pairs)
        if context.cut:
            return
        slot, overlaps = self.slot, self._stage.places > 1
        fine = int(self._scenario.fine)
        slot.hold(context.header, piece.first, piece.last)
        watched = self._stage.watched or overlaps or context.header.marked
        open_piece = SimPiece([], piece.first, piece.first)
        origin, ordinal = -1, 0
        for place, (source, value) in enumerate(piece.pairs):
            ordinal = ordinal + 1 if source == origin else 0
            if source != origin and place and (stage.slow or len(open_piece.pairs) >= stage.piece):
                yield self._closed(open_piece, piece, origin + 1, counts)
                open_piece = SimPiece([], origin + 1, origin + 1)
            if stage.slow and self._stop.halted:
                context.halted = True
                open_piece.pairs = [pair for pair in open_piece.pairs if pair[0] < source]
                open_piece.failures = [failure for failure in open_piece.failures if failure.origin < source]
                yield self._cut(open_piece, piece, source, counts)
                return
            origin = source
            if watched:
                slot.origin, slot.ordinal = origin, ordinal
            for _ in range(1 + value % 12 if overlaps else fine):  # async calls take longer, so several are running
                yield None
            found = self._result(origin, ordinal, value, open_piece, counts)
            slot.origin = -1
            if found is not None:
                counts.created += max(0, len(found) - 1)
                counts.filtered += not found
            elif stage.on_error == "fail":
                open_piece.pairs = [pair for pair in open_piece.pairs if pair[0] < origin]
                yield self._cut(open_piece, piece, origin, counts)
                return
            for result in found or ():
                open_piece.pairs.append((origin, result))
            if memory.enough:
                memory.enough = False
                left = [source for source, _ in piece.pairs[place + 1 :] if source == origin]
                context.spreads.append((self._index, Spread([], left)))
                context.stop_here = context.stop < 0
                context.stop = self._index if context.stop_here else context.stop
                yield self._cut(open_piece, piece, origin + 1, counts)
                return
        yield self._closed(open_piece, piece, piece.last, counts)

    def _result(self, origin: int, ordinal: int, value: int, piece: SimPiece, counts: Counts) -> list[int] | None:
        """The results of one record; None if it fails."""
        index, quarantined = self._index, self._context.quarantined
        try:
            if quarantined and (index, origin, ordinal) in quarantined:
                self._judge(self._context.header.split, index, origin, ordinal)
                raise Flaw("Killed")
            self._context.count(index).add(Counts(index, extra={"calls": 1}))
            piece.noted.append((origin, -1))
            found = self._call(self._stage, self._memory, value)
            piece.noted[-1] = origin, len(found)
            return found
        except Flaw as flaw:
            kind = flaw.args[0] if flaw.args else "Flaw"
        policy = self._stage.on_error
        piece.failures.append(Failure(index, origin, ordinal, kind, "", policy, record=value))
        counts.fail(policy)
        return None

    def _closed(self, out: SimPiece, inbound: SimPiece, last: int, counts: Counts) -> SimPiece:
        """The open piece ends before source record `last`; failures that came along go with their records."""
        out.last = last
        out.final = last == inbound.last
        if inbound.failures:
            whole = last == inbound.last
            out.failures += [f for f in inbound.failures if f.origin < last or whole]
            inbound.failures = [f for f in inbound.failures if f.origin >= last and not whole]
        counts.out += len(out.pairs)
        self.gave += len(out.pairs)
        self._context.spreads.append((self._index, _spread(out.noted)))
        return out

    def _cut(self, out: SimPiece, inbound: SimPiece, last: int, counts: Counts) -> SimPiece:
        """The frame ends before source record `last`, whatever else it brought."""
        inbound.failures = [f for f in inbound.failures if f.origin < last]
        self._context.cut = True
        inbound.last = last
        return self._closed(out, inbound, last, counts)

    # Pieces

    def _emit(self, pieces: Iterator[SimPiece | None], more: bool) -> Iterator[SimFrame | None]:
        """Each piece leaves at once. If none of them is known to be the last, an empty one follows."""
        for piece in pieces:
            if piece is None:
                yield None
                continue
            last = piece.final and not more
            yield self._pack(piece, more=not last)
            if last:
                return
        if not more:
            reached = self._context.reached
            yield self._pack(SimPiece([], reached, reached), more=False)

    def _pack(self, piece: SimPiece, *, more: bool) -> SimFrame:
        context = self._context
        context.reached = piece.last
        if self._last:
            for sink in range(len(self._scenario.sinks)):
                counts = context.count(self._index + 1 + sink)
                counts.taken += len(piece.pairs)
                counts.out += len(piece.pairs)
        flags = context.header.flags & ~(MORE | STOP) | (MORE if more else 0) | (CUT if context.halted else 0)
        if context.stop >= 0 and not more:
            flags |= STOP
            self._tell_stop()
        header = context.header._replace(
            kind=DATA,
            flags=flags,
            first=piece.first,
            last=piece.last,
            piece=context.pieces,
            records=len(piece.pairs),
        )
        context.pieces += 1
        return self._frame(header, piece)

    def _frame(self, header: Header, piece: SimPiece) -> SimFrame:
        context = self._context
        frame = SimFrame(header, piece.pairs, 8 + 4 * len(piece.pairs) + 2 * len(piece.failures))
        frame.failures, frame.quarantined, frame.stop = piece.failures, context.quarantined, context.stop
        frame.counts = [] if header.more else list(context.tally.values())
        fails = any(failure.policy == "fail" for failure in piece.failures)
        if header.more or not self._last or header.piece or fails or context.halted or context.cut or context.stop >= 0:
            frame.spreads, context.spreads = context.spreads, []
        if self._last:
            metadata = Metadata(None, piece.failures, stop=context.stop)
            metadata.book(frame.counts)
            metadata.spread = [pack_spread(*told) for told in frame.spreads]
            frame.real = framed(header, pack_metadata(metadata) + self._encoded(piece.pairs))
        return frame

    def _encoded(self, pairs: list[tuple[int, int]]) -> bytes:
        """The body of a frame to the parent."""
        sinks, values = range(len(self._scenario.sinks)), [value for _, value in pairs]
        shares = [b"".join([line(sink, value) for value in values]) for sink in sinks]
        if self._scenario.refusal:
            told = pickle.dumps((0, [origin for origin, _ in pairs], False, pickle.dumps(values)))
            shares = [LENGTH.pack(len(told)) + told + share for share in shares]
        return shares[0] if len(shares) == 1 else packed([(len(values), share) for share in shares])

    def _tell_stop(self) -> None:
        if self._stop.sequence < 0 and self._context.stop_here:
            self._stop.stage, self._stop.sequence = self._index, self._context.header.sequence

    # Flush and barrier

    def _flush(self, frame: SimFrame) -> Iterator[SimFrame | None]:
        header = frame.header
        self._context = SimFrameContext(header)
        self._context.take(frame)
        self.slot.hold(header, header.first, header.last)
        yield None
        yield from self._emit(self._flushed(header), more=False)

    def _flushed(self, header: Header) -> Iterator[SimPiece | None]:
        results = flush(self._stage, self._memory)
        counts, step = self._context.count(self._index), self._stage.piece
        last = min(header.last, len(results))
        for first in range(header.first, last, step):
            stop = min(first + step, last)
            pairs = [(number, results[number]) for number in range(first, stop)]
            counts.created += len(pairs)
            counts.out += len(pairs)
            yield SimPiece(pairs, first, stop, final=stop == last < len(results))
            yield None

    def _barrier(self, frame: SimFrame) -> SimFrame:
        if form_of(self._stage).snapshots:
            frame.content = {**frame.content, self._index: list(self._memory.data)}
        if self._last:
            frame.real = framed(frame.header, pack_metadata(Metadata()) + pickle.dumps(frame.content))
        return frame


def _spread(noted: list[tuple[int, int]]) -> Spread:
    """What the calls of a piece say about each source record; -1 results: the call failed."""
    others = [(origin, results) for origin, results in noted if results not in (-1, 1)]
    given = [([origin for origin, _ in others], [results for _, results in others])]
    return Spread(given, (), spread_counters((origin, "calls", 1) for origin, _ in noted))


class SimStages:
    """The stage runners of one worker: what leaves one goes to the next without a pipe."""

    def __init__(self, runners: list[SimRunner]) -> None:
        self._runners = runners
        self._at = runners[0]

    @property
    def slot(self) -> SimSlot:
        """The slot of the stage that is at work."""
        return self._at.slot

    @property
    def index(self) -> int:
        return self._at.index

    @property
    def passed(self) -> list[tuple[int, int, int]]:
        """Of each stage: its index, and the records that it took and gave."""
        return [(runner.index, runner.took, runner.gave) for runner in self._runners]

    def rest(self) -> None:
        """No stage has a frame any more."""
        for runner in self._runners:
            runner.slot.holding = False

    def feed(self, frame: SimFrame) -> Iterator[SimFrame | None]:
        return self._through(frame, 0)

    def _through(self, frame: SimFrame, place: int) -> Iterator[SimFrame | None]:
        if place == len(self._runners):
            yield frame
            return
        runner = self._at = self._runners[place]
        for made in runner.feed(frame):
            if made is None:
                yield None
            else:
                yield from self._through(made, place + 1)
            self._at = runner


def framed(header: Header, payload: bytes) -> Frame:
    """The real frame that the parent gets."""
    return Frame(header._replace(length=len(payload)), payload)
