"""Runs that end early: what their summaries say is what stands in the files."""

from __future__ import annotations

import json
import os
import signal

import pytest

from stagerunner.api import Request, prepare
from stagerunner.errors import RunFailed, StageFailed, UsageError
from stagerunner.journal import Journal

SOURCE = {"use": "range", "with": {"stop": 1000}}
PICKY = """
    @stage
    def picky(record, *, bad: int):
        if record % 1000 == bad:
            raise ValueError("no")
        return record

    @stage
    def many(record, *, times: int):
        for number in range(times):
            yield record + 1000 * number

    @stage
    def unsendable(record, *, bad: int):
        for number in range(10_000):
            yield (lambda: 0) if (record, number) == (bad, 10) else record
"""


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def holds(project, summary):
    """The ledger balances, and says what an independent count finds in the files."""
    written = lines(project / "out.jsonl") or lines(project / "out.jsonl.partial")
    assert summary.balanced
    assert summary.records["out"] == len(written)
    assert summary.records["dead"] == len(lines(project / "failed.jsonl"))
    for before, after in zip(summary.stages, summary.stages[1:], strict=False):
        assert before.out == after.taken


def failed(project, *stages, **keys):
    path = project.config(*stages, source=SOURCE, sink="out.jsonl", dead_letter="failed.jsonl", **keys)
    with pytest.raises(RunFailed) as caught:
        prepare(path).execute()
    holds(project, caught.value.summary)
    return caught.value


def test_what_lies_behind_a_failure_is_not_processed_whichever_stage_took_it(project):
    project.plugin(PICKY)
    letters = {"use": "picky", "name": "letters", "on_error": "dead_letter", "with": {"bad": 300}}
    late = {"use": "picky", "name": "late", "on_error": "dead_letter", "with": {"bad": 700}}
    error = failed(project, letters, late, {"use": "picky", "with": {"bad": 500}}, "double")
    summary = error.summary

    assert isinstance(error, StageFailed)
    assert summary.dead_letter.endswith("failed.jsonl")
    assert summary.records == {"in": summary.records["in"], "created": 0, "out": 499, "filtered": 0, "skipped": 0} | {
        "dead": 1,
        "not_processed": summary.records["in"] - 500,
    }


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_a_failure_inside_a_frame_of_several_pieces_counts_the_pieces_that_were_delivered(project, engine):
    project.plugin(PICKY)
    many, picky = {"use": "many", "with": {"times": 500}}, {"use": "picky", "with": {"bad": 40}}
    summary = failed(project, many, picky, run={"frame": 100, "engine": engine}).summary

    assert summary.records["out"] == 40 * 500


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("behind", [[], ["same"]])
def test_a_result_that_cannot_be_encoded_ends_the_run_at_its_record(project, engine, behind):
    project.plugin(PICKY)
    unsendable = {"use": "unsendable", "with": {"bad": 4}}
    summary = failed(project, unsendable, *behind, run={"frame": 10, "engine": engine}).summary

    assert (summary.records["out"], summary.restarts) == (40_000, 0)


def test_more_failures_than_allowed_are_all_in_the_dead_letters_they_are_counted_as(project):
    project.plugin(PICKY)
    many = {"use": "picky", "on_error": "dead_letter", "max_errors": 2, "with": {"bad": 1}}
    summary = failed(project, {"use": "many", "with": {"times": 3}}, many).summary

    assert summary.records["dead"] == 3


def test_a_flush_that_fails_counts_what_it_gave(project):
    project.plugin("""
        @stage
        class Sum:
            def process(self, record) -> None:
                return None
            def flush(self):
                yield 1
                raise ValueError("no")
            def snapshot(self):
                return 0
            def restore(self, data):
                pass
    """)
    summary = failed(project, "same", "sum").summary

    assert (summary.records["created"], summary.records["out"], summary.records["not_processed"]) == (1, 1, 0)


def test_a_setup_that_fails_counts_nothing_and_names_nothing(project):
    project.plugin("""
        @stage
        class Bad:
            def setup(self):
                raise ValueError("no")
            def process(self, record):
                return record
    """)
    summary = failed(project, "same", "bad").summary

    assert set(summary.records.values()) == {0}
    assert (summary.output, summary.dead_letter) == ("", "")


def test_a_resumed_run_counts_no_record_twice(project):
    project.plugin("""
        @stage
        def fussy(record):
            if record in (100, 333) and once(f"failed {record}"):
                raise ValueError("no")
            if record % 100 == 7:
                raise KeyError(record)
            return record

        @stage
        def letters(record):
            if record % 100 == 8:
                raise KeyError(record)
            return record
    """)
    letters = {"use": "letters", "on_error": "dead_letter"}
    path = project.config(letters, "fussy", source=SOURCE, sink="out.jsonl", dead_letter="failed.jsonl")
    for _ in range(2):
        with pytest.raises(RunFailed) as caught:
            prepare(path, Request(resume=True)).execute()
        holds(project, caught.value.summary)


def test_a_stage_that_has_enough_leaves_the_rest_unprocessed(project):
    path = project.config({"use": "take", "with": {"n": 10}}, source=SOURCE, sink="out.jsonl")
    summary = prepare(path).execute()

    holds(project, summary)
    assert (summary.exit_code, summary.records["filtered"]) == (0, 0)
    assert summary.records["not_processed"] == summary.records["in"] - 10


@pytest.mark.parametrize("forced", [False, True])
def test_a_journal_of_another_format_is_not_gone_on_with(project, forced):
    path = project.config("same", source=SOURCE, sink="out.jsonl")
    journal = Journal(project / ".out.jsonl.stagerunner")
    journal.begin({"format": 1}, "0", {"ledger": [[-1, 5, 0, 5, 0, 0, 0, {}]]})
    journal.close()

    with pytest.raises(UsageError, match="another version of stagerunner"):
        prepare(path, Request(resume=True, force_resume=forced)).execute()


def test_a_summary_in_json_says_what_was_not_processed(project):
    project.plugin(PICKY)
    project.config({"use": "picky", "with": {"bad": 500}}, source=SOURCE, sink="out.jsonl")
    done = project.cli("run", "chain.yaml", "-q", "--summary", "s.json")
    told = json.loads((project / "s.json").read_text())

    assert (done.returncode, told["records"]["out"], told["records"]["dead"]) == (1, 500, 0)
    assert told["records"]["not_processed"] == told["stages"][0]["not_processed"] == told["records"]["in"] - 500


def test_a_resume_does_not_pass_over_a_max_errors_that_was_reached(project):
    project.plugin(PICKY)
    stage = {"use": "picky", "on_error": "skip", "max_errors": 0, "with": {"bad": 999}}
    path = project.config(stage, source=SOURCE, sink="out.jsonl")
    for request in (Request(), Request(resume=True)):
        with pytest.raises(RunFailed, match="more failures than its max_errors"):
            prepare(path, request).execute()
    assert not (project / "out.jsonl").exists()

    path = project.config(stage | {"max_errors": 1}, source=SOURCE, sink="out.jsonl")
    assert prepare(path, Request(resume=True)).execute().records["skipped"] == 1


def test_a_resume_that_appends_may_be_killed_before_its_first_commit(project):
    project.plugin("""
        @stage
        def fussy(record):
            if record == 900 and once("failed"):
                raise ValueError("no")
            return record
    """)
    sink = {"use": "jsonl", "with": {"path": "out.jsonl", "mode": "append"}}
    project.config("fussy", source=SOURCE, sink=sink, run={"frame": 10, "checkpoint": "1ms"})
    assert project.cli("run", "chain.yaml", "-q").returncode == 1
    for point in ("resume", "deliver", "sink written"):
        killed = project.cli("run", "chain.yaml", "-q", "--resume", env=os.environ | {"STAGERUNNER_KILL_AT": point})
        assert killed.returncode == -signal.SIGKILL
    assert project.cli("run", "chain.yaml", "-q", "--resume").returncode == 0
    assert lines(project / "out.jsonl") == [str(number) for number in range(1000)]
