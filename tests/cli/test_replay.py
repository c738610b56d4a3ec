"""`stagerunner replay`: what a person does with dead letters."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from support.project import Project, command
from support.waiting import wait_until

from stagerunner.journal import Journal

PARTS = """
FIXED = (Path(__file__).parent / "fixed").exists()

@stage
def one(record: dict) -> dict:
    time.sleep(float(os.environ.get("SLOW", 0)))
    if record["n"] % 5 == 0 and not (FIXED and record["n"] != 50):
        raise ValueError(f"one {record['n']}")
    return {**record, "one": 1}

@stage
def two(record: dict) -> dict:
    if record["n"] % 7 == 0 and not FIXED:
        raise ValueError(f"two {record['n']}")
    return {**record, "two": 2}
"""
STAGES = [{"use": "one", "on_error": "dead_letter"}, {"use": "two", "on_error": "dead_letter"}]
FAILED = [n for n in range(1, 101) if n % 5 == 0 or n % 7 == 0]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The folder of a run with dead letters of two stages."""
    project = Project(tmp_path_factory.mktemp("ended"))
    project.plugin(PARTS)
    project.write("in.jsonl", "".join(f'{{"n": {n}}}\n' for n in range(1, 101)))
    project.config(*STAGES, source="in.jsonl", sink="out.jsonl", dead_letter="failed.jsonl")
    assert project.cli("run", "chain.yaml", "-q").returncode == 3
    return project.folder


@pytest.fixture
def project(ended, tmp_path):
    """That run, and a stage that has been mended since, but for one record."""
    project = Project(tmp_path)
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    project.write("fixed", "")
    return project


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


def letters(project) -> list[dict]:
    return [json.loads(line) for line in (project / "failed.jsonl").read_text().splitlines()]


def replayed(project, *arguments: str, **more) -> subprocess.CompletedProcess[bytes]:
    return project.cli("replay", "failed.jsonl", "-c", "chain.yaml", "-q", *arguments, **more)


def test_each_record_enters_where_it_failed_and_order_is_kept(project):
    ran = replayed(project, "-o", "again.jsonl")

    assert (ran.returncode, ran.stderr) == (3, b"1 dead letter in failed.jsonl\n")
    assert numbers(project / "again.jsonl") == [n for n in FAILED if n != 50]
    lines = (project / "again.jsonl").read_text().splitlines()
    assert all(set(json.loads(line)) == {"n", "one", "two"} for line in lines)


def test_what_fails_again_is_a_letter_again_with_its_attempts_counted_up(project):
    before = next(letter for letter in letters(project) if letter["record"]["n"] == 50)
    replayed(project, "-o", "again.jsonl")

    here = [frame | {"file": str(project / "parts.py")} for frame in before["frames"]]
    now = {"output": "again.jsonl (replay)", "number": 1, "attempts": 2, "frames": here}
    assert letters(project) == [before | now]


def test_a_second_replay_has_only_what_failed_again(project):
    replayed(project, "--append")
    project.plugin(PARTS.replace("!= 50", "!= 51"))

    assert replayed(project, "--append").returncode == 0
    assert sorted(numbers(project / "out.jsonl")) == list(range(1, 101))
    assert not (project / "failed.jsonl.replaying").exists()
    assert (project / "failed.jsonl").read_bytes() == b""
    assert replayed(project, "--append").returncode == 0


@pytest.mark.parametrize("lines", [1, 12, 25])
def test_a_replay_that_was_killed_goes_on_and_gives_each_once(project, lines):
    whole = len((project / "out.jsonl").read_bytes())
    arguments = ("replay", "failed.jsonl", "-c", "chain.yaml", "-q", "--append", "--set", "run.checkpoint=10ms")
    run = subprocess.Popen(command(*arguments), cwd=project.folder, env=os.environ | {"SLOW": "0.02"})
    wait_until(lambda: (project / "out.jsonl").read_bytes()[whole:].count(b"\n") >= lines, 20)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()

    assert b"--resume" in replayed(project, "--append").stderr
    assert project.cli(*arguments, "--resume").returncode == 3
    assert sorted(numbers(project / "out.jsonl")) == [n for n in range(1, 101) if n != 50]
    assert [letter["record"]["n"] for letter in letters(project)] == [50]
    assert not (project / "failed.jsonl.replaying").exists()


def test_a_replay_that_was_interrupted_says_where_its_letters_are(project):
    slow = os.environ | {"SLOW": "0.05"}
    arguments = ("replay", "failed.jsonl", "-c", "chain.yaml", "-o", "again.jsonl")
    run = subprocess.Popen(command(*arguments), cwd=project.folder, env=slow, stderr=subprocess.PIPE)
    wait_until((project / "again.jsonl.partial").exists)
    os.kill(run.pid, signal.SIGINT)
    _, told = run.communicate(timeout=20)

    assert run.returncode == 130
    assert b"failed.jsonl.replaying until" in told
    assert project.cli(*arguments, "-q", "--resume").returncode == 3
    assert numbers(project / "again.jsonl") == [n for n in FAILED if n != 50]


def test_a_finished_replay_resumed_does_nothing(project):
    replayed(project, "-o", "again.jsonl")
    before = {path.name: path.read_bytes() for path in project.folder.glob("*.jsonl")}

    assert replayed(project, "-o", "again.jsonl", "--resume").returncode == 0
    assert {path.name: path.read_bytes() for path in project.folder.glob("*.jsonl")} == before


def test_what_can_not_be_resumed_is_refused_before_anything_is_touched(project):
    ran = replayed(project, "-o", "-", "--resume")

    assert (ran.returncode, b"is not possible" in ran.stderr) == (2, True)
    assert (project / "failed.jsonl").exists()


def test_letters_of_the_source_and_altered_ones_stay_as_they_are(project):
    odd = [
        {"stage": "source", "type": "JSONDecodeError", "message": "no", "attempts": 1, "record": "bad{"},
        {
            "stage": "one",
            "type": "X",
            "message": "",
            "attempts": 1,
            "record": [1],
            "altered": "record is of type tuple",
        },
        {"stage": "one", "type": "X", "message": "", "attempts": 1, "text": "<a lock>"},
        {"stage": "ones", "type": "X", "message": "", "attempts": 1, "record": {"n": 1}},
    ]
    lines = [{"version": 1, "output": "out.jsonl", "number": n, **letter} for n, letter in enumerate(odd, 1)]
    project.write("failed.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    ran = project.cli("replay", "failed.jsonl", "-c", "chain.yaml", "-o", "again.jsonl", "--log-format", "json")

    assert ran.returncode == 3
    assert letters(project) == [line | {"output": "again.jsonl (replay)"} for line in lines]
    why = [
        event["message"] for line in ran.stderr.splitlines() if (event := json.loads(line))["event"] == "record-failed"
    ]
    assert ["--from STAGE" in why[0], "tuple" in why[1], "holds no record" in why[2], "'one'" in why[3]] == [True] * 4


def test_all_may_be_let_in_at_a_stage(project):
    project.write("failed.jsonl", '{"version":1,"stage":"gone","type":"X","attempts":1,"record":{"n":1}}\n')

    assert replayed(project, "-o", "-", "--from", "two").stdout == b'{"n":1,"two":2}\n'


def test_letters_of_the_sink_go_to_the_sink(project):
    project.write("failed.jsonl", '{"version":1,"stage":"sink","type":"X","attempts":1,"record":{"n":5}}\n')

    assert replayed(project, "-o", "-").stdout == b'{"n":5}\n'


def test_a_replay_that_ends_early_keeps_the_letters(project):
    project.config("one", "two", source="in.jsonl", sink="out.jsonl", dead_letter="failed.jsonl")
    before = (project / "failed.jsonl").read_bytes()
    ran = project.cli("replay", "failed.jsonl", "-c", "chain.yaml", "-o", "again.jsonl")

    assert ran.returncode == 1
    assert b"failed.jsonl.replaying until" in ran.stderr
    assert (project / "failed.jsonl.replaying").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], b"say where the results go"),
        (["-o", "out.jsonl"], b"already exists"),
        (["-o", "failed.jsonl"], b"would overwrite the output"),
        (["-o", "new.jsonl", "--from", "tow"], b"did you mean 'two'?"),
        (["-o", "null", "--append"], b"no `mode` to append with"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_touched(project, arguments, told):
    before = {path.name: path.read_bytes() for path in project.folder.glob("*.jsonl")}
    ran = replayed(project, *arguments)

    assert ran.returncode == 2
    assert told in ran.stderr
    assert {path.name: path.read_bytes() for path in project.folder.glob("*.jsonl")} == before


def _foreign_journal(project):
    project.write(".again.jsonl.replay.stagerunner", "no journal")


@pytest.mark.parametrize(
    ("arguments", "prepare", "code"),
    [
        (["--progress", "nonsense"], None, 2),
        ([], _foreign_journal, 2),
        (["--engine", "inline", "--resume"], _foreign_journal, 2),
    ],
)
def test_a_replay_that_is_refused_leaves_the_letters_where_they_were(project, arguments, prepare, code):
    if prepare is not None:
        prepare(project)
    before = (project / "failed.jsonl").read_bytes()

    ran = project.cli("replay", "failed.jsonl", "-c", "chain.yaml", "-o", "again.jsonl", *arguments)

    assert (ran.returncode, bool(ran.stderr)) == (code, True)
    assert (project / "failed.jsonl").read_bytes() == before
    assert not (project / "failed.jsonl.replaying").exists()
    assert b"failed.jsonl.replaying" not in ran.stderr


def test_a_replay_into_the_output_of_another_run_leaves_the_letters_in_place(project):
    before = (project / "failed.jsonl").read_bytes()
    journal = Journal(project / ".again.jsonl.replay.stagerunner")
    try:
        ran = replayed(project, "-o", "again.jsonl")
    finally:
        journal.close()

    assert (ran.returncode, b"another run owns this output" in ran.stderr) == (73, True)
    assert (project / "failed.jsonl").read_bytes() == before
    assert replayed(project, "-o", "again.jsonl", "--resume").returncode == 3
    assert numbers(project / "again.jsonl") == [n for n in FAILED if n != 50]


@pytest.mark.parametrize(("file", "told"), [("none.jsonl", b"there is no file"), ("in.jsonl", b"something other than")])
def test_a_file_without_letters_is_refused(project, file, told):
    ran = project.cli("replay", file, "-c", "chain.yaml", "-o", "again.jsonl")

    assert (ran.returncode, told in ran.stderr) == (2, True)


def test_letters_of_a_run_that_may_be_resumed_are_not_replayed(project):
    project.config("one", "two", source="in.jsonl", sink="out.jsonl", dead_letter="failed.jsonl")
    (project / "fixed").unlink()
    project.config(STAGES[0], "two", source="in.jsonl", sink="other.jsonl", dead_letter="failed.jsonl")
    assert project.cli("run", "chain.yaml", "-q").returncode == 1

    ran = replayed(project, "-o", "again.jsonl")
    assert ran.returncode == 2
    assert b"has not come to its end" in ran.stderr


def test_the_debugger_stands_at_the_users_line(project):
    ran = replayed(project, "-o", "again.jsonl", "--pdb", input=b"p record\nq\n")

    assert ran.returncode == 3
    assert b"ValueError: one 50" in ran.stderr
    assert b"parts.py" in ran.stderr
    assert b"{'n': 50}" in ran.stderr
