"""The reliability table: what the proofs ran, compared with what was asked of them, printed at the end of the tests.

A test is a proof when it is marked with its row, `@pytest.mark.reliability("random chaos")`; it states what it ran with
the fixture `proved`: `proved(seeds=100, kills=214)`. The figures of all tests of a row add up.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

LIMIT = 540
"""Seconds that all proofs together may take on two cores, in their short form."""

DAY = 24 * 3600
COPY = "RELIABILITY_TABLE"
"""Variable of the environment that names a file for a copy of the table."""

FIGURES = "figures of the proof"

Figures = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """The least figures of a row: in every test run, and in one with --full."""

    always: Figures = field(default_factory=dict)
    full: Figures = field(default_factory=dict)


ROWS = {
    "simulator": Asked({"seeds": 12_000}, {"seeds": 1_000_000}),
    "kill points": Asked({"points": 14}, {"points": 14, "configs": 20, "second deaths": 160}),
    "random chaos": Asked({"seeds": 100}, {"seeds": 20_000, "kills": 50_000}),
    "early ends": Asked({"chains": 40}, {"chains": 5_000}),
    "parent killed at a system call": Asked({"points": 130}, {"configs": 20}),
    "crash matrix": Asked({"cells": 90}, {"cells": 768}),
    "system call faults": Asked({"cells": 60}, {"cells": 2_400}),
    "frames": Asked({"examples": 2_000}, {"examples": 500_000}),
    "start/run/stop cycles": Asked({"cycles": 50}, {"cycles": 10_000}),
    "soak": Asked({"megabytes": 500, "kills": 4}, {"megabytes": 100_000, "kills": 4}),
    "spending": Asked({"kills": 20}, {"kills": 200}),
    "mutants": Asked({"named mutants": 10}, {"mutants": 25}),
    "bugs planted in real runs": Asked(),
    "ends": Asked(),
    "any bytes as a config": Asked(),
    "transcript": Asked(),
}
"""The proofs in the order of the table. A row that asks for nothing is there to be seen."""


@dataclass(slots=True)
class Line:
    """What is known of a row: its figures added up, and how its tests went."""

    figures: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, report: pytest.TestReport) -> None:
        self.seconds += report.duration
        if report.when == "call" or not report.passed:
            self.outcomes[report.outcome] += 1
        if report.when == "teardown":  # by then every figure is stated
            for name, value in report.user_properties:
                if name == FIGURES:
                    self.figures.update(value)

    def outcome(self, asked: Figures) -> str:
        if self.outcomes["failed"]:
            return "FAILED"
        if not self.outcomes["passed"]:
            return "skipped"
        return "short" if any(self.figures[what] < least for what, least in asked.items()) else "ok"

    def text(self, asked: Figures) -> str:
        """The figures as text, those with a least value first."""
        bounds = [f"{self.figures[what]:,} {what} (asked: {least:,})" for what, least in asked.items()]
        return ", ".join([*bounds, *(f"{n:,} {what}" for what, n in self.figures.items() if what not in asked)])


class Table:
    """A plugin of pytest: gathers the lines while the proofs run, and prints them."""

    def __init__(self, full: bool) -> None:
        self._asked = {row: asked.full if full else asked.always for row, asked in ROWS.items()}
        self.lines: dict[str, Line] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        row = dict(report.user_properties).get("row")
        if row is not None:
            self.lines.setdefault(row, Line()).add(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A complete table must reach its least figures; a part of it need not."""
        if self.lines.keys() == ROWS.keys() and "short" in self.outcomes().values() and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.lines:
            return
        text = "\n".join(self.text())
        terminalreporter.section("reliability")
        terminalreporter.write_line(text)
        if COPY in os.environ:
            Path(os.environ[COPY]).write_text(f"{text}\n")

    def outcomes(self) -> dict[str, str]:
        """How each row went, in the order of the table."""
        return {row: self.lines[row].outcome(asked) for row, asked in self._asked.items() if row in self.lines}

    def text(self) -> Iterator[str]:
        wide = max(map(len, self.lines))
        for row, outcome in self.outcomes().items():
            line = self.lines[row]
            yield f"{row:{wide}}  {outcome:7}  {line.seconds:7.1f} s  {line.text(self._asked[row])}".rstrip()
        seconds = sum(line.seconds for line in self.lines.values())
        yield f"{'in all':{wide}}  {'':7}  {seconds:7.1f} s  (in the short form at most {LIMIT} on two cores)"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Table(config.getoption("--full")), "reliability table")


def pytest_itemcollected(item: pytest.Item) -> None:
    for marker in itertools.islice(item.iter_markers("reliability"), 1):
        (row,) = marker.args
        if row not in ROWS:
            raise pytest.UsageError(f"{item.nodeid} proves {row!r}, which is no row of the reliability table")
        item.user_properties.append(("row", row))
        if item.config.getoption("--full"):  # each run of a proof has a limit of its own
            item.add_marker(pytest.mark.timeout(DAY), append=False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that exist only in the long form."""
    if not config.getoption("--full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def proved(request: pytest.FixtureRequest) -> Callable[..., None]:
    """State what this proof ran: `proved(seeds=100)`. An underscore in a name is a skip frame in the table."""

    def state(**figures: int) -> None:
        named = {what.replace("_", " "): number for what, number in figures.items()}
        request.node.user_properties.append((FIGURES, named))

    return state
