"""SIGKILL of the parent on entering a system call, point after point: what --resume makes of it is exact."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos_support.calls import CALLS, Point, chosen, kill_at, traced
from chaos_support.case import Case
from chaos_support.parallel import WIDTH, in_parallel, report
from chaos_support.scenario import case_of, named

POINTS = 130
CHAINS = 20
"""Random chains whose every call is a point, with --full."""

pytestmark = [pytest.mark.reliability("parent killed at a system call"), pytest.mark.timeout(300)]

CONFIGS = {
    "files": ("jsonl", []),
    "state": ("gz", [{"use": "numbered"}]),
    "table": ("sqlite", [{"use": "dedupe"}]),
}


def _case(folder: Path, config: str) -> Case:
    """120 records, two of which are refused; everything is synchronised, so that every call is met."""
    sink, stages = CONFIGS[config]
    records = [{"key": "a", "value": number, "deed": "kill" if number in (30, 90) else ""} for number in range(120)]
    refusing = {"use": "deadly", "with": {"harmless": True}, "on_error": "dead_letter"}
    chain = named([*(dict(stage) for stage in stages), refusing])
    run = {"frame": 4, "checkpoint": "1ms", "window": "1KiB", "durability": "power"}
    return Case(folder, chain, records, sink, run)


def test_a_death_at_any_call_costs_nothing(folder, strace, proved):
    cases = {config: _case(folder / config, config).write() for config in CONFIGS}
    points = [
        Point(config, call, number)
        for (config, case), most in zip(cases.items(), (50, 40, 40), strict=True)
        for call, number in chosen(traced(strace, case), most)
    ]

    def examine(point: Point) -> bool:
        case = _case(folder / str(point), point.config).write()
        return kill_at(strace, case, point, case.expected())

    hit, failures = in_parallel(points, examine, 2 * WIDTH)  # they wait for the disk and for strace

    proved(points=len(hit), kills=sum(hit.values()))
    assert not failures, report(failures, "pytest tests/chaos/test_syscalls.py")
    assert len(points) == POINTS
    assert {point.call for point, reached in hit.items() if reached} == set(CALLS)
    assert sum(hit.values()) > 0.8 * POINTS, f"only {sum(hit.values())} of {POINTS} points were reached"


@pytest.mark.full
def test_a_death_at_every_call_of_many_chains_costs_nothing(folder, strace, proved):
    def case_at(seed: int, name: str) -> Case:
        return case_of(seed, folder / name, resumable=True)

    points = [
        Point(str(seed), call, number)
        for seed in range(CHAINS)
        for call, numbers in traced(strace, case_at(seed, str(seed)).write()).items()
        for number in numbers
    ]

    def examine(point: Point) -> bool:
        case = case_at(int(point.config), str(point)).write()
        return kill_at(strace, case, point, case.expected())

    hit, failures = in_parallel(points, examine)

    proved(points=len(hit), configs=CHAINS, kills=sum(hit.values()))
    assert not failures, report(failures, "pytest tests/chaos/test_syscalls.py --full")
