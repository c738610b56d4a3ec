from __future__ import annotations

from stagerunner.events import StageTotals
from stagerunner.views.limit import StageFacts, facts_of, limit, loads


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
    assert "it has state" in limit([stage("count", 0.9)], 10, 100, facts={"count": StageFacts(state=True)})


def test_stages_that_share_a_worker_are_the_limit_together():
    shared = [stage("a", 0.3, group=1), stage("b", 0.5, group=1, wait=2.0), stage("c", 0.4, wait=6.0, group=2)]
    assert limit(shared, 10, 100_000) == "limit: a + b, 80 % busy on 1 worker; 2 workers ≈ 25.0 k/s, then c"
    assert "it has state" in limit(shared, 10, 100_000, facts={"b": StageFacts(state=True)})


def test_workers_that_ended_before_others_did_not_wait_for_the_source():
    """The clocks of a worker stop when it has no records left: what it did until then is no measure of the run."""
    found = limit([stage("a", 0.5, 2, wait=0.1), StageTotals("b", work=0.1, wait=9.9)], 10, 100)
    assert found == "limit: a; towards the end some of its 2 workers had no records left"
    assert limit([stage("a", 0.5, 2), stage("b", 0.1)], 10, 100).startswith("limit: the source")


def test_busy_cores_are_named_instead_of_workers():
    assert limit([stage("a", 0.9, 2)], 10, 100, cpu=19, cores=2).endswith("all 2 cores are busy")


def test_a_service_that_has_a_stage_wait_is_named():
    assert limit([stage("llm", 0.99, 2, paused=4.0)], 10, 100) == (
        "limit: llm, whose service made it wait 40 % of the time; a `rate` asks it less often"
    )
    paced = limit([stage("llm", 0.99, 2, paused=4.0)], 10, 100, facts={"llm": StageFacts(rate=20)})
    assert paced.endswith("of the time; a lower `rate` asks it less often")
    assert "wait" not in limit([stage("llm", 0.99, 2, paused=2.0)], 10, 100)


def test_mostly_encoding_is_named():
    assert "run.frame" in limit([stage("a", 0.1, codec=8.0)], 10, 100)


def test_without_a_busy_stage_the_slower_end_is_the_limit():
    assert limit([stage("a", 0.3, wait=7.0)], 10, 100) == (
        "limit: the source; the busiest stage, a, is busy 30 % of the time"
    )
    assert limit([stage("a", 0.3, block=7.0)], 10, 100).startswith("limit: the sink")


def test_a_source_that_ended_early_is_not_the_limit():
    slow_end = stage("ask", 0.5, wait=5.0)
    assert limit([slow_end], 10, 100, read=2.0) == (
        "limit: ask, busy 50 % of the time; when the source had ended, the last records took long"
    )
    assert limit([slow_end], 10, 100, read=9.0).startswith("limit: the source")
    assert limit([stage("ask", 0.3, block=7.0)], 10, 100, read=2.0).startswith("limit: the sink")


def test_a_stage_that_began_late_is_as_busy_as_the_table_says():
    late = stage("late", 0.2, wait=2.0)
    assert "late, is busy 50 % of the time" in limit([stage("a", 0.1, wait=9.0), late], 10, 100)


def test_with_too_little_known_no_limit_is_named():
    assert limit([stage("a", 1.0)], 0.5, 100) == limit([stage("a", 1.0)], 10, 0) == limit([], 10, 100) == ""


def test_more_workers_are_not_advised_for_a_stage_with_a_rate():
    found = limit([stage("ask", 0.9, taken=160)], 10, 160, facts={"ask": StageFacts(rate=20)})
    assert found == "limit: ask, 90 % busy on 1 worker, its `rate` waited for included"


def test_a_rate_that_is_never_reached_is_not_the_limit():
    facts = {"ask": StageFacts(rate=500, concurrency=32)}
    found = limit([stage("ask", 0.9, taken=1000, cpu=1.0)], 10, 1000, facts=facts)
    assert found == "limit: ask, 90 % busy on 1 worker; `concurrency: 64` ≈ 222/s"


def test_a_stage_at_its_rate_is_the_limit_however_little_it_works():
    stages = [stage("read", 0.1, wait=5.0, taken=900), stage("ask", 0.2, wait=8.0, taken=900, hits=100)]
    assert limit(stages, 10, 900, facts={"ask": StageFacts(rate=100)}) == "limit: ask, at its `rate`"
    assert limit(stages, 10, 900, facts={"ask": StageFacts(rate=200)}).startswith("limit: the sou")
    assert limit(stages, 10, 900, facts={"ask": StageFacts(rate=100, lists=True, batch=8)}).startswith("limit: the sou")


def test_an_async_stage_that_waits_needs_concurrency_not_workers():
    found = limit([stage("ask", 1.0, cpu=1.0)], 10, 1000, facts={"ask": StageFacts(concurrency=64)}, cpu=2, cores=2)
    assert found == "limit: ask, 100 % busy on 1 worker; `concurrency: 128` ≈ 200/s"


def test_concurrency_is_promised_no_more_than_the_core_of_its_worker():
    found = limit([stage("ask", 1.0, cpu=6.25)], 10, 1000, facts={"ask": StageFacts(concurrency=64)}, cpu=7, cores=8)
    assert found.endswith("`concurrency: 128` ≈ 160/s")


def test_an_async_stage_that_computes_needs_workers():
    found = limit([stage("ask", 1.0, cpu=9.5)], 10, 1000, facts={"ask": StageFacts(concurrency=64)}, cpu=10, cores=8)
    assert found.endswith("; 2 workers ≈ 200/s")


def test_a_batch_stage_may_need_larger_lists():
    facts = {"model": StageFacts(lists=True, batch=256)}
    found = limit([stage("model", 1.0, cpu=0.1)], 10, 1000, facts=facts, cpu=1, cores=2)
    assert found == "limit: model, 100 % busy on 1 worker; a `batch` of more than 256 may help, or 2 workers ≈ 200/s"


def test_a_batch_stage_without_a_size_gets_no_more_than_a_frame():
    found = limit([stage("model", 1.0)], 10, 1000, facts={"model": StageFacts(lists=True)})
    assert "a `batch`, which gathers the records of several frames, may help, or 2 workers" in found


def test_a_stage_that_computes_is_promised_no_more_than_the_cores_give():
    assert limit([stage("parse", 1.0, cpu=9.9)], 10, 1000, cpu=16, cores=2).endswith(
        "2 workers ≈ 125/s, then the cores"
    )
    assert limit([stage("parse", 1.0, cpu=9.9)], 10, 1000, cpu=19.9 * 0.9, cores=2).endswith("≈ 112/s, then the cores")


def test_cores_that_are_nearly_busy_are_named_instead_of_workers():
    found = limit([stage("parse", 0.8, 2, cpu=16)], 10, 1000, cpu=17.9, cores=2)
    assert found == "limit: parse, 80 % busy on 2 workers; all 2 cores are busy"


def test_a_stage_that_sleeps_may_have_more_workers_than_there_are_cores():
    assert limit([stage("wait", 1.0, 4, cpu=0.4)], 10, 1000, cpu=1, cores=2).endswith("8 workers ≈ 200/s")


def test_what_the_plan_says_of_its_stages(project):
    project.plugin("""
        @stage
        async def ask(record): return record

        @stage.batch
        def model(records): return records

        @stage(state=True)
        class Sum:
            def process(self, record): return record
    """)
    stages = [
        {"use": "ask", "concurrency": 64, "rate": "5/s"},
        {"use": "model", "batch": 256},
        {"use": "model", "name": "other"},
        "sum",
    ]
    assert facts_of(project.plan(*stages, source="parts.py")) == {
        "ask": StageFacts(rate=5, concurrency=64),
        "model": StageFacts(lists=True, batch=256),
        "other": StageFacts(lists=True),
        "sum": StageFacts(state=True),
    }
