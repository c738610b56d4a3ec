from __future__ import annotations

import pytest

from stagerunner.config.model import Run
from stagerunner.plan import promise, why_no_resume

ONCE = "exactly once: a worker that dies loses and duplicates nothing"
RESUMES = "a run that ended early goes on with --resume, and the output is that of a run without faults"
TABLE = {"use": "table", "with": {"path": "a.csv"}}


@pytest.mark.parametrize(
    ("ends", "how", "then"),
    [
        ({}, {}, RESUMES),
        ({"sink": TABLE}, {}, RESUMES),
        ({"run": Run(journal="off")}, {}, "can't be resumed, since no journal is kept"),
        ({"sink": {"use": "homeless"}, "run": Run(journal="mine")}, {}, RESUMES),
        ({"source": "-"}, {}, "can't be resumed, since standard input can't be read again"),
        ({"source": "ticks"}, {}, "can't be resumed, since a stream can't be read again"),
        ({"source": "topic"}, {}, "if the source gives the same records behind a mark again"),
        ({"sink": "-"}, {}, "can't be resumed, since what was written to this sink can't be taken back"),
        ({}, {"records_given": True}, "can't be resumed, since the records given can't be read again"),
        ({}, {"take_results": True}, "can't be resumed, since what the caller took can't be taken back"),
    ],
)
def test_the_correctness_table(planned, ends, how, then):
    sentence = promise(planned("shout", "latest", **ends, how=how))
    assert sentence.startswith(f"{ONCE}; ")
    assert sentence.endswith(then)


def test_without_a_file_of_the_sink_there_is_no_place_for_a_journal(planned):
    plan = planned("shout", sink={"use": "homeless"})
    assert "can't be resumed, since the sink doesn't say which file it owns" in promise(plan)
    assert why_no_resume(plan, journal=True) is None


def test_state_without_a_snapshot_costs_reading_again(planned):
    plan = planned("tally")
    assert promise(plan).startswith("exactly once: when a worker dies, the source is read again from its beginning")
    assert plan.notes[1:] == ("'tally' has state without snapshot and restore: after a death everything is read again",)


def test_state_without_a_snapshot_ends_a_run_that_cannot_read_again(planned):
    plan = planned("tally", source="-")
    assert promise(plan).startswith("the first worker that dies ends the run, since 'tally'")
    assert plan.notes[1:] == ("'tally' has state without snapshot and restore: a death ends the run",)


def test_the_promise_is_a_note_of_the_plan(planned):
    plan = planned("shout")
    assert plan.notes == (promise(plan),)


def test_settings_that_one_process_can_not_enforce_are_noted(planned):
    stage = {"use": "shout", "timeout": 1.0, "max_memory": 2**30}
    assert not planned(stage).notes[1:]
    assert [note.split(", which")[0] for note in planned(stage, run=Run(engine="inline")).notes[1:]] == [
        "'shout' has a timeout",
        "'shout' has a max_memory",
    ]


def test_check_says_what_it_costs_that_an_engine_ends_a_frame_before_the_next(project):
    project.plugin("@stage\nasync def asked(record): return record\n")

    def told(**run):
        return [note for note in project.load("asked", run=run).plan.notes if note.startswith("'asked'")]

    slow = "'asked' is async: with the engine inline a slow call holds up those of the next frame"
    few = "'asked' takes 16 records at once; with the engine inline only a frame's, 4"
    assert told() == told(engine="threads") == []
    assert (told(engine="inline"), told(engine="inline", frame=4)) == ([slow], [few])
