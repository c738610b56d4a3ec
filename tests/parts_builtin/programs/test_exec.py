"""The stage `exec` in chains: mistakes in the plan, deaths, and nothing left behind."""

from __future__ import annotations

import os
import signal

import pytest
from support.leaks import needs_proc
from support.processes import alive
from support.waiting import wait_until

from stagerunner.errors import ConfigError, RunFailed
from stagerunner.events import RecordFailed


def stage(command, per="record", settings=None, **options):
    return {"use": "exec", "with": {"command": command, "per": per, **options}, **(settings or {})}


@pytest.mark.parametrize(
    ("options", "settings", "why"),
    [
        ({"command": "no-such-program -x"}, {}, "there is no program 'no-such-program' in "),
        ({"command": "tool"}, {"env": {"PATH": "/nowhere"}}, "there is no program 'tool' in /nowhere"),
        ({"command": "cat", "format": "bytes", "per": "run"}, {}, "is for `per: record`"),
        ({"command": "cat", "answers": "until-blank-line"}, {}, "is for `per: run`"),
    ],
)
def test_mistakes_are_found_before_anything_starts(project, options, settings, why):
    with pytest.raises(ConfigError) as wrong:
        project.load({"use": "exec", "with": options, **settings})
    (mistake,) = wrong.value.mistakes
    assert why in mistake.message
    assert mistake.path == "stages[0].with"


@pytest.mark.parametrize("per", ["record", "run"])
@pytest.mark.parametrize("engine", ["inline", "process"])
def test_records_come_back_in_order(project, per, engine):
    records = [{"n": number, "text": "ä\n"} for number in range(40)]
    chain = project.load(stage("cat", per, format="jsonl", settings={"workers": 3}), engine=engine)
    assert list(chain.run(records)) == records


def test_the_environment_and_the_folder_are_the_workers(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    (project / "tool").write_text('#!/bin/sh\necho "$PWD $WHO"\n')
    (project / "tool").chmod(0o755)
    chain = project.load(stage("./tool", settings={"env": {"WHO": "worker ${worker}"}}))
    assert list(chain.run([""])) == [f"{project.folder} worker 0"]


def test_failures_are_failures_of_their_records(project):
    script = "read -r x; [ $x = 3 ] && { echo not three >&2; exit 9; }; [ $x = 5 ] && printf '\\377'; echo $x"
    results = project.results(
        stage(script, shell=True, settings={"on_error": "skip"}), records=[str(number) for number in range(8)]
    )
    assert list(results) == ["0", "1", "2", "4", "6", "7"]
    assert [(told.record, told.type) for told in project.told(RecordFailed)] == [
        ("'3'", "ProgramFailed"),
        ("'5'", "BadAnswer"),
    ]


def test_a_program_that_never_answers_is_over_its_timeout(project):
    script = "while read -r x; do [ $x = 3 ] && sleep 600; echo $x; done"
    one = stage(script, "run", shell=True, settings={"timeout": "300ms", "on_error": "skip"})
    assert list(project.results(one, records=list("12345"))) == list("1245")
    (told,) = project.told(RecordFailed)
    assert told.type == "Timeout"


def test_an_answer_larger_than_a_record_may_become_is_a_failure(project):
    chain = project.load(stage("head -c 300000 /dev/zero", format="bytes"), run={"max_growth": "100KiB"})
    with pytest.raises(RunFailed, match="max_growth"):
        list(chain.run(["a"]))


def test_a_bad_end_of_the_program_fails_the_run(project):
    (project / "in.txt").write_text("a\nb\n")
    project.config(stage("cat; exit 5", "run", shell=True), source="in.txt", sink="out.txt")
    ended = project.cli("run", "chain.yaml")
    assert ended.returncode == 1
    assert b"exit status 5" in ended.stderr


@needs_proc
@pytest.mark.parametrize("victim", ["parent", "fork server", "worker"])
def test_no_program_outlives_its_worker(project, victim):
    """It ignores the end of its input, and the shell has a child of its own."""
    (project / "in.txt").write_text("a\n" * 3)
    script = "echo $$$$ >$$$$.pid; sleep 600 & echo $! >$!.pid; echo $PPID >worker; while :; do sleep 600; done"
    project.config(stage(script, "run", shell=True, settings={"retry": 1}), source="in.txt", sink="out.txt")
    running = project.start("run", "chain.yaml")
    try:
        wait_until(lambda: len(list(project.folder.glob("*.pid"))) == 2 and (project / "worker").exists())
        pids = [int(path.stem) for path in project.folder.glob("*.pid")]
        worker = int((project / "worker").read_text())
        whom = {"parent": running.pid, "worker": worker, "fork server": parent_of(worker)}[victim]

        os.kill(whom, signal.SIGKILL)

        wait_until(lambda: not any(map(alive, [*pids, worker])))
    finally:
        running.kill()
        running.communicate()


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])
