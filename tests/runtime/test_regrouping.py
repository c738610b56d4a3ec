from __future__ import annotations

from typing import Any

import pytest

from stagerunner.delivery.ledger import Ledger
from stagerunner.engines.base import Clock
from stagerunner.engines.topology import grouped
from stagerunner.records import SOURCE, Counts
from stagerunner.runtime.regrouping import LEAST, Regrouping, measured, totalled

MILLI = 1_000_000

FIRST = [Clock(index, 900 * MILLI, 900 * MILLI, 0, 0, 1, 1) for index in range(3)]
"""When the first call of each stage is over, in which it has loaded a model."""


class Workers:
    """A transport as far as groups are concerned."""

    def __init__(self, plan, *sizes: int, cores: int = 2) -> None:
        self.groups = grouped(plan, sizes)
        self.cores = cores
        self.told = FIRST

    def clocks(self) -> list[Clock]:
        return self.told

    def regroup(self, groups) -> None:
        self.groups = groups

    @property
    def labels(self) -> list[str]:
        return [group.label for group in self.groups]


@pytest.fixture
def plan(project) -> Any:
    return project.plan("same", "double", {"use": "same", "name": "last"}, source={"use": "range", "with": {"stop": 5}})


@pytest.fixture
def ledger() -> Ledger:
    """A thousand records have come back."""
    ledger = Ledger(3, sinks=0)
    ledger.add([Counts(stage, taken=1000, out=1000) for stage in (SOURCE, 0, 1, 2)])
    return ledger


def begun(plan: Any, workers: Workers, ledger: Ledger) -> Regrouping:
    """After the first look at the clocks."""
    regrouping = Regrouping(plan, workers, ledger)
    assert not regrouping.due()
    return regrouping


def worked(*milliseconds: int, codec: int = 1, records: int = 1000) -> list[Clock]:
    """The clocks so many records later."""
    last = len(milliseconds) - 1
    return [
        Clock(index, (900 + time) * MILLI, (900 + codec * (index == last)) * MILLI, 0, 0, 1 + records, 1 + records)
        for index, time in enumerate(milliseconds)
    ]


def test_clocks_are_summed_over_a_stages_workers():
    clocks = [Clock(0, 1, 2, 3, 4, 5, 6), Clock(0, 10, 20, 30, 40, 50, 60), Clock(1, 7, 0, 0, 0, 1, 1)]

    assert totalled(clocks, 2) == [Clock(0, 11, 22, 33, 44, 55, 66), Clock(1, 7, 0, 0, 0, 1, 1)]


def test_what_the_ends_cost_stands_for_the_hops_in_between(plan):
    (group,) = grouped(plan, [3])
    clocks = [Clock(0, 100, 0, 0, 0, 10, 20), Clock(1, 200, 0, 0, 0, 20, 5), Clock(2, 300, 60_000, 0, 0, 5, 5)]

    found = measured(group, clocks, {c.stage: Counts(c.stage, taken=c.taken, out=c.out) for c in clocks})

    assert [stage.work for stage in found] == [100, 200, 300]
    assert [stage.joins for stage in found] == [False, True, True]
    assert [(stage.arriving, stage.leaving) for stage in found] == [
        (40_000, 80_000),
        (80_000, 20_000),
        (20_000, 20_000),
    ]


def test_ends_that_cost_next_to_nothing_are_no_measure_for_a_hop(plan):
    (group,) = grouped(plan, [3])

    found = measured(
        group, [Clock(n, 100, 0, 0, 0, 10, 10) for n in range(3)], {n: Counts(n, 10, 0, 10) for n in range(3)}
    )

    assert [(stage.arriving, stage.leaving) for stage in found] == [(0, 5000), (5000, 5000), (5000, 0)]


def test_a_frame_that_is_only_half_way_through_is_not_taken_for_the_whole(plan):
    (group,) = grouped(plan, [3])
    clocks = [Clock(0, 400, 0, 0, 0, 40, 40), Clock(1, 200, 0, 0, 0, 20, 20), Clock(2, 0, 0, 0, 0, 0, 0)]

    assert [stage.work for stage in measured(group, clocks, {n: Counts(n, taken=20) for n in range(3)})] == [
        200,
        200,
        0,
    ]


def test_nothing_is_decided_before_anything_has_come_back(plan):
    workers = Workers(plan, 3)
    regrouping = begun(plan, workers, Ledger(3, sinks=0))
    workers.told = worked(1000, 1000, 0)

    assert not regrouping.due()
    assert regrouping.open


def test_nothing_is_decided_before_enough_has_been_measured(plan, ledger):
    workers = Workers(plan, 3)
    regrouping = begun(plan, workers, ledger)
    workers.told = worked(100, 50, 49)

    assert not regrouping.due()
    assert regrouping.open


def test_heavy_stages_are_parted_once_the_epoch_has_ended(plan, ledger):
    workers = Workers(plan, 3)
    regrouping = begun(plan, workers, ledger)
    workers.told = worked(100, 100, 1)

    assert regrouping.due()
    assert (regrouping.emptying, workers.labels) == (True, ["same+double+last"])
    regrouping.take_effect()

    assert (regrouping.emptying, workers.labels) == (False, ["same", "double+last"])


def test_cheap_stages_go_on_as_they_are(plan, ledger):
    workers = Workers(plan, 3)
    regrouping = begun(plan, workers, ledger)
    workers.told = worked(70, 70, 70, codec=900)

    assert not regrouping.due()
    regrouping.take_effect()

    assert (regrouping.emptying, workers.labels) == (False, ["same+double+last"])


def test_it_is_decided_once(plan, ledger):
    workers = Workers(plan, 3)
    regrouping = begun(plan, workers, ledger)
    workers.told = worked(70, 70, 70, codec=900)
    regrouping.due()
    workers.told = worked(7000, 7000, 7000)

    assert not regrouping.open
    assert not regrouping.due()


def test_a_chain_in_which_nobody_shares_has_nothing_to_decide(plan, ledger):
    workers = Workers(plan, 1, 1, 1)
    workers.told = worked(7000, 7000, 7000)
    regrouping = begun(plan, workers, ledger)

    assert not regrouping.open
    assert not regrouping.due()
    assert regrouping.fusions() == ()


def test_only_what_could_be_together_is_told_of_and_in_seconds_a_record(plan, ledger):
    workers = Workers(plan, 1, 2)
    regrouping = begun(plan, workers, ledger)
    workers.told = worked(9000, 100, 150, codec=3)
    regrouping.due()
    workers.told = worked(1, 1, 1)

    (fusion,) = regrouping.fusions()

    assert fusion.parts == (("double", "last"),)
    assert fusion.work == (pytest.approx((100e-6, 150e-6)),)
    assert fusion.hop == pytest.approx(3e-6)


def test_a_run_too_short_to_decide_tells_how_it_stands(plan, ledger):
    workers = Workers(plan, 3)
    regrouping = begun(plan, workers, ledger)

    assert regrouping.fusions()[0].work == ((0.0, 0.0, 0.0),)
    workers.told = worked(1, 2, 3)
    assert regrouping.fusions()[0].work == (pytest.approx((1e-6, 2e-6, 3e-6)),)


def test_enough_is_a_fifth_of_a_second():
    assert LEAST == 200 * MILLI
