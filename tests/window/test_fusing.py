from __future__ import annotations

from itertools import accumulate, pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from stagerunner.window.fusing import GAIN, Layout, Measured, choose


def light(**more) -> Measured:
    """A microsecond's third, from JSON to JSON."""
    return Measured(0.3, 1.5, 1.5, **more)


def heavy(**more) -> Measured:
    return Measured(100.0, 1.0, 1.0, **more)


def test_cheap_stages_stay_together():
    assert choose([light()] * 5, 2) == (5,)


def test_cores_that_would_idle_are_used_even_for_cheap_stages():
    assert choose([light()] * 5, 64) == (3, 2)


def test_heavy_neighbours_part_when_there_are_cores_for_both():
    assert choose([heavy()] * 2, 2) == (1, 1)
    assert choose([heavy()] * 2, 1) == (2,)


def test_a_heavy_stage_keeps_its_cheap_neighbours():
    assert choose([light(), heavy(), light()], 8) == (3,)


def test_cheap_stages_go_where_the_slowest_group_gains_by_it():
    assert choose([heavy(), Measured(30.0, 1.0, 1.0), Measured(60.0, 1.0, 1.0)], 2) == (1, 2)


def test_workers_that_fill_the_cores_already_are_not_parted():
    assert choose([heavy(workers=2)] * 2, 2) == (2,)
    assert choose([heavy(workers=2)] * 2, 4) == (1, 1)


def test_a_hop_that_costs_as_much_as_the_work_is_not_made():
    assert choose([Measured(1.0, 3.0, 3.0)] * 2, 64) == (2,)


def test_what_may_not_be_together_is_not():
    assert choose([light(), light(joins=False), light()], 2) == (1, 2)


def test_more_cores_than_processes_change_nothing():
    assert choose([heavy()] * 4, 4) == choose([heavy()] * 4, 400) == (1, 1, 1, 1)


def test_one_stage_is_one_group():
    assert choose([heavy()], 4) == (1,)


costs = st.floats(0, 100)


@st.composite
def chains(draw) -> list[Measured]:
    """Neighbours that may be together have as many workers as each other."""
    workers, stages = 1, []
    for _ in range(draw(st.integers(1, 6))):
        joins = draw(st.booleans())
        workers = workers if joins and stages else draw(st.integers(1, 4))
        stages.append(Measured(draw(costs), draw(costs), draw(costs), workers, joins))
    return stages


def everyone(stages: list[Measured]) -> list[Layout]:
    """All layouts there are."""
    layouts = []
    for cuts in product((False, True), repeat=len(stages) - 1):
        if all(cut or stage.joins for cut, stage in zip(cuts, stages[1:], strict=True)):
            edges = [0, *(place for place, cut in enumerate(cuts, 1) if cut), len(stages)]
            layouts.append(laid_out(stages, [end - start for start, end in pairwise(edges)]))
    return layouts


def laid_out(stages: list[Measured], sizes) -> Layout:
    layout = Layout()
    for end, size in zip(accumulate(sizes), sizes, strict=True):
        layout = layout.and_group(stages[end - size : end])
    return layout


@given(chains(), st.integers(1, 8))
def test_no_layout_is_worth_more(stages, cores):
    chosen = laid_out(stages, choose(stages, cores))
    best = min(layout.time(cores) for layout in everyone(stages))

    assert chosen.time(cores) <= best * GAIN
    assert all(layout.processes >= chosen.processes for layout in everyone(stages) if layout.time(cores) <= best * GAIN)


@given(chains(), st.integers(1, 8))
def test_the_unit_of_time_does_not_matter(stages, cores):
    in_halves = [Measured(2 * work, 2 * arriving, 2 * leaving, *rest) for work, arriving, leaving, *rest in stages]

    assert choose(in_halves, cores) == choose(stages, cores)
