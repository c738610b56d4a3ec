"""A process dies at each named point of the protocol, on purpose; nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from chaos_support.case import Case
from chaos_support.parallel import WIDTH, in_parallel, report
from chaos_support.points import Death, Plan, die_and_resume
from chaos_support.scenario import case_of, named

from stagerunner.failpoints import POINTS

AGAIN = ("accept", "deliver", "sink written", "commit", "barrier", "torn frame")
"""Points that are passed many times: the third time is tested too."""

STATE = ("barrier", "flush")
"""Points that only a chain with state passes."""

BRANCHES = ("one of two", "one of several")
"""Points that only a chain with several sinks passes."""

GROUPS = ("regroup",)
"""Points that only a chain passes whose stages share workers at first and are then separated."""

ALONE = tuple(point for point in POINTS if point not in BRANCHES)

EVERY = tuple(point for point in ALONE if point not in GROUPS)

SINK = ("accept", "sink written", "commit", "finishing", "rename", "resume")
"""Points at which the kind of sink matters."""

RESUMES = ("resume",)
"""Points that only a resumed life passes."""

SECOND = tuple(point for point in ALONE if point not in ("quarantine", "halving", "restart", "torn frame", "flush"))
"""Points of the parent at which it dies once more while it recovers."""

CONFIGS: dict[str, dict[str, Any]] = {
    "jsonl": {"sink": "jsonl", "stages": [{"use": "twins", "workers": 2}]},
    "state": {"sink": "gz", "stages": [{"use": "numbered"}]},
    "sqlite": {"sink": "sqlite", "stages": [{"use": "dedupe"}, {"use": "numbered"}]},
    "append": {"sink": "append", "stages": []},
    "tables": {"sink": "tables that refuse rows", "stages": [{"use": "twins", "workers": 2, "when": "key < 'e'"}]},
    "fused": {
        "sink": "jsonl",
        "stages": [{"use": "heavy", "with": {"pause": 0.004}}, {"use": "numbered"}],
        "pause": 0.004,
        "run": {"fuse": "auto"},
    },
}
"""The last one has two stages that are heavy, and no more cores are needed for them than two: they are parted."""

DEATHS = {
    "jsonl": [Death(point) for point in EVERY if point not in STATE],
    "state": [*map(Death, EVERY), *(Death(point, 3) for point in AGAIN)],
    "sqlite": [*map(Death, SINK), Death("sink written", 3), Death("barrier", 2)],
    "append": [*map(Death, SINK), Death("commit", 3)],
    "tables": [*map(Death, ("accept", *BRANCHES, "finishing")), Death("one of two", 4), Death("one of several", 2)],
    "fused": [*map(Death, ALONE), Death("barrier", 3)],
}

CHAINS = 20
"""Random chains that die at every point, with --full."""

pytestmark = [pytest.mark.reliability("kill points"), pytest.mark.timeout(300)]


def _case(folder: Path, config: str) -> Case:
    """160 records, one of which kills every worker that takes it; the first worker of all dies before any record."""
    records = [
        {"key": "abcdef"[number % 6], "value": number, "deed": "kill" if number == 60 else ""} for number in range(160)
    ]
    fragile = {"use": "fragile", "with": {"mark": str(folder / "fragile")}}
    chosen = {"pause": 0.0005, "run": {}, **CONFIGS[config]}
    deadly = {"use": "deadly", "with": {"harmless": False, "pause": chosen["pause"]}, "on_error": "dead_letter"}
    run = {"frame": 4, "checkpoint": "1ms", "window": "2KiB", **chosen["run"]}
    chain = named([fragile, *(dict(stage) for stage in chosen["stages"]), deadly])
    return Case(folder, chain, records, chosen["sink"], run)


def _plan(death: Death) -> Plan:
    """A point of recovery needs something to recover from."""
    return Plan((Death("commit", 3), death) if death.point in RESUMES else (death,))


CELLS = [(config, _plan(death)) for config in CONFIGS for death in DEATHS[config]]


def test_every_point_of_every_config_is_hit_and_costs_nothing(folder, proved):
    def examine(cell: tuple[str, Plan]) -> bool:
        config, plan = cell
        case = _case(folder / f"{config}, {plan}", config).write()
        return die_and_resume(case, plan, case.expected()) == list(plan.deaths)

    hit, failures = in_parallel(CELLS, examine, 2 * WIDTH)

    proved(points=len({plan.deaths[-1].point for (_, plan), died in hit.items() if died}), deaths=sum(hit.values()))
    assert not failures, report(failures, "pytest tests/chaos/test_points.py")
    assert not (missed := [f"{config}, {plan}" for (config, plan), died in hit.items() if not died]), missed


def test_a_second_death_during_recovery_costs_nothing(folder, proved):
    cells = [
        ("sqlite" if n % 2 else "state", Plan((Death("accept", 3), Death(point))))
        for n, point in enumerate(SECOND)
        if point not in GROUPS
    ]
    # A table that is ahead, and a death while it is so, or when it is so again.
    cells += [("tables", Plan((Death("one of two", 4), Death(point)))) for point in ("accept", *BRANCHES)]
    # Early: what is left to the second life has to be enough to choose groups by.
    cells += [("fused", Plan((Death("accept"), Death(point)))) for point in GROUPS]

    def examine(cell: tuple[str, Plan]) -> list[Death]:
        config, plan = cell
        case = _case(folder / f"second, {config}, {plan}", config).write()
        return die_and_resume(case, plan, case.expected())

    hit, failures = in_parallel(cells, examine, 2 * WIDTH)

    proved(**_figures(hit.values()))
    assert not failures, report(failures, "pytest tests/chaos/test_points.py")
    assert [cell for cell, died in hit.items() if died != list(cell[1].deaths)] == []


@pytest.mark.full
def test_every_point_of_many_chains_with_a_second_death(folder, proved):
    deaths = [Death(point, time) for point in EVERY for time in (1, 4)]
    twice = [Plan((first, Death(second))) for first in deaths for second in SECOND if second not in GROUPS]
    cells = [(seed, plan) for seed in range(CHAINS) for plan in twice]

    def examine(cell: tuple[int, Plan]) -> list[Death]:
        seed, plan = cell
        case = case_of(seed, folder / f"seed {seed}, {plan}", resumable=True).write()
        return die_and_resume(case, plan, case.expected())

    hit, failures = in_parallel(cells, examine)

    proved(configs=CHAINS, **_figures(hit.values()))
    assert not failures, report(failures, "pytest tests/chaos/test_points.py --full")
    assert {death.point for died in hit.values() for death in died} == set(EVERY)


def _figures(hit: Iterable[list[Death]]) -> dict[str, int]:
    died = list(hit)
    return {"deaths": sum(map(len, died)), "second_deaths": sum(len(deaths) > 1 for deaths in died)}
