"""A worker's stage, modelled: what `chain.stage runner` promises to do with a frame, in as few words as possible.

`feed` yields the frames to send, and None wherever a worker could be killed between two of them.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

from simulator.behaviour import CALLS, Behaviour, Died, Flaw, Memory, flush, form_of, kills_in_decoding
from simulator.pipes import Parcel
from simulator.scenario import Scenario
from simulator.sim_frame import Piece, SimFrame, Slot, Stop

from stagerunner.records import BARRIER, DATA, SOURCE, WHOLE, Counts, Failure
from stagerunner.wire.frame import MORE, STOP, Frame, Header
from stagerunner.wire.metadata import Metadata, pack_metadata

Judge = Callable[[int, int, int, int], None]
"""Told of a quarantine that is carried out: split, stage, source record, ordinal."""


class SimRunner:
    """One stage, set up, in one worker."""

    def __init__(self, scenario: Scenario, index: int, snapshot: Any, stop: Stop, judge: Judge, careful: bool) -> None:
        self._scenario = scenario
        self._index = self.index = index
        self._stage: Behaviour = scenario.stages[index]
        self._memory = Memory([] if snapshot is None else list(snapshot))
        self._call = CALLS[self._stage.kind]
        self._last = index == len(scenario.stages) - 1
        self._stop = stop
        self._judge = judge
        self._careful = careful or self._stage.watched
        self._passage = SimFrame(Header(DATA, 0, 0, 0))
        self.slot = Slot()

    def feed(self, parcel: Parcel) -> Iterator[Parcel | None]:
        kind = parcel.header.kind
        if kind == DATA:
            return self._data(parcel)
        if kind == BARRIER:
            return iter([self._barrier(parcel)])
        return self._flush(parcel) if parcel.content == self._index else iter([parcel])

    # Records

    def _data(self, parcel: Parcel) -> Iterator[Parcel | None]:
        header = parcel.header
        if header.piece == 0:
            self._passage = SimFrame(header)
        passage = self._passage
        if self._index:  # what the first stage reads is a whole split: no part of it could be sent alone
            self.slot.hold(header, header.first, header.last)
        yield None
        passage.take(parcel)
        sentence = (self._index, header.first, WHOLE)
        beyond = 0 <= self._stop.sequence < header.sequence and self._index <= self._stop.stage
        if self._index == 0:
            piece = self._read(parcel, beyond)
        elif sentence in passage.quarantined:
            piece = self._undecoded(parcel)
        else:
            piece = Piece(parcel.content, header.first, header.last, parcel.failures)
        if beyond:
            passage.cut, piece.pairs, piece.failures = True, [], []
        if kills_in_decoding(self._stage, [value for _, value in piece.pairs]):
            raise Died
        yield from self._emit(self._applied(piece), header.more)

    def _read(self, parcel: Parcel, beyond: bool) -> Piece:
        """Records of a split; those that can't be read are failures of the source."""
        header, scenario = parcel.header, self._scenario
        if beyond:
            return Piece([], header.first, header.first)
        start, stop = parcel.content
        values = scenario.values[start:stop][header.first : header.last]
        piece = Piece(list(enumerate(values, header.first)), header.first, header.first + len(values))
        counts = self._passage.count(SOURCE)
        counts.taken += len(values)
        if scenario.malformed:
            self._take_out(piece, counts)
        counts.out += len(piece.pairs)
        return piece

    def _take_out(self, piece: Piece, counts: Counts) -> None:
        readable, policy = self._scenario.readable, self._scenario.on_error
        bad = [(origin, value) for origin, value in piece.pairs if not readable(value)]
        piece.pairs = [pair for pair in piece.pairs if readable(pair[1])]
        if bad and policy == "fail":
            piece.last, bad = bad[0][0], bad[:1]
            piece.pairs = [pair for pair in piece.pairs if pair[0] < piece.last]
            counts.not_processed += counts.taken - len(piece.pairs) - 1
        counts.fail(policy, len(bad))
        piece.failures = [Failure(SOURCE, origin, 0, "Malformed", "", policy, record=v) for origin, v in bad]

    def _undecoded(self, parcel: Parcel) -> Piece:
        """A source record that kills whoever decodes what has become of it: all of that fails."""
        header, policy, count = parcel.header, self._stage.on_error, len(parcel.content)
        self._judge(header.split, self._index, header.first, WHOLE)
        counts = self._passage.count(self._index)
        counts.taken += count
        counts.fail(policy, count)
        lost = [Failure(self._index, header.first, n, "Killed", "", policy, text="?") for n in range(count)]
        if policy == "fail":
            return Piece([], header.first, header.first, lost)
        return Piece([], header.first, header.last, parcel.failures + lost)

    def _applied(self, piece: Piece) -> Iterator[Piece | None]:
        """The stage over one inbound piece: the pieces it becomes."""
        passage, stage, memory = self._passage, self._stage, self._memory
        counts = passage.count(self._index)
        counts.taken += len(piece.pairs)
        if passage.cut:
            counts.not_processed += len(piece.pairs)
            passage.behind(piece.failures)
            return
        slot, fine = self.slot, self._scenario.fine
        slot.hold(passage.header, piece.first, piece.last)
        watched = self._careful or passage.header.marked
        open_piece = Piece([], piece.first, piece.first)
        origin, ordinal = -1, 0
        for place, (source, value) in enumerate(piece.pairs):
            ordinal = ordinal + 1 if source == origin else 0
            if source != origin and len(open_piece.pairs) >= stage.piece:
                yield self._closed(open_piece, piece, origin + 1, counts)
                open_piece = Piece([], origin + 1, origin + 1)
            origin = source
            if watched:
                slot.origin, slot.ordinal = origin, ordinal
            if fine:
                yield None
            found = self._result(origin, ordinal, value, open_piece, counts)
            slot.origin = -1
            if found is not None:
                counts.created += max(0, len(found) - 1)
                counts.filtered += not found
            elif stage.on_error == "fail":
                kept = [pair for pair in open_piece.pairs if pair[0] < origin]
                counts.not_processed += len(open_piece.pairs) - len(kept) + len(piece.pairs) - place - 1
                open_piece.pairs = kept
                yield self._cut(open_piece, piece, origin, counts)
                return
            for result in found or ():
                open_piece.pairs.append((origin, result))
            if memory.enough:
                memory.enough = False
                counts.not_processed += len(piece.pairs) - place - 1
                passage.stop_here = passage.stop < 0
                passage.stop = self._index if passage.stop_here else passage.stop
                yield self._cut(open_piece, piece, origin + 1, counts)
                return
        yield self._closed(open_piece, piece, piece.last, counts)

    def _result(self, origin: int, ordinal: int, value: int, piece: Piece, counts: Counts) -> list[int] | None:
        """What one record becomes; None if it fails."""
        index, quarantined = self._index, self._passage.quarantined
        try:
            if quarantined and (index, origin, ordinal) in quarantined:
                self._judge(self._passage.header.split, index, origin, ordinal)
                raise Flaw("Killed")
            return self._call(self._stage, self._memory, value)
        except Flaw as flaw:
            kind = flaw.args[0] if flaw.args else "Flaw"
        policy = self._stage.on_error
        piece.failures.append(Failure(index, origin, ordinal, kind, "", policy, record=value))
        counts.fail(policy)
        return None

    def _closed(self, out: Piece, inbound: Piece, last: int, counts: Counts) -> Piece:
        """The open piece ends before source record `last`; failures that came along go with their records."""
        out.last = last
        if inbound.failures:
            whole = last == inbound.last
            out.failures += [f for f in inbound.failures if f.origin < last or whole]
            inbound.failures = [f for f in inbound.failures if f.origin >= last and not whole]
        counts.out += len(out.pairs)
        return out

    def _cut(self, out: Piece, inbound: Piece, last: int, counts: Counts) -> Piece:
        """The frame ends before source record `last`, whatever else it brought."""
        arrived, inbound.failures = inbound.failures, [f for f in inbound.failures if f.origin < last]
        self._passage.behind([f for f in arrived if f.origin >= last])
        self._passage.cut = True
        inbound.last = last
        return self._closed(out, inbound, last, counts)

    # Pieces

    def _emit(self, pieces: Iterator[Piece | None], more: bool) -> Iterator[Parcel | None]:
        """The newest piece is held back, since only the last of a frame carries the counts."""
        held: Piece | None = None
        for piece in pieces:
            if piece is None:
                yield None
                continue
            if held is not None:
                yield self._pack(held, more=True)
            held = piece
        if held is None and more:
            return
        reached = self._passage.reached
        yield self._pack(held or Piece([], reached, reached), more=more)

    def _pack(self, piece: Piece, *, more: bool) -> Parcel:
        passage = self._passage
        passage.reached = piece.last
        if self._last:
            counts = passage.count(self._index + 1)
            counts.taken += len(piece.pairs)
            counts.out += len(piece.pairs)
        flags = passage.header.flags & ~(MORE | STOP) | (MORE if more else 0)
        if passage.stop >= 0 and not more:
            flags |= STOP
            self._tell_stop()
        header = passage.header._replace(
            kind=DATA,
            flags=flags,
            first=piece.first,
            last=piece.last,
            piece=passage.pieces,
            records=len(piece.pairs),
        )
        passage.pieces += 1
        return self._parcel(header, piece)

    def _parcel(self, header: Header, piece: Piece) -> Parcel:
        passage = self._passage
        parcel = Parcel(header, piece.pairs, 8 + 4 * len(piece.pairs) + 2 * len(piece.failures))
        parcel.failures, parcel.quarantined, parcel.stop = piece.failures, passage.quarantined, passage.stop
        parcel.counts = [] if header.more else list(passage.tally.values())
        if self._last:
            metadata = Metadata(None, piece.failures, stop=passage.stop)
            metadata.book(parcel.counts)
            body = b"".join([b"%d\n" % value for _, value in piece.pairs])
            parcel.frame = framed(header, pack_metadata(metadata) + body)
        return parcel

    def _tell_stop(self) -> None:
        if self._stop.sequence < 0 and self._passage.stop_here:
            self._stop.stage, self._stop.sequence = self._index, self._passage.header.sequence

    # Flush and barrier

    def _flush(self, parcel: Parcel) -> Iterator[Parcel | None]:
        header = parcel.header
        self._passage = SimFrame(header)
        self._passage.take(parcel)
        self.slot.hold(header, header.first, header.last)
        yield None
        yield from self._emit(self._flushed(header), more=False)

    def _flushed(self, header: Header) -> Iterator[Piece | None]:
        results = flush(self._stage, self._memory)
        counts, step = self._passage.count(self._index), self._stage.piece
        last = min(header.last, len(results))
        for first in range(header.first, last, step):
            stop = min(first + step, last)
            pairs = [(number, results[number]) for number in range(first, stop)]
            counts.created += len(pairs)
            counts.out += len(pairs)
            yield Piece(pairs, first, stop)
            yield None

    def _barrier(self, parcel: Parcel) -> Parcel:
        if form_of(self._stage).snapshots:
            parcel.content = {**parcel.content, self._index: list(self._memory.data)}
        if self._last:
            parcel.frame = framed(parcel.header, pack_metadata(Metadata()) + pickle.dumps(parcel.content))
        return parcel


class SimStages:
    """The stage runners of one worker: what leaves one goes to the next without a pipe."""

    def __init__(self, runners: list[SimRunner]) -> None:
        self._runners = runners
        self._at = runners[0]

    @property
    def slot(self) -> Slot:
        """That of the stage which is at work."""
        return self._at.slot

    @property
    def index(self) -> int:
        return self._at.index

    def rest(self) -> None:
        """Nothing is in hand any more."""
        for runner in self._runners:
            runner.slot.holding = False

    def feed(self, parcel: Parcel) -> Iterator[Parcel | None]:
        return self._through(parcel, 0)

    def _through(self, parcel: Parcel, place: int) -> Iterator[Parcel | None]:
        if place == len(self._runners):
            yield parcel
            return
        runner = self._at = self._runners[place]
        for made in runner.feed(parcel):
            if made is None:
                yield None
            else:
                yield from self._through(made, place + 1)
            self._at = runner


def framed(header: Header, payload: bytes) -> Frame:
    """The real frame that the parent gets."""
    return Frame(header._replace(length=len(payload)), payload)
