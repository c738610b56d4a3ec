"""Job J, `show --sample`: the rate it predicts, against that of a run. Both are taken in turns, in each round.

From the time and CPU of a run, those of a run that ends after its first record are subtracted: starting is not
predicted.

usage: python job_j.py [--quick]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from files import folder, made, order, text
from measure import CORES, Row, Spread, clocked, kilo, present, spread

from stagerunner.api import Request, prepare
from stagerunner.runtime.forecast import as_written
from stagerunner.runtime.sample import sample

SAMPLED = 5000


class Case(NamedTuple):
    """lines: what the source has, "orders" or "text". size: bytes of it, enough for some seconds."""

    what: str
    lines: str
    size: int
    stages: list[Any]


def transform(name: str, module: str = "transforms", **settings: Any) -> dict[str, Any]:
    return {"use": f"{module}:{name}", **settings}


CASES = (
    Case("JSON lines, one small stage", "orders", 80_000_000, [transform("bill")]),
    Case("JSON lines, one small stage, 2 workers", "orders", 120_000_000, [transform("bill", workers=2)]),
    Case("JSON lines, three small stages", "orders", 60_000_000, [transform(name) for name in ("net", "vat", "shape")]),
    Case("text, five stages that do nothing", "text", 30_000_000, [transform("same")] * 5),
    Case("JSON lines, 0.2 ms of CPU, 2 workers", "orders", 5_000_000, [transform("grind", workers=2)]),
    Case("JSON lines, async, 5 ms of waiting", "orders", 1_500_000, [transform("asked", "waiting", concurrency=16)]),
)


def config(case: Case, folder: Path) -> Path:
    suffix = {"orders": "jsonl", "text": "txt"}[case.lines]
    source, sink = folder / f"in-{case.size}.{suffix}", folder / f"out.{suffix}"
    if not source.exists():
        made(source, case.size, {"orders": order, "text": text}[case.lines])
    chain = {"version": 1, "source": str(source), "stages": case.stages, "sink": str(sink)}
    path = folder / "chain.yaml"
    path.write_text(json.dumps(chain | {"run": {"journal": "off"}}))
    return path


class Figures(NamedTuple):
    """rate: source records per second; cpu: microseconds of all processes for each of them."""

    rate: float
    cpu: float


def predicted(path: Path) -> Figures:
    plan = prepare(path).plan
    seen = sample(plan, SAMPLED)
    return Figures(as_written(plan, seen, CORES).rate, 1e6 * seen.cpu)


def reached(path: Path) -> Figures:
    start = clocked(lambda: prepare(path, Request(limit=1)).execute().records["in"])
    whole = clocked(lambda: prepare(path).execute().records["in"])
    records = whole.amount - start.amount
    return Figures(records / (whole.seconds - start.seconds), 1e6 * (whole.cpu - start.cpu) / records)


def rows(quick: bool) -> Iterator[Row]:
    with folder() as place:
        for case in CASES:
            path = config(case._replace(size=case.size // (4 if quick else 1)), place)
            pairs = [(predicted(path), reached(path)) for _ in range(3 if quick else 7)]
            rate, cpu = ([(said[n], ran[n]) for said, ran in pairs] for n in (0, 1))
            yield Row(case.what, *map(kilo, _spreads(rate)), _ratio(rate), "0.75–1.33 ×")
            yield Row("… CPU per record", *(one.text("{:.1f}") + " µs" for one in _spreads(cpu)), _ratio(cpu), "–")


def _spreads(pairs: list[tuple[float, float]]) -> list[Spread]:
    return [spread(list(values)) for values in zip(*pairs, strict=True)]


def _ratio(pairs: list[tuple[float, float]]) -> str:
    return spread([said / ran for said, ran in pairs]).text() + " ×"


if __name__ == "__main__":
    present("J. What `show --sample` predicts (left), and the run (right)", rows)
