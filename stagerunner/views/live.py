"""Progress on a terminal: a table that is redrawn, below lines that scroll."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rich.console import Console as Screen
from rich.live import Live as Drawing
from rich.text import Text

from stagerunner.events import Progress, SinkTotals, StageTotals
from stagerunner.plan import Plan
from stagerunner.views.console import Console, Piece
from stagerunner.views.figures import clock, count, percent, rate, size
from stagerunner.views.limit import BUSY
from stagerunner.views.plain import Silent
from stagerunner.views.sharing import group_totals
from stagerunner.views.table import Column, table

# The table


RECENT = 2.0
"""Seconds that rates and shares are taken over."""
BAR = 10
"""Characters of a bar."""

_COLUMNS = (
    Column("STAGE", left=True),
    Column("WORKERS", drops=1),
    Column("IN"),
    Column("OUT"),
    Column("RATE"),
    Column("WORK", drops=2),
    Column("CODEC", drops=4),
    Column("WAIT", drops=4),
    Column("BLOCK", drops=3),
    Column("", left=True, drops=5),
    Column("ERR"),
    Column("", left=True, drops=6),
)
_SINKS = (Column("SINK", left=True), Column("IN"), Column("WRITTEN"), Column("PASSED OVER", drops=1), Column("ERR"))
_SHADES = "█▓░▒"
"""Work, codec, wait, block."""


class Dashboard:
    """The last seconds of a run, drawn as a table."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._recent: deque[Progress] = deque()

    def add(self, event: Progress) -> None:
        """Add the latest progress, and drop what is older than RECENT."""
        self._recent.append(event)
        while len(self._recent) > 2 and event.seconds - self._recent[1].seconds >= RECENT:
            self._recent.popleft()

    def draw(self, width: int) -> list[str]:
        """The lines, none wider than `width`."""
        now, before = self._recent[-1], self._recent[0]
        if now is before:
            before = now.start
        lines = [self._headline(now, before)[:width]]
        if now.stages:
            lines += table(_COLUMNS, _rows(now, before), width)
        if now.sinks:
            lines += table(_SINKS, [_sink(sink) for sink in now.sinks], width)
        return lines

    def _headline(self, now: Progress, before: Progress) -> str:
        if now.taken == now.earlier and not now.starting:
            return " · ".join([self._name, clock(now.seconds), "starting"])
        pace = _rate(now.taken - before.taken, now, before)
        return " · ".join([self._name, clock(now.seconds), f"{count(now.taken)} in", pace, *_left(now)])


def _left(now: Progress) -> list[str]:
    """The share of the source that is done and the time for the rest, if its size is known."""
    if (done := now.share) is None:
        return []
    by_limit = now.limit and done == min(1.0, now.taken / now.limit)
    whole = f"{count(now.limit)} records" if now.limit and by_limit else size(now.bytes_total or 0)
    facts = [f"{percent(done)} of {whole}"]
    gained = done - (now.start.share or 0.0)
    # Without results yet, there is nothing to estimate from.
    return [*facts, f"{clock((now.seconds - now.starting) / gained * (1 - done))} left"] if gained > 0 else facts


def _rows(now: Progress, before: Progress) -> list[list[str]]:
    earlier = {stage.name: stage for stage in before.stages}
    spent = _spent(now.stages, earlier)
    busy = [work + codec for work, codec, _, _ in spent]
    together = group_totals(now.stages, busy)
    limit = max(range(len(busy)), key=lambda place: (together[place], busy[place])) if max(together) >= BUSY else -1
    return [
        [
            stage.name,
            str(stage.workers),
            count(stage.taken),
            count(stage.out),
            _stage_rate(stage, earlier.get(stage.name), now, before),
            *(percent(share) for share in shares),
            bar(shares),
            count(stage.skipped + stage.dead),
            _mark(stage, earlier.get(stage.name), is_limit=index == limit),
        ]
        for index, (stage, shares) in enumerate(zip(now.stages, spent, strict=True))
    ]


def _sink(sink: SinkTotals) -> list[str]:
    return [sink.name, *map(count, (sink.taken, sink.written, sink.passed, sink.skipped + sink.dead))]


def _mark(stage: StageTotals, then: StageTotals | None, *, is_limit: bool) -> str:
    """Whether the stage is the limit, or pauses because a service asked for it."""
    if stage.paused > (0.0 if then is None else then.paused):
        return "◀ paused"
    return "◀ limit" if is_limit else ""


Clocks = tuple[float, float, float, float]


def _spent(stages: Sequence[StageTotals], before: Mapping[str, StageTotals]) -> list[Clocks]:
    """Per stage the shares of the four states in its workers' time since `before`; all wait if no clock has run."""
    clocks = [_since(stage, before.get(stage.name, StageTotals(stage.name))) for stage in stages]
    totals = group_totals(stages, list(map(sum, clocks)))
    return [_shares(clock, total) for clock, total in zip(clocks, totals, strict=True)]


def _since(stage: StageTotals, then: StageTotals) -> Clocks:
    return stage.work - then.work, stage.codec - then.codec, stage.wait - then.wait, stage.block - then.block


def _shares(clocks: Clocks, whole: float) -> Clocks:
    if whole <= 0:
        return 0.0, 0.0, 1.0, 0.0
    work, codec, wait, block = (max(0.0, clock / whole) for clock in clocks)
    return work, codec, wait, block


def bar(shares: Sequence[float]) -> str:
    """The four shares side by side, BAR characters in all."""
    ends = [round(sum(shares[: index + 1]) * BAR) for index in range(len(shares))]
    drawn = "".join(shade * (end - start) for shade, start, end in zip(_SHADES, [0, *ends], ends, strict=False))
    return drawn.ljust(BAR, _SHADES[-2])[:BAR]


def _stage_rate(stage: StageTotals, then: StageTotals | None, now: Progress, before: Progress) -> str:
    if then is None and now.earlier:  # its count when the run was resumed isn't known
        return "–"
    return _rate(stage.taken - (0 if then is None else then.taken), now, before)


def _rate(records: int, now: Progress, before: Progress) -> str:
    passed = now.seconds - before.seconds
    return rate(records / passed) if passed > 0 else "–"


class Live(Silent):
    """Drawn at every Progress event, without a thread. At the end the table is removed: the closing summary follows."""

    def __init__(self, console: Console, plan: Plan) -> None:
        super().__init__(console, plan)
        self._dashboard = Dashboard(plan.name)
        self._screen = Screen(
            file=console.stream, force_terminal=True, no_color=not console.color, highlight=False, markup=False
        )
        self._drawing = Drawing(
            console=self._screen,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._drawing.start()

    def line(self, *pieces: Piece) -> None:
        with suppress(OSError):  # the terminal may be gone
            self._screen.print(Text.from_ansi(self.console.text(*pieces)), soft_wrap=True)

    def progress(self, event: Progress) -> None:
        self._dashboard.add(event)
        lines = self._dashboard.draw(self._screen.width - 1)
        drawn = self.console.encodable(self.console.text("\n".join(lines)))
        with suppress(OSError):
            self._drawing.update(Text(drawn, no_wrap=True, overflow="crop"), refresh=True)

    def close(self, *, silent: bool = False) -> None:
        with suppress(OSError):
            self._drawing.stop()
