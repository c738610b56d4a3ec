"""One run from its plan to its summary: journal, output, source, workers, loop; and how it ends.

    plan ─▶ journal: anew or resumed? ─▶ output ─▶ source ─▶ workers ─▶ Loop.step … ─▶ last commit ─▶ done

Leaving the session undoes all of it in reverse order: workers are killed and reaped, descriptors closed, the output
finished or kept for `--resume`.
"""

from __future__ import annotations

import os
import selectors
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, TextIO

from stagerunner.config.masking import Mask
from stagerunner.delivery.branches import BranchWriter
from stagerunner.delivery.deadletters import DeadLetters, label_of
from stagerunner.delivery.delivery import Delivery
from stagerunner.delivery.writers import CallerWriter, RefusingWriter, ResultWriter, SinkWriter, StdoutWriter
from stagerunner.engines.base import Transport
from stagerunner.errors import InternalError, RunFailed, UsageError
from stagerunner.evaluate.loading import load
from stagerunner.evaluate.wording import describe
from stagerunner.events import Checkpoint, Progress, RunStarted, Summary
from stagerunner.failpoints import point
from stagerunner.guard import guard, passes, refusals, refused
from stagerunner.inherited import data_descriptor
from stagerunner.journal import decode_snapshots
from stagerunner.parts.held import is_held
from stagerunner.parts.hooks import PROJECT
from stagerunner.parts.source import gives_marks, is_stream
from stagerunner.plan import Plan, PlannedPart, why_no_resume
from stagerunner.plan.promise import source_kind
from stagerunner.records import FIRST, Mark
from stagerunner.runtime.input import SourceSplits, SplitSource, stream_of
from stagerunner.runtime.iterator_input import given
from stagerunner.runtime.memos import usable
from stagerunner.runtime.opening import NO_RESUME, BegunEngine, Resume, begin_engine
from stagerunner.runtime.output import PrintedLines, StdoutDrain
from stagerunner.runtime.resume import begin, fingerprint, targets
from stagerunner.runtime.shard_source import ShardSource
from stagerunner.runtime.spending import forget_spending, with_spending
from stagerunner.runtime.stream_source import Stream
from stagerunner.runtime.summary import failure_error, sink_names, summary_of, trouble_error
from stagerunner.wire.spec import SourceSpec

Letters = dict[str, DeadLetters]
"""The files of dead letters and dropped records, by the key of their position in the journal's row."""


class Session:
    """A run under way. Use it as a context manager: leaving it ends every process of the run."""

    def __init__(
        self,
        plan: Plan,
        listener: Callable[[Any], None],
        records: Iterable[Any] | None = None,
        resume: Resume = NO_RESUME,
        engine: BegunEngine | None = None,
        writer: ResultWriter | None = None,
    ) -> None:
        """engine: begun already. writer: gets the results instead of the plan's sink."""
        self.plan = plan
        self.tell = listener
        self._records = records
        self._resume = resume
        self._begun = engine
        self._writer = writer
        self._exits = ExitStack()
        self._began = monotonic()
        self._last_progress = self._last_checkpoint = self._began
        self._committed = False
        self._taken = 0
        """Source records up to the last commit."""
        self._earlier = 0
        """Source records that this run accepted before it was resumed."""
        self._bytes_earlier = 0
        self._drains: list[StdoutDrain] = []
        foreign = not plan.engine.target.startswith(f"{PROJECT}.")
        self._foreign = guard(f"the engine {plan.run.engine}", "its transport") if foreign else None

    def __enter__(self) -> Session:
        with self._exits, refusals():
            self._engine = self._begun or begin_engine(self.plan, early=False)
            self._exits.callback(self._engine.close)
            self._selector = self._exits.enter_context(selectors.DefaultSelector())
            self._build()
            self._exits = self._exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exits.close()

    def _build(self) -> None:
        """Open the journal, the output and the chain, in the order in which each may be touched."""
        source, sinks = make_part(self.plan.source), tuple(map(make_part, self.plan.sinks))
        if source is not None:
            with guard("the source", "max_record"):
                source.max_record = self.plan.run.max_record
        letters = self._make_letters(sinks)
        self._open_journal(source, sinks, letters)
        self.delivery = self._make_delivery(sinks, letters)
        if not self._beginning.done:
            self._open_output(source, letters)
            self.plan = self._with_spending(usable(self.plan, self.tell))
            self._open_chain(source)

    def _open_journal(self, source: Any, sinks: Sequence[Any], letters: Letters) -> None:
        for file in () if self._resume.wanted else letters.values():
            file.claim(None)
        self._beginning = beginning = begin(self.plan, source, sinks, self._resume, self.tell)
        self._hash_seed = beginning.hash_seed or self._engine.hash_seed
        for journal in (beginning.journal, *beginning.claims):
            if journal is not None:
                self._exits.callback(journal.close)

    def _with_spending(self, plan: Plan) -> Plan:
        beginning = self._beginning
        path = beginning.journal.path if beginning.journal is not None and self.resumable else None
        return with_spending(plan, path, beginning.salt, self.tell, resumed=beginning.row is not None)

    def _open_output(self, source: Any, letters: Letters) -> None:
        row = self._beginning.row
        for key, file in letters.items() if self._resume.wanted else ():
            file.claim(None if row is None else row.get(key), forced=self._resume.forced)
        self._exits.callback(self._release)
        self._reset_journal(source)
        self.delivery.open(row)
        if row is not None:
            self._note_position(row)
            point("resume")

    def _open_chain(self, source: Any) -> None:
        """Start the workers, and import the loop while they start up."""
        self.split_source = self._make_split_source(source)
        self._exits.callback(self.split_source.close)
        self.transport = self._make_transport()
        self._exits.callback(self.transport.close)
        snapshots = self._start_workers()
        # Late: the workers have been asked for by now, and start up while this is imported.
        from stagerunner.runtime.loop import Loop

        self.loop = Loop(
            self.plan, self.split_source, self.delivery, self.transport, self._selector, self.tell, self._commit
        )
        self._start(snapshots)

    def _make_transport(self) -> Transport:
        with self._foreign or nullcontext():
            made: Transport = self._engine.engine.transport(
                self.plan, self._selector, PrintedLines(self.tell), self._hash_seed
            )
        return made

    def _note_position(self, row: dict[str, Any]) -> None:
        """Journal the sink's position again: a sink that goes on may have made a new file, which the next resume must
        know."""
        journal, place = self._beginning.journal, self.writer.position()
        if journal is None or place == row["sink"]:
            return
        if self.writer.keeps == "transaction" and self.plan.branches:  # the row of the last one is what counts
            self.writer.commit(row := dict(row))
        if self.writer.keeps == "truncate" or self.plan.branches:
            journal.write(row | {"sink": place})

    def _reset_journal(self, source: Any) -> None:
        """Before a fresh run touches the output, forget the old run in the journal: a journal never leads its sink."""
        journal = self._beginning.journal
        if journal is not None and self._beginning.row is None:
            journal.begin(fingerprint(self.plan, source, self._beginning.salt), self._hash_seed, {})

    def _make_letters(self, sinks: Sequence[Any]) -> Letters:
        """The files of dead letters and dropped records, not yet opened."""
        plan = self.plan
        planned = (("letters", plan.dead_letter, "dead letters"), ("dropped", plan.dropped, "dropped records"))
        return {key: self._make_file(path, sinks, what) for key, path, what in planned if path is not None}

    def _make_file(self, path: Path, sinks: Sequence[Any], what: str) -> DeadLetters:
        """A file of dead letters or dropped records.

        Other runs may write to the same file, so it is claimed before anything else is touched: by a fresh run at once,
        by a resumed one when the journal has said that there is something left to do.
        """
        plan = self.plan
        journal = self._resume.journal
        if journal is not None and os.path.realpath(journal) == os.path.realpath(path):
            raise UsageError(f"{journal} can't hold both the journal and the {what}; name another file")
        label = label_of(path, next(targets(sinks), None), output_name(plan))
        again = f"{label} (replay)"
        heirs = () if plan.replay else (again,)
        file = DeadLetters(path, Mask(plan.secrets), again if plan.replay else label, heirs, what)
        self._exits.callback(file.close)
        return file

    def _make_delivery(self, sinks: Sequence[Any], letters: Letters) -> Delivery:
        plan, mask = self.plan, Mask(self.plan.secrets)
        self.writer = self._writer or self._make_writer(sinks)
        limits = {s.work.index: s.settings.max_errors for s in plan.stages if s.settings.max_errors is not None}
        names = tuple(stage.name for stage in plan.stages)
        delivery = Delivery(
            names,
            self.writer,
            letters.get("letters"),
            self.tell,
            limits,
            sinks=sink_names(plan),
            branches=plan.branches,
            mask=mask,
            dropped=letters.get("dropped"),
        )
        if self._beginning.row is not None:
            delivery.ledger.restore(self._beginning.row["ledger"])
        return delivery

    def _make_writer(self, sinks: Sequence[Any]) -> ResultWriter:
        if not sinks:
            return CallerWriter()
        writers = [self._writer_of(sink, number) for number, sink in enumerate(sinks)]
        if not self.plan.branches:
            return writers[0]
        return BranchWriter(writers, self._beginning.leads, (self._beginning.row or {}).get("handed", {}))

    def _writer_of(self, sink: Any, number: int) -> ResultWriter:
        if getattr(sink, "stdout", False):
            _refuse_closed(sys.__stdout__, "standard output is closed; -o FILE writes a file")
        if getattr(sink, "streams", False):
            writer = StdoutWriter(sink)
            self._drains.append(StdoutDrain(writer, self._selector, lambda: data_descriptor(sink.connect())))
            return writer
        planned = self.plan.sinks[number]
        if planned.refuses_records:
            return RefusingWriter(sink, len(self.plan.stages) + number, planned.settings.on_error)
        return SinkWriter(sink)

    def _make_split_source(self, source: Any) -> SplitSource:
        plan, row = self.plan, self._beginning.row
        if plan.source is None:
            split_source = given(() if self._records is None else self._records, self._selector, plan.run.linger)
            split_source.elsewhere = not plan.engine.in_process
            return split_source
        after = None if row is None else row["position"]
        if not plan.source.parts:
            return self._split_source_of(plan.source, source, after, self.delivery.ledger.taken)
        # Late: few sources are lists.
        from stagerunner.runtime.parts_in_order import PartsInOrder

        both = zip(plan.sources, source.instances, strict=True)
        makers = [partial(self._split_source_of, part, instance) for part, instance in both]
        marks = any(gives_marks(part.part.found) for part in plan.sources)
        rereads = source_kind(plan.source) == "splits"
        return PartsInOrder(makers, [part.name for part in plan.sources], after, marks=marks, rereads=rereads)

    def _split_source_of(self, part: PlannedPart, source: Any, after: Any, before: int) -> SplitSource:
        """The split source of the source, or of a part of it. before: records that a stream gave in an earlier run."""
        plan, found = self.plan, part.part.found or load(part.part.target)
        if is_stream(found):
            if is_held(part.part.target):
                return given(stream_records(part), self._selector, plan.run.linger)
            feed = SourceSpec(
                part.part.target,
                part.options,
                plan.run.linger,
                plan.files,
                plan.run.max_record,
                gives_marks(found),
                after,
            )
            lines = PrintedLines(self.tell)
            return Stream(feed, plan.run.frame or 1, self._selector, lines, self._hash_seed, source, before)
        if plan.shard is not None:
            source = ShardSource(source, plan.shard)
        return stream_of(source, self._selector) or SourceSplits(source, after)

    def _start_workers(self) -> dict[int, Any]:
        """Report that the run begins and start the workers; the snapshots that they begin with."""
        row = self._beginning.row
        snapshots = {} if row is None else decode_snapshots(row["snapshots"])
        self.tell(RunStarted(self.plan.name, tuple(stage.name for stage in self.plan.stages), self.plan.run.engine))
        columns = {len(self.plan.stages) + sink: names for sink, names in self.writer.columns().items()}
        self.transport.start(FIRST, snapshots | columns)
        return snapshots

    def _start(self, snapshots: dict[int, Any]) -> None:
        """Commit where a fresh run begins, or take the row of a resumed one; then start the loop."""
        row = self._beginning.row
        if row is not None:
            self._earlier = self._taken = self.delivery.ledger.taken
            self._bytes_earlier = row.get("bytes", 0)
            self.loop.start(row, snapshots, self._earlier)
            self.loop.done = self.delivery.too_many is not None
            return
        self._commit()
        self.loop.start()

    # Going on

    @property
    def over(self) -> bool:
        """Whether no step is left to do."""
        if self._beginning.done:
            return True
        return self.loop.done and all(drain.done for drain in self._drains)

    def step(self, timeout: float | None = None) -> None:
        """Do what can be done now. Raises the error the run ends with, once everything before it is delivered."""
        for drain in self._drains:
            drain.watch()
        try:
            self.loop.step(timeout)
        except (OSError, MemoryError) as error:  # as `refusals` does, which would cost each step 2 µs
            raise refused(error) from error
        except BaseException as error:
            if self._foreign is None or passes(error):
                raise
            raise self._foreign.failure(error) from error
        if self.loop.trouble is not None:
            raise trouble_error(self.loop.trouble)

    def run(self, every: float, time_is_up: Callable[[], bool] = bool) -> None:
        """Step until the run is over or its time is up, with `progress` in between. Raises what `step` does."""
        while not self.over and not time_is_up():
            if self._drains:
                self.step(every)
            else:
                with self._foreign or nullcontext(), refusals():
                    self._turn(every, time_is_up)
                if self.loop.trouble is not None:
                    raise trouble_error(self.loop.trouble)
            self.progress(every)

    def _turn(self, every: float, time_is_up: Callable[[], bool]) -> None:
        """Step until `progress` may have something to do."""
        loop, until = self.loop, self._last_progress + every
        if self._beginning.journal is not None:
            until = min(until, self._last_checkpoint + self.plan.run.checkpoint)
        loop.step(every)
        while not loop.done and loop.trouble is None and monotonic() < until and not time_is_up():
            loop.step(every)

    def progress(self, every: float) -> None:
        """Emit Progress, at most once in `every` seconds; ask for a checkpoint when one is due."""
        now = monotonic()
        if self._beginning.done:
            return
        if now - self._last_checkpoint >= self.plan.run.checkpoint and self._beginning.journal is not None:
            self._last_checkpoint = now
            self.loop.checkpoint()
        if now - self._last_progress >= every:
            self._last_progress = now
            summary, ledger = self.summary(0), self.delivery.ledger
            self.tell(
                Progress(
                    now - self._began,
                    ledger.taken,
                    ledger.out,
                    ledger.failed,
                    self.loop.dispatch.bytes_so_far,
                    self.split_source.total(),
                    summary.stages,
                    self._earlier,
                    self._bytes_earlier,
                    self.plan.limit,
                    summary.sinks,
                )
            )

    # The end

    def finish(self) -> None:
        """Called when the loop is done: make the last commit and finish the output, or raise what went wrong."""
        if self._beginning.done:
            return
        error = failure_error(self.plan, self.delivery, resumable=self.resumable) or self.split_source.error
        if error is not None:
            if self.loop.may_commit:
                self._commit()
            if any(stage.work.memo or stage.work.budget for stage in self.plan.stages):
                self.loop.let_calls_end(self.plan.run.grace)
            raise error
        self._commit(finished=True)
        journal = self._beginning.journal
        if journal is not None:
            journal.mark("finishing")
        point("finishing")
        self.delivery.finish()
        self._committed = True
        point("rename")
        if journal is not None:
            journal.mark("done")
            forget_spending(journal.path)

    def _commit(self, *, finished: bool = False) -> None:
        """Make everything accepted durable: dead letters, sink, journal.

        finished: the last commit. The row says so, because it stands behind the last barrier and nothing may be sent
        again from there.
        """
        power = self.plan.run.durability == "power"
        row = self.loop.row() | {"finished": finished, "run": self._beginning.salt}
        self.delivery.commit(row, self._beginning.journal, power=power)
        self._taken = self.delivery.ledger.taken
        self.tell(Checkpoint(self.delivery.ledger.out, self.loop.window.position))

    @property
    def done_before(self) -> bool:
        """The run was finished before it was resumed: there is nothing to do or to stop."""
        return self._beginning.done

    def halt(self) -> None:
        """End as soon as the records in hand are done. Safe to call from a signal handler."""
        if not self.done_before:
            self.loop.halt()

    @property
    def pausing(self) -> float:
        """Seconds for which a stage still begins no call, since it raised `RetryLater`."""
        return max((clock.pausing for clock in self.transport.clocks()), default=0) / 1e9

    def interrupted(self) -> bool:
        """Commit what was accepted, if the source can go on from there; whether `--resume` can."""
        self.loop.book()
        if self.loop.may_commit:
            self._commit()
        return self.resumable

    @property
    def to_read_again(self) -> int:
        """How many records that were accepted a resume reads again, since they stand behind the last mark."""
        marked = any(gives_marks(part.part.found) for part in self.plan.sources)
        return self.delivery.ledger.taken - self._taken if marked else 0

    @property
    def resumable(self) -> bool:
        """Whether `--resume` can go on from what was committed."""
        journal = self._beginning.journal is not None
        return journal and why_no_resume(self.plan, journal=self._resume.journal is not None) is None

    def kill(self) -> None:
        """Kill every worker and do nothing else. For a signal handler or a thread that ends this process."""
        if not self._beginning.done:
            self.transport.kill()

    def closing_summary(self, *, allow_dead_letters: bool) -> Summary:
        """The summary of a run that has ended well. Raises InternalError if the ledger does not balance."""
        ledger = self.delivery.ledger
        failures = [] if self._beginning.done else self.transport.teardown_failures()
        if not ledger.balanced:
            raise InternalError(f"the ledger does not balance: {ledger.as_rows()}")
        code = 1 if failures else 3 if ledger.dead and not allow_dead_letters else 0
        return self.summary(code, (*(f"closing failed in {failure}" for failure in failures), *self._uncounted()))

    def _uncounted(self) -> Iterator[str]:
        """What to say of budgets that limit nothing, since their stage has never counted such a thing."""
        for stage in self.plan.stages:
            entry = self.delivery.ledger.entries[stage.work.index]
            for name, _ in stage.settings.budget if entry.taken else ():
                if name not in entry.extra:
                    yield f"the budget of '{stage.name}' limits {name}, which it has never counted"

    def _release(self) -> None:
        for drain in self._drains:
            drain.unwatch()
        if not self._committed:
            self.delivery.abort(resumable=self._beginning.journal is not None)

    def summary(self, exit_code: int, messages: tuple[str, ...] = ()) -> Summary:
        """The ledger and the clocks at this moment."""
        seconds = monotonic() - self._began
        if self._beginning.done:
            row = self._beginning.row or {}
            return summary_of(
                self.plan,
                self.delivery.ledger,
                [],
                seconds,
                exit_code,
                messages,
                whole=True,
                dropped=row.get("dropped", 0),
            )
        self.loop.book()
        return summary_of(
            self.plan,
            self.delivery.ledger,
            self.transport.clocks(),
            seconds,
            exit_code,
            messages,
            self.loop.restarts,
            self.transport.groups,
            self.loop.regrouping.fusions(),
            self._earlier,
            self._committed,
            self.delivery.dropped,
        )


def stream_records(part: PlannedPart) -> Iterator[Any]:
    """The records of a stream source that runs in this process. Raises RunFailed for anything that it raises."""
    try:
        found = load(part.part.target)(**part.options)
        records = found.read(None) if hasattr(found, "read") else found
        yield from (record for record in records if type(record) is not Mark)  # nothing here can be resumed
    except BaseException as error:
        if isinstance(error, GeneratorExit):
            raise
        raise RunFailed(f"the source failed: {describe(error)}") from error


def output_name(plan: Plan) -> str:
    """The name, in a shared file of dead letters, of a chain without an output file."""
    return f"{plan.sinks[0].part.name if plan.sinks else 'the caller'} of {plan.name}"


def _refuse_closed(stream: TextIO | None, message: str) -> None:
    """Raises UsageError if the descriptor was closed when Python started: then the stream is None."""
    if stream is None:
        raise UsageError(message)


def make_part(part: PlannedPart | None) -> Any:
    """The parent's instance of a source or sink; None for a generator function, which runs in a process of its own."""
    if part is None:
        return None
    with guard(f"the {part.part.kind} {part.part.name}", "its making"):
        found = load(part.part.target)
        generator = part.part.kind == "source" and is_stream(found) and not gives_marks(found)
        return None if generator else found(**part.options)
