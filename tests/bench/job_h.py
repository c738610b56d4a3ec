"""Job H: CPU seconds grow in a straight line: with records, with stages, and not at all with workers.

usage: python job_h.py [--quick]
"""

from __future__ import annotations

from collections.abc import Iterator

from measure import Outcome, Row, clocked, in_turns, present, spread
from peers import Dicts

import stagerunner

LONG = 4
"""Times the records for the row of 16 workers: to start them takes 0.2 s of CPU, which isn't what is asked."""


def run(count: int, stages: int = 3, workers: int = 1) -> Outcome:
    use = f'{{use: "transforms:same", workers: {workers}}}'
    config = f"version: 1\nstages: [{', '.join([use] * stages)}]\nrun: {{fuse: off}}\n"
    return clocked(lambda: sum(1 for _ in stagerunner.load(config).run(Dicts(count))))


def rows(quick: bool) -> Iterator[Row]:
    count, rounds = (100_000, 3) if quick else (1_000_000, 7)
    came = in_turns(
        {
            "few": lambda: run(count),
            "many": lambda: run(10 * count),
            "one worker": lambda: run(LONG * count, stages=1),
            "16 workers": lambda: run(LONG * count, stages=1, workers=16),
            "a stage": lambda: run(count, stages=1),
            "two stages": lambda: run(count, stages=2),
            "32 stages": lambda: run(count, stages=32),
        },
        rounds,
    )
    cost = {name: [1e6 * outcome.cpu / outcome.amount for outcome in outcomes] for name, outcomes in came.items()}
    yield _row(f"CPU per record, {count / 1e6:g} M → {count / 1e5:g} M", cost["few"], cost["many"])
    yield _row(f"CPU per record over {LONG * count / 1e6:g} M, 1 → 16 workers", cost["one worker"], cost["16 workers"])
    added = [two - one for one, two in zip(cost["a stage"], cost["two stages"], strict=True)]
    each = [(many - one) / 31 for one, many in zip(cost["a stage"], cost["32 stages"], strict=True)]
    yield _row("CPU per record and added stage, 2nd → 2nd to 32nd", added, each)


def _row(what: str, few: list[float], many: list[float]) -> Row:
    ratio = spread([more / less for less, more in zip(few, many, strict=True)])
    return Row(what, spread(many).text() + " µs", spread(few).text() + " µs", ratio.text() + " ×", "0.9–1.1 ×")


if __name__ == "__main__":
    present("H. Growth", rows)
