from __future__ import annotations

from collections import Counter
from math import lcm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagerunner.engines.topology import grouped, groups_of, pairs, slots_of, specs

widths = st.integers(1, 12)


@given(widths, widths)
def test_only_the_pipes_that_can_occur_are_made(upstream, downstream):
    made = pairs(upstream, downstream)

    assert len(made) == len(set(made)) == lcm(upstream, downstream)
    assert {(s % upstream, s % downstream) for s in range(1000)} == set(made)


@given(widths, widths)
def test_pipes_are_shared_out_evenly(upstream, downstream):
    made = pairs(upstream, downstream)

    assert set(Counter(u for u, _ in made).values()) == {len(made) // upstream}
    assert set(Counter(d for _, d in made).values()) == {len(made) // downstream}


@pytest.fixture
def plan(project):
    stages = [{"use": "same", "workers": 2}, {"use": "double", "workers": 3, "env": {"A": "1"}}]
    return project.plan(*stages, source={"use": "range", "with": {"stop": 5}}, sink="out.jsonl")


def test_there_is_a_group_for_each_stage(plan):
    groups = groups_of(plan)

    assert [(group.label, group.width) for group in groups] == [("same", 2), ("double", 3)]
    assert slots_of(groups) == 5


def test_no_stage_is_one_worker_that_copies(project):
    plan = project.plan(source={"use": "range", "with": {"stop": 5}}, sink="out.jsonl")
    (group,) = groups_of(plan)
    (spec,) = specs(plan, (group,), 1, {})

    assert (group.label, spec.label, spec.slots, spec.works) == ("copy", "copy", (0,), ())
    assert spec.first
    assert spec.last


def test_each_worker_has_its_own_slots_and_pipes(plan):
    told = list(specs(plan, groups_of(plan), 4, {}))

    assert [spec.label for spec in told] == ["same/1", "same/2", "double/1", "double/2", "double/3"]
    assert [spec.slots for spec in told] == [(0,), (1,), (2,), (3,), (4,)]
    assert [spec.inbound for spec in told] == [(0,), (0,), (0, 1), (1, 0), (0, 1)]
    assert [sorted(spec.outbound) for spec in told] == [[0, 1, 2], [0, 1, 2], [0], [0], [0]]
    assert {spec.epoch for spec in told} == {4}


def test_a_metric_keeps_its_slot_however_stages_are_grouped(project):
    plan = project.plan(
        *({"use": "same", "name": name, "workers": 2} for name in "abc"),
        source={"use": "range", "with": {"stop": 5}},
        sink="b.txt",
    )

    def slots(*sizes):
        told = specs(plan, grouped(plan, sizes), 1, {})
        return {
            (work.name, spec.number): slot for spec in told for work, slot in zip(spec.works, spec.slots, strict=True)
        }

    assert sorted(slots(1, 1, 1).values()) == list(range(6))
    assert slots(3) == slots(2, 1) == slots(1, 2) == slots(1, 1, 1)


def test_a_group_is_told_of_all_its_stages(project):
    plan = project.plan(
        "same", "double", {"use": "same", "name": "c"}, source={"use": "range", "with": {"stop": 5}}, sink="b.txt"
    )
    first, last = specs(plan, grouped(plan, [2, 1]), 1, {0: "state", 2: "other"})

    assert (first.label, last.label) == ("same+double", "c")
    assert (first.snapshots, last.snapshots) == ({0: "state"}, {2: "other"})
    assert (first.first, first.last, last.first, last.last) == (True, False, False, True)


def test_only_the_ends_are_told_of_source_and_sink(plan):
    told = list(specs(plan, groups_of(plan), 1, {}))

    assert [spec.source is not None for spec in told] == [True, True, False, False, False]
    assert [bool(spec.sinks) for spec in told] == [False, False, True, True, True]
    assert [spec.env for spec in told] == [()] * 2 + [(("A", "1"),)] * 3


def test_a_stage_gets_its_own_snapshot_only(plan):
    told = list(specs(plan, groups_of(plan), 1, {1: "state"}))

    assert [spec.snapshots for spec in told] == [{}, {}] + [{1: "state"}] * 3
