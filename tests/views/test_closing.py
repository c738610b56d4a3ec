from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner.events import Fusion, StageTotals
from stagerunner.views.closing import closing, from_here, shares
from stagerunner.views.console import Line


def written(lines: list[Line]) -> list[str]:
    return ["".join(piece if isinstance(piece, str) else piece[1] for piece in line) for line in lines]


def test_a_run_without_stages_is_summed_up_in_one_line(summary):
    assert written(closing(summary(seconds=69))) == ["done in 1 m 09 s · 10 in · 10 out"]


def test_paths_are_shown_from_the_current_folder():
    assert from_here(f"{Path.cwd()}/out/x.jsonl") == "out/x.jsonl"
    assert from_here(f"{Path.cwd()}-2/x.jsonl") == f"{Path.cwd()}-2/x.jsonl"


def test_every_fate_that_occurred_is_counted(summary):
    records = {"in": 13, "created": 2, "out": 6, "filtered": 3, "skipped": 3, "dead": 1, "not_processed": 2}
    told = summary(records=records, dead_letter="out/dead.jsonl", exit_code=3, output="out/x.jsonl", restarts=1)
    assert written(closing(told))[0] == (
        "done in 10 s · 13 in · 6 out to out/x.jsonl · 3 filtered · 3 skipped"
        " · 1 dead letter in out/dead.jsonl · 2 not processed · 1 restart"
    )


def test_the_exit_code_decides_how_it_ended(summary):
    refusals = [next(closing(summary(exit_code=code)))[0][1] for code in (0, 3, 1, 75, 130)]
    assert refusals == ["done in", "done in", "failed after", "stopped after", "stopped after"]


@pytest.mark.parametrize("code", [1, 75, 130])
def test_an_output_that_is_not_complete_is_not_named(summary, code):
    assert written(closing(summary(exit_code=code)))[0].endswith(" 10 s · 10 in · 10 out")


def test_records_that_go_into_what_a_stage_makes_are_consumed_and_its_results_are_out(summary):
    count = StageTotals("count", taken=8, created=2, out=2, filtered=8, consumes=True)
    split = StageTotals("split", taken=5, created=3, out=8, consumes=True)
    records = {"in": 7, "created": 5, "out": 2, "filtered": 10}
    keep = StageTotals("keep", taken=7, out=5, filtered=2)
    head, columns, *rows = written(closing(summary(keep, split, count, records=records)))[:5]
    assert head == "done in 10 s · 7 in · 2 out · 8 consumed · 2 filtered"
    assert columns.split()[2:6] == ["in", "out", "consumed", "filtered"]
    assert [row.split()[2:6] for row in rows] == [["7", "5", "0", "2"], ["5", "8", "0", "0"], ["8", "2", "8", "0"]]


def test_of_a_run_that_failed_no_stage_is_called_the_limit(summary):
    stage = StageTotals("parse", taken=10, out=10, work=9.0, wait=1.0)
    assert not any(line.startswith("limit") for line in written(closing(summary(stage, exit_code=1))))


def test_the_table_leaves_out_columns_of_nothing(summary):
    stage = StageTotals("parse", 2, taken=10, out=9, dead=1, work=3.0, codec=1.0, wait=1.0)
    assert written(closing(summary(stage)))[1:3] == [
        "stage  workers  in  out  dead  work  codec  wait  block",
        "parse        2  10    9     1  60 %   20 %  20 %    0 %",
    ]


def test_the_limit_is_left_out_where_there_is_none_to_be_moved(summary):
    stage = StageTotals("parse", taken=10, out=10, work=9.0, wait=1.0)
    assert not any(line.startswith("limit") for line in written(closing(summary(stage), advise=False)))


def test_what_was_taken_before_a_resume_makes_no_stage_faster(summary):
    stage = StageTotals("parse", taken=10, out=10, work=9.0, wait=1.0)
    first, *_, last = written(closing(summary(stage, earlier=5)))
    assert first == "done in 10 s · 10 in (5 before) · 10 out"
    assert last == "limit: parse, 90 % busy on 1 worker; 2 workers ≈ 1.1/s"


def test_a_long_start_is_told_and_is_not_held_against_the_stages(summary):
    waiting = StageTotals("clean", taken=10, out=10, wait=9.0)
    late = StageTotals("embed", taken=10, out=10, work=3.8, wait=0.2)
    first, *_, last = written(closing(summary(waiting, late, starting=6.0)))
    assert first == "done in 10 s (6.0 s to start) · 10 in · 10 out"
    assert last == "limit: embed, 95 % busy on 1 worker; 2 workers ≈ 5.3/s"
    assert "to start" not in written(closing(summary(starting=0.9)))[0]


def test_without_clocks_there_are_no_shares():
    assert shares(StageTotals("a"), 0.0) == ["–"] * 4


def test_stages_that_share_a_worker_share_its_time(summary):
    parse = StageTotals("parse", taken=10, out=10, work=3.0, wait=1.0, group=1)
    shape = StageTotals("shape", taken=10, out=10, work=4.0, codec=1.5, block=0.5, group=1)
    assert [line.split()[4:] for line in written(closing(summary(parse, shape)))[2:4]] == [
        ["30", "%", "0", "%", "10", "%", "0", "%"],
        ["40", "%", "15", "%", "0", "%", "5", "%"],
    ]


def test_fused_stages_are_shown_with_the_reason(summary):
    fusion = Fusion((("parse", "shape"),), ((0.4e-6, 1.1e-6),), 1e-6)
    told = summary(StageTotals("parse", 2), StageTotals("shape", 2), fusions=(fusion,))
    assert written(closing(told, advise=False))[-1] == (
        "parse + shape share 2 workers: 400 ns and 1.10 µs a record, a hop costs 1.00 µs"
    )


def test_a_ledger_that_does_not_balance_is_shown_in_capitals(summary):
    lines = written(closing(summary(records={"out": 9})))
    assert lines[-1].startswith("THE LEDGER DOES NOT BALANCE: 10 in + 0 created is not 9 out")


def test_what_hits_have_counted_again_is_told_since_it_was_paid_before(summary):
    ask = StageTotals("ask", hits=2, counters={"calls": 3, "usd": 6}, recalled={"usd": 1.5})
    tell = StageTotals("tell", hits=3, counters={"usd": 0.3}, recalled={"usd": 0.1 + 0.2})
    assert written(closing(summary(ask, tell), advise=False))[4:] == [
        "ask counted: calls 3, usd 6 (1.5 from the memo)",
        "tell counted: usd 0.3 (all from the memo)",
    ]


def test_counters_messages_and_the_limit_follow(summary):
    stage = StageTotals("parse", taken=10, out=10, work=9.0, wait=1.0, counters={"hits": 3})
    assert written(closing(summary(stage, messages=("read this",))))[3:] == [
        "parse counted: hits 3",
        "read this",
        "limit: parse, 90 % busy on 1 worker; 2 workers ≈ 2.2/s",
    ]
