from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from stagerunner.errors import OutputBusy, RunFailed, Stopped, UsageError
from stagerunner.journal import (
    Entry,
    Journal,
    decode_snapshots,
    differences,
    encode_snapshots,
    validate_snapshots,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / ".out.stagerunner"


def test_a_fresh_journal_has_nothing_to_tell(path):
    with closing(Journal(path)) as journal:
        assert journal.read() is None


def test_what_was_written_is_read_again_after_reopening(path):
    with closing(Journal(path)) as journal:
        journal.begin({"source": {"path": "a"}}, "42", {"position": None})
        journal.write({"position": [0, 17]})

    with closing(Journal(path)) as journal:
        assert journal.read() == Entry("running", {"source": {"path": "a"}}, "42", {"position": [0, 17]})


@pytest.mark.parametrize("state", ["finishing", "done"])
def test_a_mark_stays(path, state):
    with closing(Journal(path)) as journal:
        journal.begin({}, "1", {})
        journal.mark(state)

    with closing(Journal(path, power=True)) as journal:
        assert journal.read().state == state


def test_beginning_anew_forgets_what_was_there(path):
    with closing(Journal(path)) as journal:
        journal.begin({"old": 1}, "1", {"position": 5})
        journal.mark("done")
        journal.begin({"new": 1}, "2", {})

        assert journal.read() == Entry("running", {"new": 1}, "2", {})


def test_a_journal_belongs_to_one_run_at_a_time(path):
    with closing(Journal(path)), pytest.raises(OutputBusy, match="another run owns this output"):
        Journal(path)

    Journal(path).close()


def test_a_file_that_is_no_journal_is_left_alone(path):
    path.parent.mkdir()
    path.write_text("my diary, which is longer than the head of a database would be" * 20)

    with pytest.raises(UsageError, match="isn't a journal of stagerunner"):
        Journal(path)

    assert path.read_text().startswith("my diary")


def test_a_folder_can_not_be_a_journal_and_that_will_not_pass(tmp_path):
    (tmp_path / "there").mkdir()

    with pytest.raises(UsageError, match="can't be opened"):
        Journal(tmp_path / "there")


def test_a_write_that_fails_stops_the_run(path):
    with closing(Journal(path)) as journal:
        journal.begin({}, "1", {})
        journal._db.execute("DROP TABLE run")

        with pytest.raises(Stopped, match="can't be written"):
            journal.write({})


def test_reading_a_journal_runs_no_code(path):
    with closing(Journal(path)) as journal:
        journal.begin({}, "1", {"snapshots": encode_snapshots({0: {"seen": [1, 2]}})})

    with closing(sqlite3.connect(path)) as base:
        (row,) = base.execute("SELECT row FROM run").fetchone()
    assert "pickle" not in row
    assert row.isprintable()


def test_snapshots_are_plain_data():
    snapshots = {0: [1, 2.5, "three", None, True], 2: {"deep": {"bytes": b"\x00\xff"}}}

    assert decode_snapshots(encode_snapshots(snapshots)) == snapshots
    with pytest.raises(TypeError):
        encode_snapshots({0: object()})


def test_valid_snapshots_are_what_a_journal_gives_back():
    assert validate_snapshots({0: (1, "two")}, ["sum"]) == {0: [1, "two"]}


def test_a_snapshot_that_is_not_plain_data_names_its_stage():
    with pytest.raises(RunFailed, match="the snapshot of odd is not plain data"):
        validate_snapshots({0: 1, 1: object()}, ["sum", "odd"])


@pytest.mark.parametrize("odd", [set(), [1, {"seen": {3}}], {"when": frozenset()}])
def test_a_snapshot_that_would_come_back_as_something_else_is_refused(odd):
    with pytest.raises(RunFailed, match=r"the snapshot of odd contains a (frozen)?set; only JSON-like values"):
        validate_snapshots({0: (1, float("nan")), 1: odd}, ["sum", "odd"])


def test_differences_tell_old_and_new_side_by_side():
    old = {"stages": {"parse": {"with": {"preset": "a"}}}, "limit": None, "gone": 1}
    new = {"stages": {"parse": {"with": {"preset": "b"}}}, "limit": None, "here": 2}

    assert differences(old, new) == [
        'stages.parse.with.preset: was "a", is "b"',
        "gone: was 1, is not set",
        "here: was not set, is 2",
    ]
    assert differences(old, old) == []
