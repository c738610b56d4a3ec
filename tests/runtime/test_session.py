from __future__ import annotations

import json

import pytest

from stagerunner.api import Request, prepare
from stagerunner.errors import RunFailed, SetupFailed, StageFailed
from stagerunner.events import Checkpoint, Progress, RunStarted
from stagerunner.runtime.session import Session

SOURCE = {"use": "range", "with": {"stop": 100}}
LEDGER = dict.fromkeys(("in", "created", "out", "filtered", "skipped", "dead", "not_processed"), 0)


def finished(session: Session) -> None:
    while not session.over:
        session.step(0.1)
    session.finish()


def test_a_session_from_start_to_summary(project):
    plan = project.plan("double", source=SOURCE, sink="out.jsonl")

    with Session(plan, project.events.append) as session:
        finished(session)
        summary = session.closing_summary(allow_dead_letters=False)

    assert (summary.exit_code, summary.records["out"]) == (0, 100)
    assert 0 < summary.starting < summary.seconds
    assert project.told(RunStarted) == [RunStarted("chain", ("double",), "process")]
    assert project.told(Checkpoint)[-1].records == 100
    assert [json.loads(line) for line in (project / "out.jsonl").read_text().splitlines()] == list(range(0, 200, 2))


def test_a_session_left_early_keeps_what_resume_needs(project):
    plan = project.plan("same", source=SOURCE, sink="out.jsonl")

    with Session(plan, project.events.append):
        pass

    assert not (project / "out.jsonl").exists()
    assert (project / "out.jsonl.partial").exists()
    assert (project / ".out.jsonl.stagerunner").exists()


def test_a_resumed_run_says_what_was_taken_before(project):
    project.plugin("""
        @stage
        def fussy(record):
            if record == 50 and once("failed"):
                raise ValueError("no")
            return record
    """)
    path = project.config("fussy", source=SOURCE, sink="out.jsonl", run={"frame": 10})

    with pytest.raises(StageFailed) as failed:
        prepare(path).execute()
    summary = prepare(path, Request(resume=True)).execute()

    assert failed.value.summary.records == LEDGER | {"in": 51, "out": 50, "not_processed": 1}
    assert (summary.earlier, summary.records, summary.exit_code) == (50, LEDGER | {"in": 100, "out": 100}, 0)


def test_dead_letters_make_it_exit_3_unless_they_are_allowed(project):
    project.plugin("""
        @stage
        def fussy(record):
            if record == 3:
                raise ValueError("no")
            return record
    """)
    stage = {"use": "fussy", "on_error": "dead_letter"}
    path = project.config(stage, source=SOURCE, sink="out.jsonl", dead_letter="failed.jsonl")

    assert prepare(path).execute().exit_code == 3
    assert prepare(path, Request(allow_dead_letters=True)).execute().exit_code == 0


def test_a_failed_setup_starts_nothing_else(project):
    project.plugin("""
        @stage
        class Bad:
            def setup(self):
                raise ValueError("no such table")
            def process(self, record):
                return record
    """)
    path = project.config("bad", source=SOURCE, sink="out.jsonl")

    with pytest.raises(SetupFailed, match="no such table") as caught:
        prepare(path).execute()

    assert caught.value.summary.exit_code == 1


def test_a_source_that_breaks_ends_the_run_after_what_it_gave(project):
    project.plugin("""
        from stagerunner import Split
        @source
        class Broken:
            def splits(self, after):
                yield Split([1, 2], 16, 1)
                raise ValueError("the disk is gone")
            def read(self, split):
                return iter(split.data)
            def identity(self):
                return 1
    """)
    path = project.config("same", source="broken", sink="out.jsonl")

    with pytest.raises(RunFailed, match="the source failed: ValueError: the disk is gone") as caught:
        prepare(path).execute()

    assert caught.value.summary.records["out"] == 2


def test_progress_is_told_while_it_runs(project):
    path = project.config("same", source={"use": "range", "with": {"stop": 100_000}}, sink="null")
    prepare(path).execute(project.events.append, progress_every=0.0)
    told = project.told(Progress)

    assert told[-1].taken == told[-1].out == 100_000
    assert told[-1].bytes_total == told[-1].bytes_done == 800_000
    assert [progress.taken for progress in told] == sorted(progress.taken for progress in told)


@pytest.mark.parametrize("state", [False, True])
def test_progress_of_a_resumed_run_goes_on_where_it_was(project, state):
    project.plugin("""
        @stage
        class Fussy:
            def process(self, record):
                if record == 60_000 and once("stopped"):
                    raise ValueError("no")
                return record

        @stage
        class Kept(Fussy):
            def snapshot(self):
                return None
            def restore(self, data):
                pass
    """)
    source = {"use": "range", "with": {"stop": 100_000}}
    path = project.config("kept" if state else "fussy", source=source, sink="out.jsonl", run={"checkpoint": "1ms"})
    with pytest.raises(StageFailed):
        prepare(path).execute(progress_every=0.0)

    summary = prepare(path, Request(resume=True)).execute(project.events.append, progress_every=0.0)
    first, *_, last = project.told(Progress)

    assert summary.earlier == first.earlier > 0
    assert first.bytes_earlier == 8 * first.earlier
    assert first.start.share == first.earlier / 100_000
    assert (last.bytes_done, last.taken, last.share) == (last.bytes_total, 100_000, 1.0)


def test_progress_knows_the_limit(project):
    path = project.config("same", source={"use": "range", "with": {"stop": 100_000}}, sink="null")
    prepare(path, Request(limit=500)).execute(project.events.append, progress_every=0.0)

    assert (project.told(Progress)[-1].limit, project.told(Progress)[-1].share) == (500, 1.0)
