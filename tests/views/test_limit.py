from __future__ import annotations

from stagerunner.events import StageTotals
from stagerunner.views.limit import limit, loads


def stage(name: str, busy: float, workers: int = 1, **clocks: float) -> StageTotals:
    """A stage that was at work for this share of ten seconds."""
    return StageTotals(name, workers, work=busy * 10 * workers, **clocks)


def test_the_busiest_stage_comes_first():
    assert [load.stage.name for load in loads([stage("a", 0.1), stage("b", 0.9)], 10, 100)] == ["b", "a"]


def test_capacity_is_the_rate_a_stage_could_keep_up():
    assert loads([stage("a", 0.5)], 10, 1000)[0].capacity == 200


def test_the_limit_says_what_twice_the_workers_would_give():
    found = limit([stage("parse", 0.4, 2), stage("hide-people", 0.94, 4)], 10, 442_000)
    assert found == "limit: hide-people, 94 % busy on 4 workers; 8 workers ≈ 94.0 k/s, then parse"


def test_the_next_limit_bounds_what_more_workers_would_give():
    assert limit([stage("a", 0.8), stage("b", 0.9)], 10, 100_000).endswith("2 workers ≈ 12.5 k/s, then a")


def test_a_stage_next_to_nothing_is_not_named():
    assert limit([stage("a", 0.01), stage("b", 0.9)], 10, 900).endswith("2 workers ≈ 200/s")


def test_the_time_it_took_to_start_is_not_held_against_the_stages():
    assert limit([StageTotals("a", work=4.0, wait=1.0)], 10, 100).startswith("limit: a, 80 % busy")


def test_more_workers_are_not_advised_for_a_stage_with_state():
    assert "it has state" in limit([stage("count", 0.9)], 10, 100, alone=["count"])


def test_stages_that_share_a_worker_are_the_limit_together():
    shared = [stage("a", 0.3, group=1), stage("b", 0.5, group=1, wait=2.0), stage("c", 0.4, wait=6.0, group=2)]
    assert limit(shared, 10, 100_000) == "limit: a + b, 80 % busy on 1 worker; 2 workers ≈ 25.0 k/s, then c"
    assert "it has state" in limit(shared, 10, 100_000, alone=["b"])


def test_busy_cores_are_named_instead_of_workers():
    assert limit([stage("a", 0.9, 2)], 10, 100, cpu=19, cores=2).endswith("all 2 cores are busy")


def test_mostly_encoding_is_named():
    assert "run.frame" in limit([stage("a", 0.1, codec=8.0)], 10, 100)


def test_without_a_busy_stage_the_slower_end_is_the_limit():
    assert limit([stage("a", 0.3, wait=7.0)], 10, 100) == (
        "limit: the source; the busiest stage, a, is busy 30 % of the time"
    )
    assert limit([stage("a", 0.3, block=7.0)], 10, 100).startswith("limit: the sink")


def test_with_too_little_known_no_limit_is_named():
    assert limit([stage("a", 1.0)], 0.5, 100) == limit([stage("a", 1.0)], 10, 0) == limit([], 10, 100) == ""


def test_more_workers_are_not_advised_for_a_stage_with_a_rate():
    found = limit([stage("ask", 0.9)], 10, 100, paced=["ask"])
    assert found == "limit: ask, 90 % busy on 1 worker, its `rate` waited for included"
