"""Make what a run consists of, in the order in which each part may be touched.

plan ─▶ journal: anew or resumed? ─▶ sinks, dead letters ─▶ source ─▶ workers
"""

from __future__ import annotations

import os
import selectors
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from stagerunner.config.masking import Mask
from stagerunner.delivery.branches import BranchWriter
from stagerunner.delivery.deadletters import DeadLetters, label_of
from stagerunner.delivery.delivery import Delivery
from stagerunner.delivery.writers import CallerWriter, RefusingWriter, ResultWriter, SinkWriter, StdoutWriter
from stagerunner.engines.base import Transport
from stagerunner.errors import RunFailed, UsageError
from stagerunner.evaluate.loading import load
from stagerunner.evaluate.wording import describe
from stagerunner.events import RunStarted
from stagerunner.failpoints import point
from stagerunner.guard import guard
from stagerunner.inherited import data_descriptor
from stagerunner.journal import decode_snapshots
from stagerunner.parts.held import is_held
from stagerunner.parts.source import gives_marks, is_stream
from stagerunner.plan import Plan, PlannedPart
from stagerunner.plan.promise import source_kind
from stagerunner.records import FIRST, Mark
from stagerunner.runtime.input import SourceSplits, SplitSource, stream_of
from stagerunner.runtime.iterator_input import given
from stagerunner.runtime.memos import put_away, usable
from stagerunner.runtime.opening import BegunEngine, Resume, begin_engine, engine_guard
from stagerunner.runtime.output import PrintedLines, StdoutDrain
from stagerunner.runtime.resume import Beginning, begin, fingerprint, targets
from stagerunner.runtime.shard_source import ShardSource
from stagerunner.runtime.spending import with_spending
from stagerunner.runtime.stream_source import Stream
from stagerunner.runtime.summary import sink_names
from stagerunner.wire.spec import SourceSpec

Letters = dict[str, DeadLetters]
"""The files of dead letters and dropped records, by the key of their position in the journal's row."""


class Chain(Struct, frozen=True):
    """What records pass: their source, and workers that have been asked for. snapshots: with which stages begin."""

    split_source: SplitSource
    transport: Transport
    selector: selectors.BaseSelector
    snapshots: dict[int, Any]


class Made(Struct, frozen=True):
    """What a run consists of. plan: with what is known of memos and budgets by now. drains: of sinks that are pipes.
    chain: None if the run was finished before it was resumed, so that there is nothing to do."""

    plan: Plan
    beginning: Beginning
    delivery: Delivery
    drains: Sequence[StdoutDrain] = ()
    chain: Chain | None = None


class Making:
    """Makes the parts of one run. exits: get how each is undone. engine, writer: see Session."""

    def __init__(
        self,
        plan: Plan,
        tell: Callable[[Any], None],
        exits: ExitStack,
        records: Iterable[Any] | None,
        resume: Resume,
        engine: BegunEngine | None,
        writer: ResultWriter | None,
    ) -> None:
        self._plan = plan
        self._tell = tell
        self._exits = exits
        self._records = records
        self._resume = resume
        self._begun = engine
        self._writer = writer
        self._drains: list[StdoutDrain] = []

    def made(self) -> Made:
        plan = self._plan
        self._engine = self._begun or begin_engine(plan, early=False)
        self._exits.callback(put_away, plan)  # once the workers are gone
        self._exits.callback(self._engine.close)
        self._selector = self._exits.enter_context(selectors.DefaultSelector())
        source, sinks = make_part(plan.source), tuple(map(make_part, plan.sinks))
        if source is not None:
            with guard("the source", "max_record"):
                source.max_record = plan.run.max_record
        letters = self._make_letters(sinks)
        self._open_journal(source, sinks, letters)
        self._delivery = self._make_delivery(sinks, letters)
        chain = None
        if not self._beginning.done:
            self._open_output(source, letters)
            self._plan = self._with_spending(usable(plan, self._tell))
            chain = self._start_chain(source)
        return Made(self._plan, self._beginning, self._delivery, self._drains, chain)

    # The journal

    def _open_journal(self, source: Any, sinks: Sequence[Any], letters: Letters) -> None:
        for file in () if self._resume.wanted else letters.values():
            file.claim(None)
        self._beginning = beginning = begin(self._plan, source, sinks, self._resume, self._tell)
        self._hash_seed = beginning.hash_seed or self._engine.hash_seed
        for journal in (beginning.journal, *beginning.claims):
            if journal is not None:
                self._exits.callback(journal.close)

    def _with_spending(self, plan: Plan) -> Plan:
        beginning = self._beginning
        path = beginning.journal.path if beginning.journal is not None and beginning.resumable else None
        return with_spending(plan, path, beginning.salt, self._tell, resumed=beginning.row is not None)

    # Where results go

    def _make_letters(self, sinks: Sequence[Any]) -> Letters:
        """The files of dead letters and dropped records, not yet opened."""
        return {key: self._make_file(path, sinks, what) for key, path, what in self._plan.letters}

    def _make_file(self, path: Path, sinks: Sequence[Any], what: str) -> DeadLetters:
        """A file of dead letters or dropped records.

        Other runs may write to the same file, so it is claimed before anything else is touched. A fresh run claims it
        at once, a resumed one when the journal has said that there is something left to do.
        """
        plan, journal = self._plan, self._resume.journal
        if journal is not None and os.path.realpath(journal) == os.path.realpath(path):
            raise UsageError(f"{journal} can't hold both the journal and the {what}; name another file")
        output = f"{plan.sinks[0].part.name if plan.sinks else 'the caller'} of {plan.name}"
        label = label_of(path, next(targets(sinks), None), output)
        again = f"{label} (replay)"
        heirs = () if plan.replay else (again,)
        file = DeadLetters(path, Mask(plan.secrets), again if plan.replay else label, heirs, what)
        self._exits.callback(file.close)
        return file

    def _make_delivery(self, sinks: Sequence[Any], letters: Letters) -> Delivery:
        plan, row = self._plan, self._beginning.row
        limits = {s.work.index: s.settings.max_errors for s in plan.stages if s.settings.max_errors is not None}
        delivery = Delivery(
            tuple(stage.name for stage in plan.stages),
            self._writer or self._make_writer(sinks),
            letters.get("letters"),
            self._tell,
            limits,
            sinks=sink_names(plan),
            branches=plan.branches,
            mask=Mask(plan.secrets),
            dropped=letters.get("dropped"),
        )
        if row is not None:
            delivery.ledger.restore(row["ledger"])
        return delivery

    def _make_writer(self, sinks: Sequence[Any]) -> ResultWriter:
        if not sinks:
            return CallerWriter()
        writers = [self._writer_of(sink, number) for number, sink in enumerate(sinks)]
        if not self._plan.branches:
            return writers[0]
        return BranchWriter(writers, self._beginning.leads, (self._beginning.row or {}).get("handed", {}))

    def _writer_of(self, sink: Any, number: int) -> ResultWriter:
        if getattr(sink, "stdout", False) and sys.__stdout__ is None:  # its descriptor was closed when Python started
            raise UsageError("standard output is closed; -o FILE writes a file")
        if getattr(sink, "streams", False):
            writer = StdoutWriter(sink)
            self._drains.append(StdoutDrain(writer, self._selector, lambda: data_descriptor(sink.connect())))
            return writer
        planned = self._plan.sinks[number]
        if planned.refuses_records:
            return RefusingWriter(sink, len(self._plan.stages) + number, planned.settings.on_error)
        return SinkWriter(sink)

    def _open_output(self, source: Any, letters: Letters) -> None:
        beginning = self._beginning
        for key, file in letters.items() if self._resume.wanted else ():
            file.claim(None if beginning.row is None else beginning.row.get(key), forced=self._resume.forced)
        self._exits.callback(self._leave_output)
        reset_journal(self._plan, beginning, source, self._hash_seed)
        self._delivery.open(beginning.row)
        if beginning.row is not None:
            self._note_position(beginning.row)
            point("resume")

    def _leave_output(self) -> None:
        for drain in self._drains:
            drain.unwatch()
        if not self._delivery.finished:
            self._delivery.abort(resumable=self._beginning.journal is not None)

    def _note_position(self, row: dict[str, Any]) -> None:
        """Journal the sink's position again: a sink that goes on may have made a new file, which the next resume must
        know."""
        journal, writer = self._beginning.journal, self._delivery.writer
        place = writer.position()
        if journal is None or place == row["sink"]:
            return
        if writer.keeps == "transaction" and self._plan.branches:  # the row of the last one is what counts
            writer.commit(row := dict(row))
        if writer.keeps == "truncate" or self._plan.branches:
            journal.write(row | {"sink": place})

    # Where records come from, and what they pass

    def _start_chain(self, source: Any) -> Chain:
        split_source = self._make_split_source(source)
        self._exits.callback(split_source.close)
        with engine_guard(self._plan) or nullcontext():
            transport: Transport = self._engine.engine.transport(
                self._plan, self._selector, PrintedLines(self._tell), self._hash_seed
            )
        self._exits.callback(transport.close)
        snapshots = start_workers(self._plan, self._beginning, self._delivery.writer, transport, self._tell)
        return Chain(split_source, transport, self._selector, snapshots)

    def _make_split_source(self, source: Any) -> SplitSource:
        plan, row = self._plan, self._beginning.row
        if plan.source is None:
            split_source = given(() if self._records is None else self._records, self._selector, plan.run.linger)
            split_source.elsewhere = not plan.engine.in_process
            return split_source
        after = None if row is None else row["position"]
        if not plan.source.parts:
            return self._split_source_of(plan.source, source, after, self._delivery.ledger.taken)
        # Late: few sources are lists.
        from stagerunner.runtime.parts_in_order import PartsInOrder

        both = zip(plan.sources, source.instances, strict=True)
        makers = [partial(self._split_source_of, part, instance) for part, instance in both]
        marks = any(gives_marks(part.part.found) for part in plan.sources)
        rereads = source_kind(plan.source) == "splits"
        return PartsInOrder(makers, [part.name for part in plan.sources], after, marks=marks, rereads=rereads)

    def _split_source_of(self, part: PlannedPart, source: Any, after: Any, before: int) -> SplitSource:
        """The split source of the source, or of a part of it. before: records that a stream gave in an earlier run."""
        plan, found = self._plan, part.part.found or load(part.part.target)
        if is_stream(found):
            if is_held(part.part.target):
                return given(stream_records(part), self._selector, plan.run.linger)
            limits = (plan.run.linger, plan.files, plan.run.max_record)
            feed = SourceSpec(part.part.target, part.options, *limits, gives_marks(found), after)
            lines = PrintedLines(self._tell)
            return Stream(feed, plan.run.frame or 1, self._selector, lines, self._hash_seed, source, before)
        if plan.shard is not None:
            source = ShardSource(source, plan.shard)
        return stream_of(source, self._selector) or SourceSplits(source, after)


def reset_journal(plan: Plan, beginning: Beginning, source: Any, hash_seed: str) -> None:
    """Before a fresh run touches the output, forget the old run in the journal: a journal never leads its sink."""
    if beginning.journal is not None and beginning.row is None:
        beginning.journal.begin(fingerprint(plan, source, beginning.salt), hash_seed, {})


def start_workers(
    plan: Plan, beginning: Beginning, writer: ResultWriter, transport: Transport, tell: Callable[[Any], None]
) -> dict[int, Any]:
    """Report that the run begins and start the workers; the snapshots with which their stages begin."""
    snapshots = {} if beginning.row is None else decode_snapshots(beginning.row["snapshots"])
    tell(RunStarted(plan.name, tuple(stage.name for stage in plan.stages), plan.run.engine))
    transport.start(FIRST, snapshots | {len(plan.stages) + sink: names for sink, names in writer.columns().items()})
    return snapshots


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


def make_part(part: PlannedPart | None) -> Any:
    """The parent's instance of a source or sink; None for a generator function, which runs in a process of its own."""
    if part is None:
        return None
    with guard(f"the {part.part.kind} {part.part.name}", "its making"):
        found = load(part.part.target)
        generator = part.part.kind == "source" and is_stream(found) and not gives_marks(found)
        return None if generator else found(**part.options)
