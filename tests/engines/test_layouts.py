from __future__ import annotations

from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from stagerunner.engines.layouts import SLACK, as_written, suggested
from stagerunner.engines.prediction import Hop, Load, StageCost, predict


def chain(*stages: StageCost, hop: float = 1.0, **more: float) -> Load:
    return Load(stages, (Hop(hop, hop),) * (len(stages) + 1), **more)


def stage(service: float, cpu: float | None = None, *, joins: bool = True, **more) -> StageCost:
    return StageCost("s", service, service if cpu is None else cpu, joins=joins, **more)


def test_without_fusion_each_stage_has_its_own_workers():
    assert as_written(chain(stage(1, workers=3), stage(1)), 2, fuse=False) == ((1, 3), (1, 1))


def test_with_fusion_the_groups_are_those_that_a_run_chooses():
    assert as_written(chain(stage(0.1), stage(0.1), stage(0.1)), 2, fuse=True) == ((3, 1),)
    assert as_written(chain(stage(100), stage(100)), 2, fuse=True) == ((1, 1), (1, 1))


def test_neighbours_with_other_numbers_of_workers_stay_apart():
    assert as_written(chain(stage(0.1, workers=2), stage(0.1)), 2, fuse=True) == ((1, 2), (1, 1))


def test_cheap_stages_should_share_one_worker():
    assert suggested(chain(stage(0.1), stage(0.1)), 2) == ((2, 2),)
    assert suggested(chain(stage(0.1), stage(0.1), parent=10.0), 8) == ((2, 1),)


def test_a_heavy_stage_should_have_the_cores():
    assert suggested(chain(stage(1000)), 8) == ((1, 8),)


def test_who_waits_should_have_more_workers_than_cores():
    assert suggested(chain(stage(100, cpu=0), hop=0, parent=10.0), 1) == ((1, 10),)


def test_state_allows_one_worker_and_the_others_keep_step_with_it():
    assert suggested(chain(stage(100, most=1), stage(200, joins=False)), 8) == ((1, 1), (1, 2))


def test_a_rate_is_no_reason_for_more_workers():
    assert suggested(chain(stage(10, pace=100.0)), 8) == ((1, 1),)


def test_nothing_is_suggested_beyond_what_the_parent_can_do():
    assert suggested(chain(stage(90), parent=100.0), 64) == ((1, 1),)


def test_a_chain_without_costs_has_one_worker():
    assert suggested(chain(stage(0), stage(0), hop=0), 4) == ((2, 1),)


costs = st.floats(0.01, 100)


@st.composite
def loads(draw) -> Load:
    stages = [
        StageCost(f"s{place}", work + draw(costs), work, 1, draw(st.sampled_from([1, None])), joins=draw(st.booleans()))
        for place, work in enumerate(draw(st.lists(costs, min_size=1, max_size=3)))
    ]
    hops = [Hop(draw(costs), draw(costs)) for _ in range(len(stages) + 1)]
    return Load(tuple(stages), tuple(hops), draw(costs))


@given(loads(), st.integers(1, 3))
def test_no_layout_is_faster_by_more_than_what_can_be_predicted(load, cores):
    best = max(predict(load, layout, cores).rate for layout in everyone(load))

    assert predict(load, suggested(load, cores), cores).rate * SLACK >= best * 0.999


def everyone(load: Load):
    """All layouts with up to four workers a group."""
    count = len(load.stages)
    for cuts in product((False, True), repeat=count - 1):
        if not all(cut or stage.joins for cut, stage in zip(cuts, load.stages[1:], strict=True)):
            continue
        edges = [0, *(place for place, cut in enumerate(cuts, 1) if cut), count]
        spans = list(pairwise(edges))
        choices = [range(1, 5) if all(s.most is None for s in load.stages[a:b]) else (1,) for a, b in spans]
        for workers in product(*choices):
            yield [(b - a, n) for (a, b), n in zip(spans, workers, strict=True)]
