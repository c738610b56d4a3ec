"""Job T: JSON lines → three filters of datatrove, unmodified → JSON lines, file to file.

Beside the plain loop, `Pool.imap`, datatrove's own executor, polars, Daft, Ray Data and Bytewax, where they are
installed. Each runs in an interpreter of its own, with its imports in its time. What passes is compared.

Each runs twice a round: over a few documents, which is its start, and over all. The difference is its steady pace.

usage: python job_t.py [--quick]                 python job_t.py run NAME FOLDER      one contender, its Outcome as JSON
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import text_work
from files import folder
from measure import CORES, Outcome, Row, elsewhere, in_turns, present, rates, ratios, say, spread, tell
from peers import installed
from text_work import FUSED, LOOP, ONE, OURS, TWO, WAYS

FEW = 8 * CORES
"""Documents of the short run: each worker has some."""

NOTHING = 1e-9
"""Seconds, where the long run took no longer than the short one: on a busy machine, the start varies by more."""


class Pair(NamedTuple):
    """A run over few documents, and one over all."""

    start: Outcome
    whole: Outcome

    @property
    def rate(self) -> float:
        return self.whole.rate

    @property
    def steady(self) -> Outcome:
        """What the documents beyond the few have cost."""
        return Outcome(*(max(more - less, NOTHING) for more, less in zip(self.whole, self.start, strict=True)))


class Bench:
    """Two folders of documents, and who passes in each."""

    def __init__(self, base: Path, number: int) -> None:
        self._places = {FEW: base / "few", number: base / "all"}
        self._passed: dict[int, list[tuple[str, str]]] = {}
        self._number = number
        for count, place in self._places.items():
            text_work.write(place, count)

    @property
    def passed(self) -> int:
        return len(self._passed[self._number])

    def pair(self, name: str) -> Pair:
        return Pair(self._run(name, FEW), self._run(name, self._number))

    def _run(self, name: str, count: int) -> Outcome:
        """Raises AssertionError if it fails, or lets others pass than the contender before."""
        place = self._places[count]
        shutil.rmtree(place / "written", ignore_errors=True)
        (place / "out.jsonl").unlink(missing_ok=True)
        ended = elsewhere("job_t.py", "run", name, str(place), limit=900)
        if ended is None:
            raise AssertionError(f"{name} failed")
        if text_work.kept(place, name) != self._passed.setdefault(count, text_work.kept(place, name)):
            raise AssertionError(f"{name} let others pass")
        return ended


def rows(quick: bool, number: int = 0, rounds: int = 0) -> Iterator[Row]:
    if not installed("datatrove") or not installed("regex"):
        say("datatrove isn't installed: pip install '.[bench]'")
        return
    number, rounds = number or (6_000 if quick else 40_000), rounds or (2 if quick else 3)
    with folder() as base:
        bench = Bench(base, number)
        came = in_turns({name: partial(bench.pair, name) for name in WAYS}, rounds)
        say(f"{bench.passed:,} of {number:,} documents pass")
    whole = {name: [pair.whole for pair in pairs] for name, pairs in came.items()}
    steady = {name: [pair.steady for pair in pairs] for name, pairs in came.items()}
    others = [name for name in WAYS if name not in OURS]
    for name in others:
        yield _against(f"{number:,} documents, start included, {FUSED}", whole[FUSED], name, whole[name], "1 ×")
    for name in others:
        yield _against(f"the same once it runs, {FUSED}", steady[FUSED], name, steady[name], "1 ×")
    for mine in (ONE, TWO):
        yield _against(f"{number:,} documents, start included, {mine}", whole[mine], FUSED, whole[FUSED], "–")
        yield _against(f"the same once it runs, {mine}", steady[mine], FUSED, steady[FUSED], "–")
    for mine in OURS:
        yield _cpu(mine, steady[mine], steady[LOOP])
    for name in WAYS:
        yield _start(name, [pair.start for pair in came[name]])


def _against(what: str, mine: list[Outcome], theirs: str, other: list[Outcome], aim: str) -> Row:
    texts = [f"{rates(one).text('{:,.0f}')} docs/s" for one in (mine, other)]
    if any(outcome.seconds <= NOTHING for outcome in (*mine, *other)):
        return Row(what, "", f"{theirs}: less than starts vary", "–", aim)
    return Row(what, texts[0], f"{theirs}: {texts[1]}", ratios(mine, other).text() + " ×", aim)


def _cpu(what: str, mine: list[Outcome], other: list[Outcome]) -> Row:
    costs = [spread([1e3 * one.cpu / one.amount for one in outcomes]) for outcomes in (mine, other)]
    ratio = spread([one.cpu / two.cpu for one, two in zip(mine, other, strict=True)])
    texts = [cost.text() + " ms" for cost in costs]
    return Row(f"CPU per document once it runs, {what}", texts[0], f"{LOOP}: {texts[1]}", ratio.text() + " ×", "–")


def _start(name: str, starts: list[Outcome]) -> Row:
    seconds, cpu = (spread([getattr(one, what) for one in starts]).text() for what in ("seconds", "cpu"))
    text = f"{seconds} s" + (f", {cpu} s of CPU" if name not in text_work.UNCOUNTED else "")
    return Row(f"a run of {FEW} documents, {name}", *(("", text) if name not in OURS else (text, "")))


def run(name: str, place: Path) -> None:
    """One contender, and its Outcome on stdout."""
    number = sum(1 for _ in (place / "pages.jsonl").open("rb"))
    began = time.perf_counter()
    text_work.run(name, place)
    tell(Outcome(number, time.perf_counter() - began))


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2], Path(sys.argv[3]))
    else:
        present("T. Text work: three of datatrove's filters", rows)
