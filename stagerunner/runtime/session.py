"""One run, from its parts to its summary: the loop is turned, everything is committed, and the output gets its name.

    parts ─▶ Loop.step … ─▶ last commit ─▶ done

Leaving the session undoes all of it in reverse order: workers are killed and reaped, descriptors closed, the output
finished or kept for `--resume`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, nullcontext
from time import monotonic
from types import TracebackType
from typing import Any

from stagerunner.delivery.writers import ResultWriter
from stagerunner.errors import InternalError
from stagerunner.events import Checkpoint, Progress, Summary
from stagerunner.failpoints import point
from stagerunner.guard import passes, refusals, refused
from stagerunner.parts.source import gives_marks
from stagerunner.plan import Plan
from stagerunner.runtime.making import Chain, Made, Making
from stagerunner.runtime.opening import NO_RESUME, BegunEngine, Resume, engine_guard
from stagerunner.runtime.spending import forget_spending
from stagerunner.runtime.summary import failure_error, summary_of, trouble_error


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
        self.tell = listener
        self._exits = ExitStack()
        self._making = Making(plan, listener, self._exits, records, resume, engine, writer)
        self._foreign = engine_guard(plan)
        self._began = monotonic()
        self._last_progress = self._last_checkpoint = self._began
        self._taken = 0
        """Source records up to the last commit."""
        self._earlier = 0
        """Source records that this run accepted before it was resumed."""
        self._bytes_earlier = 0

    def __enter__(self) -> Session:
        with self._exits, refusals():
            self._begin(self._making.made())
            self._exits = self._exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exits.close()

    def _begin(self, made: Made) -> None:
        self.plan, self.delivery, self._beginning, self._drains = made.plan, made.delivery, made.beginning, made.drains
        self.done_before = made.chain is None
        """The run was finished before it was resumed: there is nothing to do or to stop."""
        if made.chain is not None:
            self._start(made.chain)

    def _start(self, chain: Chain) -> None:
        """Commit where a fresh run begins, or take the row of a resumed one; then start the loop."""
        # Late: the workers have been asked for by now, and start up while this is imported.
        from stagerunner.runtime.loop import Loop

        self.split_source, self.transport = chain.split_source, chain.transport
        self.loop = Loop(
            self.plan, chain.split_source, self.delivery, chain.transport, chain.selector, self.tell, self._commit
        )
        row = self._beginning.row
        if row is not None:
            self._earlier = self._taken = self.delivery.ledger.taken
            self._bytes_earlier = row.get("bytes", 0)
            self.loop.start(row, chain.snapshots, self._earlier)
            self.loop.done = self.delivery.too_many is not None
            return
        self._commit()
        self.loop.start()

    # Going on

    @property
    def over(self) -> bool:
        """Whether no step is left to do."""
        return self.done_before or (self.loop.done and all(drain.done for drain in self._drains))

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
        if self.done_before:
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
                    summary.starting,
                )
            )

    # The end

    def finish(self) -> None:
        """Called when the loop is done: make the last commit and finish the output, or raise what went wrong."""
        if self.done_before:
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
        return self._beginning.resumable

    def kill(self) -> None:
        """Kill every worker and do nothing else. For a signal handler or a thread that ends this process."""
        if not self.done_before:
            self.transport.kill()

    def closing_summary(self, *, allow_dead_letters: bool) -> Summary:
        """The summary of a run that has ended well. Raises InternalError if the ledger does not balance."""
        ledger = self.delivery.ledger
        failures = [] if self.done_before else self.transport.teardown_failures()
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

    def summary(self, exit_code: int, messages: tuple[str, ...] = ()) -> Summary:
        """The ledger and the clocks at this moment."""
        ledger, seconds = self.delivery.ledger, monotonic() - self._began
        if self.done_before:
            dropped = (self._beginning.row or {}).get("dropped", 0)
            return summary_of(self.plan, ledger, [], seconds, exit_code, messages, whole=True, dropped=dropped)
        self.loop.book()
        return summary_of(
            self.plan,
            ledger,
            self.transport.clocks(),
            seconds,
            exit_code,
            messages,
            self.loop.restarts,
            self.transport.groups,
            self.loop.regrouping.fusions(),
            self._earlier,
            self.delivery.finished,
            self.delivery.dropped,
            self.loop.starting,
            max(0.0, self.loop.dispatch.read_at - self._began),
        )
