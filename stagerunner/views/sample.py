"""The page of `show --sample N`: the cost of each stage, the speed of the chain, and what would make it faster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import to_builtins

from stagerunner.runtime.forecast import Forecast
from stagerunner.runtime.sample import Sample
from stagerunner.views.console import Line
from stagerunner.views.figures import count, percent, plural, rate, short_time
from stagerunner.views.table import Column, drawn

_COLUMNS = (
    Column("", left=True),
    Column("in"),
    Column("out"),
    Column("failed"),
    Column("a record"),
    Column("per source record"),
    Column("codec"),
)


def sample_lines(sample: Sample, written: Forecast, better: Forecast, cores: int) -> Iterator[Line]:
    """A table of the measurements, then the forecast and better settings."""
    if not sample.records:
        yield (("warn", "nothing to measure: the source gave no records"),)
        return
    yield (("strong", f"{plural(sample.records, 'source record')}, in one process; nothing was written"),)
    yield from drawn(_COLUMNS, [_row(stage) for stage in sample.stages])
    yield from _failures(sample)
    yield (f"as it is written: {_forecast(written)}",)
    if not list(changes(written, better)):
        yield (f"on {plural(cores, 'core')} no other number of workers, and no sharing of them, should be faster",)
        return
    yield (("good", f"on {plural(cores, 'core')} better: "), _forecast(better))
    yield from ((f"  {change}",) for change in changes(written, better))


def _row(stage: Any) -> list[str]:
    return [
        stage.name,
        count(stage.taken),
        count(stage.out),
        count(stage.failed) if stage.failed else "",
        short_time(stage.each),
        short_time(stage.work),
        short_time(stage.codec),
    ]


def _failures(sample: Sample) -> Iterator[Line]:
    """What failed, and which stages got no records."""
    for stage in sample.stages:
        if stage.failed:
            text = f"{stage.name}: {plural(stage.failed, 'failure')}, the first: {stage.failure}"
            yield (("warn", text.partition("\n")[0]),)
    for name, number in sample.failures.items():
        yield (("warn", f"{name}: {plural(number, 'failure')}"),)
    unreached = [stage.name for stage in sample.stages if not stage.taken]
    if unreached:
        yield (f"no record reached {', '.join(unreached)}, so the cost there is unknown",)


def _forecast(forecast: Forecast) -> str:
    if not forecast.rate:
        return "no prediction"
    groups = ", ".join(
        f"{' + '.join(group.stages)} ×{group.workers} {percent(forecast.busy(group))} busy" for group in forecast.groups
    )
    return f"≈ {rate(forecast.rate)}; the limit is {forecast.limit}; {groups}"


def changes(written: Forecast, better: Forecast) -> Iterator[str]:
    """The flags that change the one into the other, if the forecast is clearly faster."""
    if better.rate * 0.95 <= written.rate:
        return
    shared = [" + ".join(group.stages) for group in better.groups if len(group.stages) > 1]
    if shared and len(better.groups) < len(written.groups):
        yield f"--set run.fuse=auto   {'; '.join(shared)} can share workers"
    before = {stage: group for group in written.groups for stage in group.stages}
    for group in better.groups:
        changed = [stage for stage in group.stages if before[stage].workers != group.workers]
        yield from (f"--set stages.{stage}.workers={group.workers}" for stage in changed)
        if group.concurrency and before[group.stages[0]].concurrency != group.concurrency:
            yield f"--set stages.{group.stages[0]}.concurrency={group.concurrency}"


def sample_data(sample: Sample, written: Forecast, better: Forecast, cores: int) -> dict[str, Any]:
    """The same for programs, in seconds per source record; `each` is per record of the stage."""
    data: dict[str, Any] = {
        "sample": to_builtins(sample),
        "cores": cores,
        "written": to_builtins(written),
        "better": to_builtins(better),
    }
    return {**data, "changes": [change.split("   ")[0] for change in changes(written, better)]}
