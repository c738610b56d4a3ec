"""The closing summary of a run: counts, the ledger, where the time went, and which stage is the limit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from math import isclose

from stagerunner.events import FATES, SinkTotals, StageTotals, Summary
from stagerunner.inherited import here
from stagerunner.views.console import Line, Piece
from stagerunner.views.figures import amount, count, percent, plural, seconds
from stagerunner.views.limit import NO_FACTS, StageFacts, limit
from stagerunner.views.sharing import fusion_lines, group_totals
from stagerunner.views.table import Column, drawn

_COLUMNS = (
    Column("stage", left=True),
    Column("workers"),
    Column("in"),
    Column("out"),
    Column("hits", drops=3, optional=True),
    Column("consumed", drops=3, optional=True),
    Column("filtered", drops=3, optional=True),
    Column("skipped", drops=3, optional=True),
    Column("dead", drops=3, optional=True),
    Column("not processed", drops=3, optional=True),
    Column("work", drops=1),
    Column("codec", drops=2),
    Column("wait", drops=2),
    Column("block", drops=2),
)
_SINKS = (
    Column("sink", left=True),
    Column("in"),
    Column("written"),
    Column("passed over", optional=True),
    Column("skipped", optional=True),
    Column("dead", optional=True),
    Column("not processed", optional=True),
    Column("to", left=True, drops=1, optional=True),
)


def closing(
    summary: Summary,
    *,
    facts: Mapping[str, StageFacts] = NO_FACTS,
    width: int | None = None,
    cpu: float = 0.0,
    advise: bool = True,
) -> Iterator[Line]:
    """The lines of the summary.

    facts, cpu: as `limit` takes them. width: of the terminal, if it is one. advise: name the limit.
    """
    yield _headline(summary)
    if summary.stages:
        yield from drawn(_COLUMNS, _stage_rows(summary.stages), width)
    if summary.sinks:
        yield from drawn(_SINKS, list(map(_sink_row, summary.sinks)), width)
    yield from _counters(summary.stages)
    if not summary.balanced:
        yield _unbalanced(summary.records)
    yield from ((message,) for message in summary.messages)
    yield from ((("dim", line),) for line in fusion_lines(summary.fusions, summary.stages))
    if advise and summary.exit_code != 1 and (found := summary.limit or _limit(summary, facts, cpu)):
        yield (found,)


def _limit(summary: Summary, facts: Mapping[str, StageFacts], cpu: float) -> str:
    taken = summary.records["in"] - summary.earlier
    seconds = summary.seconds - summary.starting
    read = summary.reading - summary.starting if summary.reading else None
    return limit(summary.stages, seconds, taken, facts=facts, cpu=cpu, cores=os.cpu_count(), read=read)


def _stage_rows(stages: Sequence[StageTotals]) -> list[list[str]]:
    """The ledger of each stage, and how its workers spent their time."""
    spent = group_totals(stages, [stage.work + stage.codec + stage.wait + stage.block for stage in stages])
    return [_row(stage, whole) for stage, whole in zip(stages, spent, strict=True)]


def _sink_row(sink: SinkTotals) -> list[str]:
    """What became of the records at the door of a sink."""
    numbers = (sink.taken, sink.written, sink.passed, sink.skipped, sink.dead, sink.not_processed)
    return [sink.name, *map(count, numbers), from_here(sink.output) if _is_file(sink.output) else ""]


def _row(stage: StageTotals, whole: float) -> list[str]:
    consumed = _consumed(stage)
    fates = (consumed, stage.filtered - consumed, stage.skipped, stage.dead, stage.not_processed)
    numbers = (stage.taken, stage.out, stage.hits, *fates)
    return [stage.name, str(stage.workers), *map(count, numbers), *shares(stage, whole)]


def _consumed(stage: StageTotals) -> int:
    """Records that became part of other results, as in a sum: they are not counted as filtered."""
    return stage.filtered if stage.consumes else 0


def shares(stage: StageTotals, whole: float) -> list[str]:
    """Work, codec, wait and block in per cent of the time of its workers; "–" if no clock has run."""
    clocks = (stage.work, stage.codec, stage.wait, stage.block)
    return [percent(clock / whole) for clock in clocks] if whole > 0 else ["–"] * 4


def _headline(summary: Summary) -> Line:
    records = summary.records
    consumed = sum(map(_consumed, summary.stages))
    fates = {"consumed": consumed, "filtered": records["filtered"] - consumed, "skipped": records["skipped"]}
    facts = [
        f"{count(records['in'])} in" + (f" ({count(summary.earlier)} before)" if summary.earlier else ""),
        f"{count(records['out'])} out" + (f" to {from_here(summary.output)}" if _is_file(summary.output) else ""),
        *(f"{count(number)} {fate}" for fate, number in fates.items() if number),
        *([_dead(summary)] if summary.letters else []),
        *([f"dropped records in {from_here(summary.dropped)}"] if summary.dropped else []),
        *([f"{count(records['not_processed'])} not processed"] if records["not_processed"] else []),
        *([plural(summary.restarts, "restart")] if summary.restarts else []),
    ]
    took = seconds(summary.seconds) + (f" ({seconds(summary.starting)} to start)" if _started_late(summary) else "")
    return (_verdict(summary), f" {took} · {' · '.join(facts)}")


def _started_late(summary: Summary) -> bool:
    """Whether the start took long enough to mention: a second, and a tenth of the run."""
    return summary.starting >= max(1.0, summary.seconds / 10)


def _verdict(summary: Summary) -> Piece:
    match summary.exit_code:
        case 0:
            return ("good", "done in")
        case 3:
            return ("warn", "done in")
        case code if code == 75 or code > 128:
            return ("warn", "stopped after")
    return ("bad", "failed after")


def _dead(summary: Summary) -> str:
    if not summary.dead_letter:
        return f"{count(summary.letters)} failed"
    return f"{plural(summary.letters, 'dead letter')} in {from_here(summary.dead_letter)}"


def _is_file(output: str) -> bool:
    return os.sep in output or "." in output


def from_here(path: str) -> str:
    """The path as one would write it in the current folder: without that folder, if it lies there."""
    return path.removeprefix(f"{here()}{os.sep}")


def _counters(stages: Sequence[StageTotals]) -> Iterator[Line]:
    for stage in stages:
        if stage.counters:
            counted = ", ".join(_counter(stage, name, number) for name, number in sorted(stage.counters.items()))
            yield (f"{stage.name} counted: {counted}",)


def _counter(stage: StageTotals, name: str, number: float) -> str:
    """ "usd 4 (1.5 from the memo)": what comes from there was paid for before."""
    recalled = stage.recalled.get(name, 0)
    share = "all" if isclose(recalled, number) else amount(recalled)
    return f"{name} {amount(number)}" + (f" ({share} from the memo)" if recalled else "")


def _unbalanced(records: dict[str, int]) -> Line:
    came = f"{records['in']} in + {records['created']} created"
    went = " + ".join(f"{records[fate]} {fate.replace('_', ' ')}" for fate in FATES)
    return (("bad", "THE LEDGER DOES NOT BALANCE: "), f"{came} is not {went}; records were lost or doubled")
