"""Planted bugs: each breaks one rule of the protocol. They patch private methods, since a bug is inside the code."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs
from simulator.disk import SimJournal, SimLetters, SimSink
from simulator.gathering import SimGathering
from simulator.overlap import SimOverlapping
from simulator.pool import SimPool
from simulator.runners import SimRunner
from simulator.workers import SimWorker

from stagerunner.delivery.branches import BranchWriter, Refused
from stagerunner.delivery.delivery import Delivery
from stagerunner.delivery.ledger import Ledger
from stagerunner.engines.process.parent.returns import Holding, Returns
from stagerunner.records import BARRIER, END, SKIP, Spread
from stagerunner.runtime import receiving, resume
from stagerunner.runtime.checkpoints import Checkpoints
from stagerunner.runtime.dispatch import Dispatch
from stagerunner.runtime.loop import Loop
from stagerunner.runtime.receiving import Receiving
from stagerunner.runtime.restart import Restart
from stagerunner.runtime.session import Session
from stagerunner.window import isolation
from stagerunner.window.core import Window
from stagerunner.window.isolation import Inspection, PoisonIsolation
from stagerunner.window.splits import Disposition
from stagerunner.wire.frame import CUT, unpack_payload

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]
MUTANTS: dict[str, Mutant] = {}


def mutant(name: str) -> Callable[[Mutant], Mutant]:
    def keep(plant: Mutant) -> Mutant:
        MUTANTS[name] = plant
        return plant

    return keep


# The end of a run


@mutant("EOF as END")
def eof_is_taken_for_end(patch: Patch) -> None:
    patch.setattr(SimPool, "at_eof", lambda self: setattr(self, "ended", True))


@mutant("no finishing state")
def finishing_is_not_written_down(patch: Patch) -> None:
    mark, commit = SimJournal.mark, Session._commit
    patch.setattr(SimJournal, "mark", lambda self, state: mark(self, state) if state == "done" else None)
    patch.setattr(Session, "_commit", lambda self, *, finished=False: commit(self))


@mutant("a flush is lost in a restart")
def a_flush_is_lost_in_a_restart(patch: Patch) -> None:
    resend = Window._resend

    def without_flushes(self: Window, kept: Any, inspection: Any) -> None:
        if kept.flush < 0 or self.epoch == 1:
            resend(self, kept, inspection)

    patch.setattr(Window, "_resend", without_flushes)


# Commit and resume


@mutant("journal before sink")
def the_journal_is_written_before_the_sink(patch: Patch) -> None:
    commit = Delivery.commit

    def journal_first(self: Delivery, row: dict[str, Any], journal: Any, *, power: bool = False) -> None:
        journal.write(row | {"sink": self.writer.position(), "ledger": self.ledger.as_rows(), "failures": {}})
        commit(self, row, journal, power=power)

    patch.setattr(Delivery, "commit", journal_first)


@mutant("no truncate")
def the_sink_is_not_truncated_on_resume(patch: Patch) -> None:
    patch.setattr(SimSink, "truncate", lambda self, position: None)


@mutant("dead letters are not cut back on resume")
def dead_letters_are_not_cut_back(patch: Patch) -> None:
    patch.setattr(SimLetters, "open", lambda self, position: None)


@mutant("the ledger is forgotten on resume")
def the_ledger_is_forgotten(patch: Patch) -> None:
    patch.setattr(Ledger, "restore", lambda self, rows: None)


@mutant("an early stop is forgotten on resume")
def an_early_stop_is_forgotten_on_resume(patch: Patch) -> None:
    row = Loop.row
    patch.setattr(Loop, "row", lambda self: row(self) | {"stopped": None})


@mutant("a resume drops a record too few")
def a_resume_drops_a_record_too_few(patch: Patch) -> None:
    row = Loop.row
    patch.setattr(Loop, "row", lambda self: row(self) | {"accepted": max(0, self.window.accepted - 1)})


@mutant("a resume drops a record too many")
def a_resume_drops_a_record_too_many(patch: Patch) -> None:
    row = Loop.row
    patch.setattr(Loop, "row", lambda self: row(self) | {"accepted": self.window.accepted + bool(self.window.accepted)})


@mutant("a resume drops records of its first split only")
def a_resume_drops_records_of_its_first_split_only(patch: Patch) -> None:
    receive = Window.receive

    def forgetful(self: Window, *arguments: Any, **more: Any) -> Any:
        received = receive(self, *arguments, **more)
        self.skipping = 0
        return received

    patch.setattr(Window, "receive", forgetful)


@mutant("a resume does not wait to see where the accepted records end")
def a_resume_does_not_wait(patch: Patch) -> None:
    room = Window.room

    def hasty(self: Window, *told: Any) -> bool:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(self, "skipping", 0)
            return room(self, *told)

    patch.setattr(Window, "room", hasty)


@mutant("what lies beyond a cut is accepted")
def what_lies_beyond_a_cut_is_accepted(patch: Patch) -> None:
    receive = Loop._receive

    def on_and_on(self: Loop, frame: Any) -> None:
        receive(self, frame)
        if frame.header.flags & CUT and not frame.header.more and self.done and self.window.on_way:
            self.done = False
            self.window.on_way.popleft()

    patch.setattr(Loop, "_receive", on_and_on)


@mutant("a split that was cut is done")
def a_split_that_was_cut_is_done(patch: Patch) -> None:
    receive = Window.receive

    def whole(self: Window, *arguments: Any, cut: bool, **more: Any) -> Any:
        return receive(self, *arguments, **more)

    patch.setattr(Window, "receive", whole)


@mutant("a stage cuts behind the record that it begins")
def a_stage_cuts_behind_the_record_that_it_begins(patch: Patch) -> None:
    cut = SimRunner._cut

    def late(self: SimRunner, out: Any, inbound: Any, last: int, counts: Any) -> Any:
        return cut(self, out, inbound, last + self._context.halted, counts)

    patch.setattr(SimRunner, "_cut", late)


@mutant("dead letters committed at stage time")
def dead_letters_are_written_as_they_come(patch: Patch) -> None:
    arrived = Loop._receive

    def at_once(self: Loop, frame: Any) -> None:
        metadata = unpack_payload(frame.payload)[0]
        split = self.window.on_way[0].split
        if metadata.failures and split is not None:
            self._delivery.failures(metadata.failures, split, self.dispatch.locate)
        arrived(self, frame)

    patch.setattr(Loop, "_receive", at_once)


# Several sinks


@mutant("a lead is forgotten")
def a_lead_is_forgotten(patch: Patch) -> None:
    patch.setattr(resume, "_leads", lambda rows, sinks: {})


@mutant("a lead is skipped twice")
def a_lead_is_skipped_twice(patch: Patch) -> None:
    """What a sink has still to skip isn't less after it has skipped some."""
    commit = BranchWriter.commit

    def unmoved(self: BranchWriter, row: dict[str, Any]) -> None:
        with pytest.MonkeyPatch.context() as within:
            whole = {number: lead.records for number, lead in self._leads.items()}
            within.setattr(self, "_ahead", whole)
            commit(self, row)

    patch.setattr(BranchWriter, "commit", unmoved)


@mutant("what is left of a lead is forgotten by the next resume")
def what_is_left_of_a_lead_is_forgotten(patch: Patch) -> None:
    commit = BranchWriter.commit

    def forgetful(self: BranchWriter, row: dict[str, Any]) -> None:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(self, "_ahead", {})
            commit(self, row)

    patch.setattr(BranchWriter, "commit", forgetful)


@mutant("a lead counts records instead of source records")
def a_lead_counts_records(patch: Patch) -> None:
    accept = Receiving._accept

    def counted(self: Receiving, header: Any, metadata: Any, body: Any, kept: Any) -> None:
        flush = kept is not None and kept.flush >= 0
        told = header if flush else header._replace(first=0, last=header.records)
        accept(self, told, metadata, body, kept)

    patch.setattr(Receiving, "_accept", counted)


@mutant("frames are not cut where a lead ends")
def frames_are_not_cut_where_a_lead_ends(patch: Patch) -> None:
    patch.setattr(BranchWriter, "edges", property(lambda self: []))


@mutant("the row of one sink is taken for another's")
def the_row_of_one_sink_is_taken_for_anothers(patch: Patch) -> None:
    rows = resume._rows

    def swapped(entry: Any, sinks: Any) -> dict[int, Any]:
        found = rows(entry, sinks)
        return dict(zip(found, reversed(found.values()), strict=True))

    patch.setattr(resume, "_rows", swapped)


@mutant("the position of one sink is taken for another's")
def the_position_of_one_sink_is_taken_for_anothers(patch: Patch) -> None:
    start = BranchWriter.open

    def shifted(self: BranchWriter, position: Any) -> None:
        start(self, None if position is None else [*position[1:], position[0]])

    patch.setattr(BranchWriter, "open", shifted)


@mutant("tables are committed before files")
def tables_are_committed_before_files(patch: Patch) -> None:
    """The files are behind the row that the run goes on from."""
    commit = BranchWriter.commit

    def tables_first(self: BranchWriter, row: dict[str, Any]) -> None:
        everyone = self._writers
        with pytest.MonkeyPatch.context() as within:
            within.setattr(self, "_writers", [w for w in self._writers if w.keeps == "transaction"])
            within.setattr(self, "position", lambda: [writer.position() for writer in everyone])
            commit(self, row)
        for writer in everyone:
            if writer.keeps != "transaction":
                writer.commit(row)

    patch.setattr(BranchWriter, "commit", tables_first)


# Marks


@mutant("a row between marks")
def a_row_stands_between_marks(patch: Patch) -> None:
    patch.setattr(Window, "at_mark", property(lambda self: True, lambda self, value: None), raising=False)


@mutant("a mark is committed before its records")
def a_mark_is_committed_before_its_records(patch: Patch) -> None:
    admit = Window.admit

    def hasty(self: Window, payload: Any, size: int, position: Any = None, *rest: Any, **more: Any) -> Any:
        if more.get("marked") and position is not None:
            self.position = position
        return admit(self, payload, size, position, *rest, **more)

    patch.setattr(Window, "admit", hasty)


@mutant("a late mark is committed before its records")
def a_late_mark_is_committed_before_its_records(patch: Patch) -> None:
    patch.setattr(Window, "mark", lambda self, position: setattr(self, "position", position))


@mutant("a barrier between marks writes a row")
def a_barrier_between_marks_writes_a_row(patch: Patch) -> None:
    back = Checkpoints.barrier_back

    def anywhere(self: Checkpoints, body: Any) -> None:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(self._window, "at_mark", True)
            back(self, body)

    patch.setattr(Checkpoints, "barrier_back", anywhere)


# Restart


@mutant("lost window head")
def the_head_of_the_window_is_lost(patch: Patch) -> None:
    restart = Window.restart

    def beheaded(self: Window, inspections: Any = None) -> Any:
        if self.kept:
            self.kept.popleft()
        return restart(self, inspections)

    patch.setattr(Window, "restart", beheaded)


@mutant("resend from accepted in a chain with state")
def only_what_is_not_accepted_is_sent_again(patch: Patch) -> None:
    """In a chain with state, what was accepted since the barrier must pass the stages once more."""

    def the_rest(self: Window, kept: Any, inspection: Any) -> None:
        if not kept.done:
            self._send_cut(kept, kept.accepted, kept.end, [], Disposition.ACCEPT, inspection)

    patch.setattr(Window, "_resend", the_rest)


@mutant("stale out-buffer")
def a_frame_of_the_old_epoch_arrives_in_the_new_one(patch: Patch) -> None:
    start = SimPool.start

    def with_leftovers(self: SimPool, epoch: int, snapshots: Any) -> None:
        left = [pipe.pipe.here() for pipe in self._pipes]
        start(self, epoch, snapshots)
        for pipe, frames in zip(self._pipes, left, strict=False):
            for frame in frames:
                assert frame.real is not None
                frame.real = frame.real._replace(header=frame.real.header._replace(epoch=epoch))
                pipe.pipe.put(frame)
            pipe.pipe.pump()

    patch.setattr(SimPool, "start", with_leftovers)


@mutant("piece counted twice")
def a_piece_is_counted_twice(patch: Patch) -> None:
    """The counts of a frame's earlier pieces come once more with the last one."""
    count = Receiving._count

    def from_the_beginning(self: Receiving, header: Any, metadata: Any, kept: Any, received: Any) -> None:
        if received.final and header.piece:
            header = header._replace(first=received.sent.first)
        count(self, header, metadata, kept, received)

    patch.setattr(Receiving, "_count", from_the_beginning)


@mutant("the counts of a piece are lost")
def the_counts_of_a_piece_are_lost(patch: Patch) -> None:
    count = Receiving._count

    def only_the_last(self: Receiving, header: Any, metadata: Any, kept: Any, received: Any) -> None:
        if received.final:
            count(self, header, metadata, kept, received)

    patch.setattr(Receiving, "_count", only_the_last)


@mutant("what a piece says about later ones is forgotten")
def what_a_piece_says_about_later_ones_is_forgotten(patch: Patch) -> None:
    patch.setattr(Spread, "reaches", lambda self, origin: False)


@mutant("accepted records are counted again after a restart")
def accepted_records_are_counted_again(patch: Patch) -> None:
    """The workers count the accepted part of a split once more, and the parent takes it."""
    count = Receiving._count

    def again(self: Receiving, header: Any, metadata: Any, kept: Any, received: Any) -> None:
        if received.disposition is Disposition.DROP and self._window.stateful:
            received = structs.replace(received, disposition=Disposition.ACCEPT)
        count(self, header, metadata, kept, received)

    book = Receiving.book

    def greedy(self: Receiving) -> None:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(self._restart, "rereads", self._restart.rereads or self._window.stateful)
            book(self)

    patch.setattr(Receiving, "_count", again)
    patch.setattr(Receiving, "book", greedy)


@mutant("results are taken twice")
def results_are_taken_twice(patch: Patch) -> None:
    receive = Window.receive

    def greedy(self: Window, *arguments: Any, **more: Any) -> Any:
        self.on_way[0].disposition = Disposition.ACCEPT
        return receive(self, *arguments, **more)

    patch.setattr(Window, "receive", greedy)


@mutant("state is lost in a restart")
def state_is_lost(patch: Patch) -> None:
    start = SimPool.start

    def skip(self: SimPool, epoch: int, snapshots: Any) -> None:
        start(self, epoch, snapshots if epoch == 1 else {})

    patch.setattr(SimPool, "start", skip)


# Poison isolation


@mutant("quarantines are lost in a restart")
def quarantines_are_lost(patch: Patch) -> None:
    patch.setattr(Window, "quarantine", lambda self, split, record, failure: None)


@mutant("one strike")
def one_strike_is_enough(patch: Patch) -> None:
    patch.setattr(isolation, "STRIKES", 1)


@mutant("strikes are laid to the source record")
def strikes_are_laid_to_the_source_record(patch: Patch) -> None:
    died = PoisonIsolation._died_alone

    class Coarse(dict[Any, int]):
        def __setitem__(self, key: Any, strikes: int) -> None:
            super().__setitem__((key[0], -1, key[2], -1), strikes)

        def get(self, key: Any, default: Any = None) -> Any:
            return super().get((key[0], -1, key[2], -1), default)

    def coarse(self: PoisonIsolation, trouble: Any) -> Any:
        self._strikes = Coarse(self._strikes)
        return died(self, trouble)

    patch.setattr(PoisonIsolation, "_died_alone", coarse)


@mutant("an innocent neighbour is quarantined")
def a_record_that_was_alone_by_chance_is_quarantined(patch: Patch) -> None:
    patch.setattr(Inspection, "isolates", lambda self, record: True)


@mutant("suspects stay suspects when they are accepted")
def an_inspection_never_ends(patch: Patch) -> None:
    accepted = PoisonIsolation.accepted

    def endless(self: PoisonIsolation, split: int, *, finished: bool) -> Any:
        inspection = self.inspections.get(split)
        found = accepted(self, split, finished=finished)
        if inspection is not None:
            self.inspections[split] = inspection
        return found

    patch.setattr(PoisonIsolation, "accepted", endless)


@mutant("a marked frame is overlapped")
def a_marked_frame_is_overlapped(patch: Patch) -> None:
    patch.setattr(SimOverlapping, "alone", lambda self, frame: False)


@mutant("calls are not suspected")
def calls_are_not_suspected(patch: Patch) -> None:
    patch.setattr(Window, "suspects", lambda self, calls: [])


@mutant("quarantines are lost in a flush")
def quarantines_are_lost_in_a_flush(patch: Patch) -> None:
    flush = SimRunner._flush

    def pardoned(self: SimRunner, frame: Any) -> Any:
        frame.quarantined = {}
        return flush(self, frame)

    patch.setattr(SimRunner, "_flush", pardoned)


# Other groups


@mutant("state is lost in a regrouping")
def state_is_lost_in_a_regrouping(patch: Patch) -> None:
    with_groups = Restart.with_groups

    def skip(self: Restart) -> Any:
        self._checkpoints.snapshots = {}
        return with_groups(self)

    patch.setattr(Restart, "with_groups", skip)


@mutant("the end of the first groups is taken for the end of the run")
def the_end_of_the_first_groups_ends_the_run(patch: Patch) -> None:
    patch.setattr(Loop, "_regroup", lambda self: setattr(self, "done", True))


@mutant("a death while the chain is emptied leaves it shut")
def a_death_leaves_it_shut(patch: Patch) -> None:
    """END was sent in the old epoch, and is not in the new one."""
    resend = Restart._resend

    def shut(self: Restart) -> Any:
        emptied = self._regrouping.emptying and not self._transport.ended
        epoch = resend(self)
        epoch.end_sent |= emptied
        return epoch

    patch.setattr(Restart, "_resend", shut)


# Gathering, and what is open


@mutant("a gathered frame leaves before its call")
def a_gathered_frame_leaves_before_its_call(patch: Patch) -> None:
    """What is in a call is taken for done: results that the call gives later are lost."""

    def early(self: SimGathering, frame: Any) -> bool:
        frame.waiting.clear()
        return bool(frame.whole)

    def only_what_is_there(self: SimRunner, outcomes: Any) -> None:
        deal(self, itertools.chain(outcomes, itertools.repeat([])))

    deal = SimRunner.deal
    patch.setattr(SimGathering, "_may_leave", early)
    patch.setattr(SimRunner, "deal", only_what_is_there)


@mutant("what workers have open counts as accepted")
def what_workers_have_open_is_accepted(patch: Patch) -> None:
    """After a death it isn't sent again."""
    after_death = Restart.after_death

    def forgetful(self: Restart, trouble: Any) -> Any:
        held = self._transport.opened()
        for _ in range(held if len(self._window.kept) > held else 0):
            self._window.kept.popleft()
        return after_death(self, trouble)

    patch.setattr(Restart, "after_death", forgetful)


@mutant("results are dealt to the wrong frames")
def results_are_dealt_to_the_wrong_frames(patch: Patch) -> None:
    deal = SimGathering._deal
    patch.setattr(SimGathering, "_deal", lambda self, parts, outcomes: deal(self, parts[::-1], outcomes))


@mutant("a list waits for a frame that can't come")
def a_list_waits_for_a_frame_that_cannot_come(patch: Patch) -> None:
    patch.setattr(SimPool, "say_all_sent", lambda self, sequence: None)


@mutant("frames behind a slow one cost nothing")
def frames_behind_a_slow_one_cost_nothing(patch: Patch) -> None:
    full = Window.full
    patch.setattr(Window, "full", lambda self, opened=0: full(self))


@mutant("a list waits for a split that waits for it")
def a_list_waits_for_a_split_that_waits_for_it(patch: Patch) -> None:
    blocked = Dispatch.blocked.fget
    patch.setattr(Dispatch, "blocked", property(lambda self: self._pending is None and blocked(self)))


@mutant("nobody looks whether frames were begun")
def nobody_looks_whether_frames_were_begun(patch: Patch) -> None:
    patch.setattr(Dispatch, "glance", lambda self: None)


@mutant("a gathering worker waits for a pipe that is full")
def a_gathering_worker_waits_for_a_full_pipe(patch: Patch) -> None:
    patch.setattr(SimGathering, "_write", SimWorker._write)

    def waits(self: SimGathering) -> Any:
        sent = False
        while self._open and self._may_leave(self._open[0]):
            head, sent = self._open[0], True
            for made in head.frames():
                if made is not None:
                    yield from self._write(self.outbound[head.sequence % self._downstream], made)
                yield True
            self._open.popleft()
        return sent

    patch.setattr(SimGathering, "_send", waits)


@mutant("a barrier overtakes the list of a stage with state")
def a_barrier_overtakes_a_list(patch: Patch) -> None:
    passes = SimGathering._passes
    patch.setattr(SimGathering, "_passes", lambda self, kind: kind == BARRIER or passes(self, kind))


# Order, memory, early stop


@mutant("the window never refuses")
def the_window_never_refuses(patch: Patch) -> None:
    patch.setattr(Window, "room", lambda self, *told: not self.stopped)


@mutant("the pipe in turn is read without end")
def the_pipe_in_turn_is_read_without_end(patch: Patch) -> None:
    patch.setattr(Holding, "reads", lambda self, *, due, here: due or not self.full)


@mutant("pipes out of turn are read without end")
def pipes_out_of_turn_are_read_without_end(patch: Patch) -> None:
    patch.setattr(Holding, "full", property(lambda self: False))


@mutant("what is here is taken though the sink has no room")
def what_is_here_is_taken_though_the_sink_has_no_room(patch: Patch) -> None:
    take = Loop._receive_all

    def greedy(self: Loop) -> None:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(type(self._delivery.writer), "pauses_receiving", lambda writer: False)
            take(self)

    patch.setattr(Loop, "_receive_all", greedy)


@mutant("frames are taken as they come")
def frames_are_taken_as_they_come(patch: Patch) -> None:
    frames = Returns.frames

    def any_turn(self: Returns, epoch: int) -> Any:
        for here in self._here:
            while here and here[0].header.kind != END:
                header = here[0].header
                self._sequence += not header.more
                yield here.popleft()
        yield from frames(self, epoch)

    def wherever(self: Window, sequence: int) -> Any:
        self.on_way = deque(sorted(self.on_way, key=lambda sent: (sent.sequence != sequence, sent.sequence)))
        return self.on_way[0]

    patch.setattr(Returns, "frames", any_turn)
    patch.setattr(Window, "_expected", wherever)


@mutant("a worker that is passed over gets no skip frame")
def a_worker_that_is_passed_over_gets_no_skip(patch: Patch) -> None:
    """The next frame takes the number of a neighbour's turn, and nothing takes the turn before it."""

    def silent(self: Window, begun: Any, most: int) -> Any:
        self._sequence += self.balancing.skips(self._sequence, begun, most) > 0
        return []

    patch.setattr(Window, "pass_over", silent)


@mutant("a skip frame lets go of what a barrier would")
def a_skip_is_taken_for_a_barrier(patch: Patch) -> None:
    passed = Window.passed

    def hasty(self: Window, sequence: int) -> None:
        if self._expected(sequence).kind == SKIP:
            self._forget()
        passed(self, sequence)

    patch.setattr(Window, "passed", hasty)


@mutant("what follows the stop in its split is taken")
def what_follows_the_stop_in_its_split_is_taken(patch: Patch) -> None:
    stop = Window._stop

    def half_a_stop(self: Window, sent: Any, kept: Any, stage: int) -> None:
        refusals = [(other, other.disposition) for other in self.on_way]
        stop(self, sent, kept, stage)
        for other, disposition in refusals:
            other.disposition = disposition

    patch.setattr(Window, "_stop", half_a_stop)


@mutant("a flush behind the stop is dropped")
def a_flush_behind_the_stop_is_dropped(patch: Patch) -> None:
    stop = Window._stop
    patch.setattr(Window, "_stop", lambda self, sent, kept, stage: stop(self, sent, kept, 99))


@mutant("a split that fails the run is done")
def a_split_that_fails_the_run_is_done(patch: Patch) -> None:
    receive = Window.receive
    patch.setattr(Window, "receive", lambda self, *given, fails, **more: receive(self, *given, fails=False, **more))


@mutant("barriers pass unsaved splits")
def barriers_pass_unsaved_splits(patch: Patch) -> None:
    """A barrier lets go of what was sent after it, too."""
    passed = Window.passed

    def hasty(self: Window, sequence: int) -> None:
        barrier = self._expected(sequence).kind == BARRIER
        passed(self, sequence)
        if barrier:
            while self.kept:
                self.position = self.kept.popleft().position
            self._unforgotten = 0

    patch.setattr(Window, "passed", hasty)


# Records that a sink refuses


@mutant("what a sink refuses is counted as written")
def what_a_sink_refuses_is_counted_as_written(patch: Patch) -> None:
    def uncounted(metadata: Any, refused: Any) -> None:
        metadata.failures = [*metadata.failures, *refused]

    patch.setattr(receiving, "_refuse", uncounted)


@mutant("a sink that is ahead has refused nothing")
def a_sink_that_is_ahead_has_refused_nothing(patch: Patch) -> None:
    again = Refused.again

    def none(self: Refused, records: int) -> dict[int, Any]:
        again(self, records)
        return {}

    patch.setattr(Refused, "again", none)


@mutant("records that are skipped are not counted as handed to the sink")
def skipped_records_are_not_counted(patch: Patch) -> None:
    again = Refused.again

    def uncounted(self: Refused, records: int) -> dict[int, Any]:
        handed = self.handed
        found = again(self, records)
        self.handed = handed
        return found

    patch.setattr(Refused, "again", uncounted)


@mutant("a row forgets what was refused before a kill")
def a_row_forgets_what_was_refused_before(patch: Patch) -> None:
    patch.setattr(Refused, "row", lambda self: {str(at): why for at, why in self._since.items()})
