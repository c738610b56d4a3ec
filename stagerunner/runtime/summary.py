"""The end of a run: its summary, and the error for its root cause."""

from __future__ import annotations

from collections.abc import Sequence

from stagerunner.delivery.delivery import Delivery, where
from stagerunner.delivery.ledger import Ledger
from stagerunner.engines.base import Clock, Trouble
from stagerunner.engines.topology import Group
from stagerunner.errors import RunFailed, StageFailed, StagerunnerError, Stopped, WorkerDied
from stagerunner.evaluate.wording import failure_lines
from stagerunner.events import Fusion, SinkTotals, StageTotals, Summary
from stagerunner.guard import text_of
from stagerunner.plan import Plan, PlannedPart, PlannedStage
from stagerunner.records import HITS, PASSING, RECALLED, SOURCE, SPENT


def summary_of(
    plan: Plan,
    ledger: Ledger,
    clocks: list[Clock],
    seconds: float,
    exit_code: int,
    messages: tuple[str, ...] = (),
    restarts: int = 0,
    groups: Sequence[Group] = (),
    fusions: tuple[Fusion, ...] = (),
    earlier: int = 0,
    whole: bool = False,
    dropped: int = 0,
    starting: float = 0.0,
    reading: float = 0.0,
) -> Summary:
    """The summary of a run. groups: the last ones, or none if no worker was started. earlier: see Summary.

    whole: the output is complete and has its final name. dropped: records in the file of the dropped ones. starting,
    reading: seconds, see Summary.
    """
    return Summary(
        name=plan.name,
        ok=exit_code == 0,
        exit_code=exit_code,
        seconds=seconds,
        records=ledger.records(),
        stages=tuple(_totals(plan, ledger, clocks, index, groups) for index in range(len(plan.stages))),
        restarts=restarts,
        output=_output(plan) if whole else "",
        dead_letter=str(plan.dead_letter or "") if ledger.dead else "",
        dropped=str(plan.dropped or "") if dropped else "",
        messages=messages,
        fusions=fusions,
        earlier=earlier,
        sinks=tuple(_sink(plan, ledger, number, whole=whole) for number in range(len(ledger.branches))),
        starting=starting,
        reading=reading,
    )


def sink_names(plan: Plan) -> tuple[str, ...]:
    """The names under which sinks fail and are counted: one alone is "sink"."""
    return tuple(sink.name for sink in plan.sinks) if plan.branches else ("sink",) * len(plan.sinks)


def _output(plan: Plan) -> str:
    return _place(plan.sinks[0]) if plan.sinks and not plan.branches else ""


def _place(sink: PlannedPart) -> str:
    return text_of(sink.options.get("path", sink.name))


def _sink(plan: Plan, ledger: Ledger, number: int, *, whole: bool) -> SinkTotals:
    entry, sink = ledger.entries[ledger.branches[number]], plan.sinks[number]
    counts = (entry.taken, entry.out, entry.filtered, entry.skipped, entry.dead, entry.not_processed)
    return SinkTotals(sink.name, *counts, _place(sink) if whole else "")


def _totals(plan: Plan, ledger: Ledger, clocks: list[Clock], index: int, groups: Sequence[Group]) -> StageTotals:
    entry = ledger.entries[index]
    ours = [clock for clock in clocks if clock[0] == index]
    work, codec, wait, block = (sum(clock[n] for clock in ours) / 1e9 for n in range(1, 5))
    cpu = sum(clock.cpu for clock in ours) / 1e9
    paused = max((clock.paused for clock in ours), default=0) / 1e9
    group = next((n for n, group in enumerate(groups, 1) if plan.stages[index] in group.stages), 0)
    return StageTotals(
        plan.stages[index].name,
        plan.stages[index].settings.workers,
        entry.taken,
        entry.created,
        entry.out,
        entry.filtered,
        entry.skipped,
        entry.dead,
        entry.not_processed,
        work,
        codec,
        wait,
        block,
        {name: number for name, number in entry.extra.items() if name != HITS and not name.startswith(RECALLED)},
        group,
        plan.stages[index].work.form.flushes or entry.created > 0,
        cpu,
        entry.extra.get(HITS, 0),
        paused,
        {name.removeprefix(RECALLED): n for name, n in entry.extra.items() if name.startswith(RECALLED)},
    )


def _budget_spent(stage: PlannedStage, said: str, *, resumable: bool) -> Stopped:
    """The error of a run that stopped because a stage may spend no more. said: by the worker, "usd 5.01 of 5"."""
    counter = next((name for name, _ in stage.settings.budget if said.startswith(f"{name} ")), "")
    if not counter:  # it can't tell what it has spent
        return Stopped(f"{stage.name} makes no further call: {said}" + ("; --resume goes on" if resumable else ""))
    more = f"`--resume --set stages.{stage.name}.budget.{counter}=NUMBER` goes on"
    return Stopped(f"{stage.name} has spent its budget, {said}" + (f"; {more}, with more of it" if resumable else ""))


def trouble_error(trouble: Trouble) -> StagerunnerError:
    """The error that a run ends with after this death."""
    if trouble.index < 0:
        return RunFailed(trouble.how)
    who = f"a worker of {trouble.stage} (worker {trouble.worker + 1}, pid {trouble.pid})"
    held = f" with record {trouble.origin} of split {trouble.split} in hand" if trouble.origin >= 0 else ""
    return WorkerDied(f"{who} ended by {trouble.how} while {trouble.state or 'at work'}{held}")


def failure_error(plan: Plan, delivery: Delivery, *, resumable: bool) -> StagerunnerError | None:
    """The failure that ends the run, or None. resumable: `--resume` can go on."""
    failure = delivery.fatal
    if failure is not None and failure.type == SPENT:
        return _budget_spent(plan.stages[failure.stage], failure.message, resumable=resumable)
    if failure is not None and failure.type == PASSING:
        whose = "the source" if failure.stage == SOURCE else delivery.stage_name(failure.stage)
        return Stopped(f"{whose} failed: {failure.message}" + ("; --resume goes on" if resumable else ""))
    if failure is not None:
        name = delivery.stage_name(failure.stage)
        place = where(delivery.fatal_origin)
        shown = failure.record is not None or failure.text
        more = [f"  record: {delivery.record_text(failure)}"] if shown else []
        more += [f"  from: {place}"] if place else []
        more += [f"  tried {failure.attempts} times"] if failure.attempts > 1 else []
        lines = failure_lines(failure.type, failure.message, failure.frames, failure.causes, more)
        advice = _how_to_go_on(name, resumable=resumable) if shown else ""
        return StageFailed(f"{name} failed: " + "\n".join(lines), failure, advice)
    if delivery.too_many is not None:
        return RunFailed(f"{delivery.stage_name(delivery.too_many)} had more failures than its max_errors allows")
    return None


def _how_to_go_on(stage: str, *, resumable: bool) -> str:
    again = "--resume goes on there, --force-resume after a change of the chain; " if resumable else ""
    return f"{again}`on_error: skip` or `dead_letter` at {stage} leaves such records out"
