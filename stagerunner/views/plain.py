"""Progress as lines, for logs and programs: none, one every ten seconds, or JSON."""

from __future__ import annotations

from time import strftime
from typing import Any

from msgspec.structs import asdict

from stagerunner.events import Progress
from stagerunner.plan import Plan
from stagerunner.views.console import Console, Piece
from stagerunner.views.figures import clock, rate, short
from stagerunner.views.limit import BUSY, loads

EVERY = 10.0
"""Seconds between two lines."""


class Silent:
    """Shows no progress. The base of every other view.

    `line` writes a line that stays; `progress` gets how far the run is; `close` comes once, at the end, and with
    `silent` it writes nothing.
    """

    def __init__(self, console: Console, plan: Plan) -> None:
        self.console = console
        self.plan = plan

    def line(self, *pieces: Piece) -> None:
        self.console.line(*pieces)

    def progress(self, event: Progress) -> None:
        pass

    def close(self, *, silent: bool = False) -> None:
        pass


class Plain(Silent):
    """A line every ten seconds and one at the end, as `key=value`, easy to search for.

    A shorter run has none: the closing summary says the same.
    """

    def __init__(self, console: Console, plan: Plan) -> None:
        super().__init__(console, plan)
        self._start: Progress | None = None
        self._last: Progress | None = None
        self._written: Progress | None = None

    def progress(self, event: Progress) -> None:
        self._last = event
        if self._start is None:
            self._start = event.start
        before = self._written or self._start
        if event.seconds - before.seconds >= EVERY:
            self._write(event, before)

    def close(self, *, silent: bool = False) -> None:
        if self._last is not None and self._written is not None and self._last is not self._written and not silent:
            self._write(self._last, self._written)

    def _write(self, now: Progress, before: Progress) -> None:
        self.line(f"{strftime('%H:%M:%S')} {sentence(self.plan.name, now, before)}")
        self._written = now


def sentence(name: str, now: Progress, before: Progress) -> str:
    """ "logs 0:10 in=461k out=3.1k rate=46.1k/s limit=hide-people(98%) err=71": the rate is that since `before`."""
    passed = now.seconds - before.seconds
    pace = (now.taken - before.taken) / passed if passed > 0 else 0.0
    facts = [f"in={short(now.taken)}", f"out={short(now.out)}", f"rate={rate(pace, short)}"]
    busiest = next(iter(loads(now.stages, now.seconds - now.starting, now.taken - now.earlier)), None)
    if busiest is not None and busiest.busy >= BUSY:
        facts.append(f"limit={busiest.stage.name}({busiest.busy * 100:.0f}%)")
    return " ".join([name, clock(now.seconds), *facts, f"err={now.failed}"])


class Json(Silent):
    """Every Progress event as a JSON object, with the keys of the summary."""

    def progress(self, event: Progress) -> None:
        stages = [_renamed(asdict(stage)) for stage in event.stages]
        self.line(self.console.json({"event": "progress", **_renamed(asdict(event)), "stages": stages}))


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with `taken` called `in` as in the summary."""
    return {"in" if name == "taken" else name: value for name, value in fields.items()}
