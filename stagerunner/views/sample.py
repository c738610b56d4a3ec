"""`show --sample N`: what each place of the chain costs, how fast it will be, and what would make it faster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import to_builtins

from stagerunner.engines.advice import Advice
from stagerunner.engines.prediction import Forecast
from stagerunner.engines.sampling import Cost
from stagerunner.views.console import Line
from stagerunner.views.figures import count, digits, percent, plural, size
from stagerunner.views.table import Column, table

_COLUMNS = (
    Column("", left=True),
    Column("in"),
    Column("out"),
    Column("failed"),
    Column("a record"),
    Column("of it CPU"),
    Column("passes on"),
    Column("encoding"),
    Column("decoding"),
)


def advice_lines(advice: Advice) -> Iterator[Line]:
    """A table of what was measured, then what follows from it."""
    sample = advice.sample
    if not sample.records:
        yield (("warn", "nothing to measure: the source gave no records"),)
        return
    yield (("strong", f"{plural(sample.records, 'source record')}, in one process; nothing was written"),)
    header, *rows = table(_COLUMNS, [_row(cost) for cost in (sample.source, *sample.stages, sample.sink)])
    yield (("dim", header),)
    yield from ((row,) for row in rows)
    yield from _failures(advice)
    yield from _unseen(advice)
    yield (f"as it is written: {_forecast(advice.written)}",)
    yield from _better(advice)


def _row(cost: Cost) -> list[str]:
    """Per record that the place itself was given."""
    share = cost.each / cost.work if cost.work else 0.0
    return [
        cost.name,
        count(cost.taken),
        count(cost.given),
        count(cost.failed) if cost.failed else "",
        duration(cost.each),
        percent(min(1.0, cost.cpu / cost.work)) if cost.each else "",
        f"{size(cost.size * share)}" if cost.size else "",
        *(duration(passing * share) if cost.size else "" for passing in (cost.encode, cost.decode)),
    ]


def duration(seconds: float) -> str:
    """ "1.20 µs", "3.4 ms"; "–" for nothing."""
    if not seconds:
        return "–"
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{digits(seconds * factor)} {unit}"
    return f"{digits(seconds)} s"


def _failures(advice: Advice) -> Iterator[Line]:
    sample = advice.sample
    for cost in (sample.source, *sample.stages, sample.sink):
        if cost.failed:
            told = f"{cost.name}: {plural(cost.failed, 'failure')}, the first: {cost.first}"
            yield (("warn", told.partition("\n")[0]),)


def _unseen(advice: Advice) -> Iterator[Line]:
    empty = [cost.name for cost in advice.sample.stages if not cost.taken]
    if empty:
        yield (f"no record came to {', '.join(empty)}, so nothing is known of the cost there",)


def _forecast(forecast: Forecast) -> str:
    if not forecast.rate:
        return "no prediction"
    teams = ", ".join(f"{' + '.join(team.stages)} ×{team.workers} {percent(team.busy)} busy" for team in forecast.teams)
    return f"≈ {count(forecast.rate)} records/s; the limit is {forecast.limit}; {teams}"


def _better(advice: Advice) -> Iterator[Line]:
    """What to change, or that there is nothing to be changed."""
    if advice.better == advice.written:
        yield (f"no other workers and no sharing of them promise more on {plural(advice.cores, 'core')}",)
        return
    yield (("good", f"on {plural(advice.cores, 'core')} better: "), _forecast(advice.better))
    yield from ((f"  {change}",) for change in changes(advice))


def changes(advice: Advice) -> Iterator[str]:
    """What would have to be written, a flag a line: `--set stages.parse.workers=2`."""
    if advice.fuse:
        shared = [" + ".join(team.stages) for team in advice.better.teams if len(team.stages) > 1]
        yield f"--set run.fuse=auto   {'; '.join(shared)} can share workers"
    before = {stage: team.workers for team in advice.written.teams for stage in team.stages}
    for team in advice.better.teams:
        for stage in team.stages:
            if before[stage] != team.workers:
                yield f"--set stages.{stage}.workers={team.workers}"


def advice_data(advice: Advice) -> dict[str, Any]:
    """All of it for programs: seconds and bytes per source record, but for `each`."""
    data: dict[str, Any] = to_builtins(advice)
    return {**data, "changes": [change.split("   ")[0] for change in changes(advice)]}
