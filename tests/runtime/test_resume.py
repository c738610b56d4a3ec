from __future__ import annotations

import json
import os
from contextlib import ExitStack

import pytest

from stagerunner.api import Request, prepare
from stagerunner.errors import ConfigError, OutputBusy, UsageError
from stagerunner.events import Notice
from stagerunner.journal import encode_snapshots
from stagerunner.runtime.making import make_part
from stagerunner.runtime.opening import Resume
from stagerunner.runtime.resume import begin, fingerprint

NUMBERS = {"use": "range", "with": {"stop": 5}}
ROW = {
    "order": ["same"],
    "position": 3,
    "accepted": 0,
    "sink": 10,
    "snapshots": encode_snapshots({}),
    "ledger": [],
    "failures": {},
    "stopped": None,
}


@pytest.fixture
def open_stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def beginning(project, open_stack):
    """`begin` for a chain, its journal closed after the test."""

    def beginning(*stages, resume=Resume(), told=None, **keys):
        plan = project.plan(*stages, **({"source": NUMBERS, "sink": "out.jsonl"} | keys))
        told = [] if told is None else told
        found = begin(plan, make_part(plan.source), (make_part(plan.sinks[0]),), resume, told.append)
        if found.journal is not None:
            open_stack.callback(found.journal.close)
        return plan, found

    return beginning


def left(beginning, state: str = "running", **row) -> None:
    """Leave a journal behind, and a file that fits it."""
    plan, found = beginning("same")
    found.journal.begin(fingerprint(plan, make_part(plan.source), "salt"), "77", ROW | row)
    found.journal.mark(state)
    found.journal.close()


def test_a_plain_run_begins_anew(beginning, project):
    _, found = beginning("same")

    assert (found.row, found.done) == (None, False)
    assert found.journal.path == project / ".out.jsonl.stagerunner"


def test_what_was_unfinished_is_said_to_be_discarded(beginning):
    left(beginning)
    told = []
    beginning("same", told=told)

    assert told == [Notice("an unfinished run into this output is discarded; --resume would have continued it")]


def test_a_resume_goes_on_with_the_row_and_the_hash_seed(beginning, project):
    left(beginning)
    project.write("out.jsonl.partial", "0\n1\n2\n3\n4\n")

    _, found = beginning("same", resume=Resume(wanted=True))

    assert (found.row["position"], found.hash_seed, found.done) == (3, "77", False)


def test_a_resume_without_a_journal_begins_anew_and_says_so(beginning):
    told = []
    _, found = beginning("same", resume=Resume(wanted=True), told=told)

    assert found.row is None
    assert "starting anew" in told[0].text


def test_a_finished_run_has_nothing_left_to_do(beginning, project):
    left(beginning, "done")
    project.write("out.jsonl", "0\n1\n2\n3\n4\n")
    told = []
    _, found = beginning("same", resume=Resume(wanted=True), told=told)

    assert found.done
    assert "nothing to do" in told[0].text


def test_a_run_that_only_lacks_its_name_is_finished(beginning, project):
    left(beginning, "finishing", finished=True, sink=None)
    project.write("out.jsonl.partial", "0\n1\n2\n3\n4\n")

    _, found = beginning("same", resume=Resume(wanted=True))

    assert found.done
    assert found.journal.read().state == "done"
    assert (project / "out.jsonl").exists()


def test_a_changed_chain_is_refused_unless_forced(beginning, project):
    left(beginning)
    project.write("out.jsonl.partial", "0\n1\n2\n3\n4\n")

    with pytest.raises(UsageError, match="on_error: was"):
        beginning({"use": "same", "on_error": "skip"}, resume=Resume(wanted=True))
    forced = beginning({"use": "same", "on_error": "skip"}, resume=Resume(wanted=True, forced=True))
    assert forced[1].row["position"] == 3


def test_a_journal_of_an_older_format_is_refused_with_what_to_do(beginning, project):
    plan, found = beginning("same")
    older = {("books" if key == "ledger" else key): value for key, value in ROW.items()}
    found.journal.begin(fingerprint(plan, make_part(plan.source), "salt") | {"format": 3}, "77", older)
    found.journal.close()
    project.write("out.jsonl.partial", "0\n1\n2\n3\n4\n")

    with pytest.raises(UsageError, match="another version of stagerunner\nresume with that version, or run without"):
        beginning("same", resume=Resume(wanted=True))


@pytest.mark.parametrize("forced", [False, True])
def test_a_chain_of_other_stages_is_refused_by_force_too(beginning, forced):
    left(beginning)

    with pytest.raises(UsageError, match="order: was"):
        beginning("same", "double", resume=Resume(wanted=True, forced=forced))


@pytest.mark.parametrize("keys", [{"source": "-"}, {"sink": "stdout"}, {"run": {"journal": "off"}}])
def test_where_nothing_can_be_resumed_it_is_refused(beginning, keys):
    with pytest.raises(UsageError, match="is not possible"):
        beginning("same", resume=Resume(wanted=True), **keys)


def test_an_output_belongs_to_one_run(beginning):
    beginning("same")

    with pytest.raises(OutputBusy):
        beginning("same")


def test_the_journal_stands_where_it_is_asked_for(beginning, project):
    _, found = beginning("same", resume=Resume(journal=str(project / "mine")))
    _, other = beginning("same", run={"journal": "theirs"})

    assert found.journal.path == project / "mine"
    assert other.journal.path == project / "theirs"


def test_a_fingerprint_is_json_and_knows_what_matters(project):
    def of(*stages, **keys):
        plan = project.plan(*stages, **({"source": NUMBERS, "sink": "out.jsonl"} | keys))
        return json.dumps(fingerprint(plan, make_part(plan.source), "salt"), sort_keys=True)

    before = of("same")
    assert before == of({"use": "same", "workers": 3, "timeout": "5s"}, run={"frame": 7, "engine": "inline"})
    assert before != of({"use": "same", "on_error": "skip"})
    assert before != of({"use": "same", "retry": 2})
    assert before != of("same", source={"use": "range", "with": {"stop": 6}})
    assert before != of("double")
    assert before != of({"use": "same", "env": {"A": "1"}})
    assert before != of("same", run={"max_record": "1MiB"})
    assert before != of("same", run={"max_growth": "1MiB"})
    assert before != of("same", dead_letter="failed.jsonl")

    os.utime(project.plugin("# another text\n"))
    assert before != of("same")


@pytest.mark.parametrize("place", [{"with": {"salt": "${secret:A}"}}, {"env": {"B": "b ${secret:A}"}}])
def test_another_secret_is_noticed_and_shown_to_nobody(beginning, project, monkeypatch, place):
    project.plugin("@stage\ndef salted(record, *, salt: str = ''):\n    return record\n")
    monkeypatch.setenv("A", "first-secret")
    plan, found = beginning({"use": "salted"} | place)
    kept = fingerprint(plan, make_part(plan.source), "salt")
    assert "first-secret" not in json.dumps(kept)
    assert kept != fingerprint(plan, make_part(plan.source), "other salt") | {"salt": "salt"}
    found.journal.begin(kept, "77", ROW | {"order": ["salted"]})
    found.journal.close()

    monkeypatch.setenv("A", "second-secret")
    with pytest.raises(UsageError, match=r"salted\..*: holds something else now") as caught:
        beginning({"use": "salted"} | place, resume=Resume(wanted=True))
    assert "-secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["source", "dead_letter"])
def test_a_path_that_holds_another_secret_is_noticed_and_shown_to_nobody(beginning, project, monkeypatch, key):
    for name in ("first-secret", "second-secret"):
        (project / name).mkdir()
        (project / name / "f.jsonl").write_text("")
    path = {key: "${secret:A}/f.jsonl"}
    monkeypatch.setenv("A", "first-secret")
    plan, found = beginning("same", **path)
    kept = fingerprint(plan, make_part(plan.source), "salt")
    assert "first-secret" not in json.dumps(kept)
    found.journal.begin(kept, "77", ROW | {"order": ["same"]})
    found.journal.close()

    monkeypatch.setenv("A", "second-secret")
    with pytest.raises(UsageError, match=rf"{key}.*: holds something else now") as caught:
        beginning("same", **path, resume=Resume(wanted=True))
    assert "-secret" not in str(caught.value)


def test_another_variable_is_shown_beside_the_old_one(beginning, project):
    project.plugin("@stage\ndef salted(record, *, salt: str = ''):\n    return record\n")
    stage = {"use": "salted", "with": {"salt": "${vars.x}"}}
    plan, found = beginning(stage, vars={"x": "old"})
    found.journal.begin(fingerprint(plan, make_part(plan.source), "salt"), "77", ROW | {"order": ["salted"]})
    found.journal.close()
    with pytest.raises(UsageError, match='salt: was "old", is "new"'):
        beginning(stage, vars={"x": "new"}, resume=Resume(wanted=True))


def test_a_database_to_which_another_run_has_written_is_not_gone_on_with(project):
    project.plugin("@stage\ndef row(n):\n    if n == 3: raise ValueError('three')\n    return {'n': n}\n")
    project.config("row", source=NUMBERS, sink={"use": "sqlite", "with": {"path": "o.db", "table": "t"}})
    assert project.cli("run", "chain.yaml", "-q").returncode == 1
    assert project.cli("run", "chain.yaml", "-q", "--journal", "other").returncode == 1
    done = project.cli("run", "chain.yaml", "-q", "--resume")
    assert done.returncode == 2
    assert b"another run has written to table t" in done.stderr


def test_a_finished_run_that_overwrites_nothing_can_be_asked_to_go_on(project):
    sink = {"use": "jsonl", "with": {"path": "out.jsonl", "mode": "new"}}
    path = project.config("same", source=NUMBERS, sink=sink)
    prepare(path).execute()

    told = []
    summary = prepare(path, Request(resume=True)).execute(told.append)

    assert (summary.exit_code, summary.records["out"]) == (0, 5)
    assert Notice("the run is already finished; nothing to do") in told
    with pytest.raises(ConfigError, match="overwrites nothing"):
        prepare(path)


def test_with_nothing_to_resume_from_a_run_that_overwrites_nothing_does_not_begin(project):
    sink = {"use": "jsonl", "with": {"path": "out.jsonl", "mode": "new"}}
    path = project.config("same", source=NUMBERS, sink=sink)
    project.write("out.jsonl", "somebody's")

    with pytest.raises(UsageError, match=r"nothing to resume from, and .* overwrites nothing"):
        prepare(path, Request(resume=True)).execute()
    assert (project / "out.jsonl").read_text() == "somebody's"


HOMELESS = """
from stagerunner import sink
@sink
class Kept:
    keeps = "truncate"
    def encode(self, records): return "".join(f"{r}\\n" for r in records).encode()
    def open(self, position):
        self.file = open("kept.txt", "ab")
        self.file.truncate(position or 0)
    def write(self, data): self.file.write(data)
    def position(self): return self.file.tell()
    def commit(self, row): self.file.flush()
    def finish(self): self.file.close()
    def abort(self): self.file.close()
@stage
def stuck(n):
    if n == 3 and once("stuck"): raise ValueError("three")
    return n
"""


def test_a_sink_that_names_no_file_is_resumed_by_a_journal_that_is_named(project):
    project.plugin(HOMELESS)
    project.config("stuck", source=NUMBERS, sink="kept", run={"frame": 1})
    assert b"can't be resumed" in project.cli("check", "chain.yaml").stderr
    refused = project.cli("run", "chain.yaml", "-q", "--resume")
    assert (refused.returncode, b"doesn't say which file it owns" in refused.stderr) == (2, True)
    assert project.cli("run", "chain.yaml", "-q", "--journal", "j").returncode == 1
    assert project.cli("run", "chain.yaml", "-q", "--journal", "j", "--resume").returncode == 0
    assert (project / "kept.txt").read_text() == "0\n1\n2\n3\n4\n"
