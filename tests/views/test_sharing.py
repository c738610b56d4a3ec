from __future__ import annotations

from stagerunner.events import Fusion, StageTotals
from stagerunner.views.sharing import fusion_lines, group_totals, groups_of, merged

STAGES = [StageTotals("a", group=1), StageTotals("b", group=1), StageTotals("c", group=2), StageTotals("d", group=2)]


def told(*fusions: Fusion, workers: int = 1) -> list[str]:
    return list(fusion_lines(fusions, [StageTotals(name, workers) for name in "abcd"]))


def test_stages_with_the_same_number_share():
    assert groups_of(STAGES) == [[0, 1], [2, 3]]


def test_stages_that_were_never_started_share_nothing():
    assert groups_of([StageTotals("a"), StageTotals("b")]) == [[0], [1]]


def test_a_total_is_that_of_all_stages_that_share():
    assert group_totals(STAGES, [1, 2, 3, 4]) == [3, 3, 7, 7]


def test_a_group_is_busy_with_all_its_stages():
    one, two = (
        StageTotals("a", 2, 9, 1, 8, work=1, wait=4, group=1),
        StageTotals("b", 2, 8, 0, 7, work=2, block=5, group=1),
    )
    (group,) = merged([one, two])

    assert (group.name, group.workers, group.taken, group.out) == ("a + b", 2, 9, 7)
    assert (group.work, group.codec, group.wait, group.block) == (3, 0, 4, 5)


def test_stages_together():
    fusion = Fusion((("a", "b"),), ((0.4e-6, 210e-6),), 1.25e-6)

    assert told(fusion) == ["a + b share a worker: 400 ns and 210 µs a record, a hop costs 1.25 µs"]
    assert told(fusion, workers=3)[0].startswith("a + b share 3 workers:")


def test_stages_parted():
    fusion = Fusion((("a", "b"), ("c",), ("d",)), ((1e-6, 2e-6), (3e-3,), (4.0,)), 1e-6)

    assert told(fusion) == [
        "a + b, c and d have workers of their own: 1.00 µs + 2.00 µs, 3.00 ms and 4.00 s a record, a hop costs 1.00 µs"
    ]


def test_without_measurements_none_are_shown():
    assert told(Fusion((("a", "b"),), ((0.0, 0.0),), 1e-6)) == ["a + b share a worker"]
