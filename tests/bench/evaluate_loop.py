"""What a plain function costs in the evaluator: ns per record, against a bare `for … try …` loop.

usage: python tests/bench/evaluate_loop.py [RECORDS …]      (records per frame; short frames show the cost of a frame)
"""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable
from typing import Any

from stagerunner.evaluate.async_evaluator import make_evaluator
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form
from stagerunner.records import Batch

ROUNDS = 200


def double(number: int) -> int:
    return number * 2


def bare(records: list[Any]) -> list[Any]:
    results: list[Any] = []
    append = results.append
    for record in records:
        try:
            append(double(record))
        except BaseException:
            append(None)
    return results


def evaluated() -> Callable[[list[Any]], Any]:
    offered = types.ModuleType("offered")
    offered.double = double  # type: ignore[attr-defined]
    sys.modules["offered"] = offered
    evaluator = make_evaluator(Work(0, "double", "offered:double", Form()))
    evaluator.setup()
    return lambda records: evaluator.apply(Batch(records, 0, len(records)))


def once(call: Callable[[list[Any]], Any], records: list[Any]) -> float:
    start = time.perf_counter_ns()
    call(records)
    return (time.perf_counter_ns() - start) / len(records)


def compare(number: int, ours: Callable[[list[Any]], Any]) -> None:
    """The fastest of many rounds, taken in turns, so that other work on the machine slows both alike."""
    records = list(range(number))
    pairs = [(once(bare, records), once(ours, records)) for _ in range(ROUNDS)]
    loop, stage = (min(times) for times in zip(*pairs, strict=True))
    print(
        f"{number:6} records: bare {loop:6.1f} ns, evaluator {stage:6.1f} ns, {stage / loop:.2f} x, {stage - loop:+.1f}"
    )


if __name__ == "__main__":
    stage = evaluated()
    for number in map(int, sys.argv[1:] or (100, 1000, 10000)):
        compare(number, stage)
