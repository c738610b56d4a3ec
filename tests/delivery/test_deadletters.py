from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stagerunner.config.masking import Mask
from stagerunner.delivery.deadletters import DeadLetters, label_of, letter
from stagerunner.errors import OutputBusy, Stopped, UsageError
from stagerunner.evaluate.dead_letters.letters import as_line
from stagerunner.records import Cause, CodeFrame, Failure, Origin

FAILURE = Failure(1, 5, 0, "ValueError", "no", "dead_letter", (CodeFrame("a.py", 3, "f"),), 2, record={"a": 1})


def written(failure: Failure) -> dict:
    return json.loads(as_line("out.jsonl", 7, letter(failure, "parse", Origin("a.jsonl", 1042))))


def test_a_letter_says_what_why_and_where_from():
    assert written(FAILURE) == {
        "version": 1,
        "output": "out.jsonl",
        "number": 7,
        "stage": "parse",
        "type": "ValueError",
        "message": "no",
        "origin": {"name": "a.jsonl", "offset": 1042},
        "attempts": 2,
        "frames": [{"file": "a.py", "line": 3, "function": "f"}],
        "record": {"a": 1},
    }


def test_a_letter_tells_what_its_error_comes_from():
    cause = Cause("cause", "KeyError", "'x'", (CodeFrame("b.py", 4, "g"),))

    assert written(FAILURE._replace(causes=(cause,)))["causes"] == [
        {"how": "cause", "type": "KeyError", "message": "'x'", "frames": [{"file": "b.py", "line": 4, "function": "g"}]}
    ]


def test_what_was_said_is_told_without_secrets():
    told = letter(FAILURE._replace(message="bad salt hunter2"), "parse", Origin("a"), Mask(["hunter2"]))

    assert told["message"] == "bad salt ***"


def test_a_record_that_could_not_travel_is_told_as_text():
    told = written(Failure(1, 5, 0, "TypeError", "no", "dead_letter", text="<a lock>"))

    assert told["text"] == "<a lock>"
    assert "record" not in told


# The file


class Folder:
    """A file of dead letters, and the runs that write to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: list[DeadLetters] = []

    def run(self, output: str, position: int | None = None, **options) -> DeadLetters:
        letters = DeadLetters(self.path, output=output)
        self.runs.append(letters)
        letters.claim(position, **options)
        letters.open(position)
        return letters

    def wrote(self, output: str, *records) -> None:
        """A run that is over."""
        letters = self.run(output)
        for record in records:
            letters.write({"stage": "s", "record": record})
        letters.push()
        letters.close()

    def lines(self) -> list[tuple]:
        found = map(json.loads, self.path.read_text().splitlines())
        return [(line["output"], line["number"], line["record"]) for line in found]


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "folder" / "failed.jsonl")
    yield folder
    for run in folder.runs:
        run.close()


def test_letters_are_numbered_as_they_come(folder):
    folder.wrote("a", "x", "y")

    assert folder.lines() == [("a", 1, "x"), ("a", 2, "y")]


def test_a_new_run_of_an_output_takes_out_the_letters_of_its_last_one(folder):
    folder.wrote("a", "x", "y")
    folder.wrote("a", "z")

    assert folder.lines() == [("a", 1, "z")]


def test_letters_of_other_outputs_stay_whoever_starts(folder):
    folder.wrote("a", 1, 2)
    folder.wrote("b", 3)
    folder.path.chmod(0o640)
    folder.wrote("a", 4)

    assert folder.lines() == [("b", 1, 3), ("a", 1, 4)]
    assert folder.path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(folder.path.parent) == ["failed.jsonl"]


def test_two_runs_may_write_at_once(folder):
    one, other = folder.run("a"), folder.run("b")
    for number in range(3):
        for run in (one, other):
            run.write({"stage": "s", "record": number})
            run.push()

    assert folder.lines() == [(run, number + 1, number) for number in range(3) for run in "ab"]


def test_a_run_whose_old_letters_lie_where_another_writes_is_refused_and_nothing_is_touched(folder):
    folder.wrote("b", 1)
    folder.run("a")
    before = folder.path.read_bytes()

    with pytest.raises(OutputBusy, match="another run is writing its dead letters"):
        folder.run("b")
    assert folder.path.read_bytes() == before


def test_a_resumed_run_takes_out_what_no_checkpoint_knows(folder):
    folder.wrote("a", "x", "y", "z")
    folder.wrote("b", 1)
    run = folder.run("a", 2)
    run.write({"stage": "s", "record": "w"})
    run.push()

    assert folder.lines() == [("a", 1, "x"), ("a", 2, "y"), ("b", 1, 1), ("a", 3, "w")]


def test_a_line_that_was_being_written_at_a_death_is_taken_out(folder):
    folder.wrote("a", "x")
    with folder.path.open("ab") as file:
        file.write(as_line("b", 1, {"stage": "s", "record": 2})[:-9])
    folder.wrote("a", "y")

    assert folder.lines() == [("a", 1, "y")]


def test_beside_another_run_such_a_line_spoils_no_other(folder):
    folder.run("a")
    with folder.path.open("ab") as file:
        file.write(b'{"version":1,"out')
    folder.wrote("b", 1)

    assert folder.path.read_bytes().splitlines()[0] == b'{"version":1,"out'
    assert json.loads(folder.path.read_bytes().splitlines()[1])["record"] == 1


def test_letters_that_somebody_took_away_are_noticed(folder):
    folder.wrote("a", "x", "y")
    lines = folder.path.read_bytes().splitlines(keepends=True)
    folder.path.write_bytes(lines[1])

    with pytest.raises(UsageError, match="has 1 of the 2 dead letters"):
        folder.run("a", 2)
    folder.run("a", 2, forced=True)


def test_letters_written_anew_by_another_program_are_known(folder):
    folder.wrote("a", "x", "y")
    letters = [json.loads(line) for line in folder.path.read_text().splitlines()]
    folder.path.write_text("\n".join(json.dumps(letter, indent=None) for letter in letters))
    folder.wrote("b", "z")

    folder.wrote("a", "w")
    assert folder.lines() == [("b", 1, "z"), ("a", 1, "w")]


@pytest.mark.parametrize("content", ["precious\n", '{"a": 1}\n', "[1]", '{"version":2,"stage":"s"}\n'])
def test_a_file_of_something_else_is_left_alone(folder, content):
    folder.path.parent.mkdir()
    folder.path.write_text(content)

    with pytest.raises(UsageError, match="something other than dead letters"):
        folder.run("a")
    assert folder.path.read_text() == content


def test_a_symlink_stays_and_its_target_is_written(folder, tmp_path):
    folder.path.parent.mkdir()
    folder.path.symlink_to(tmp_path / "real.jsonl")
    folder.wrote("a", 1)
    folder.wrote("b", 2)
    folder.wrote("a", 3)

    assert folder.path.is_symlink()
    assert folder.lines() == [("b", 1, 2), ("a", 1, 3)]


def test_a_named_pipe_is_no_place_for_letters(folder):
    folder.path.parent.mkdir()
    os.mkfifo(folder.path)

    with pytest.raises(UsageError, match="isn't a file"):
        folder.run("a")


def test_letters_may_be_thrown_away():
    letters = DeadLetters(Path("/dev/null"))
    letters.open(None)
    letters.write({"stage": "s", "record": 1})
    letters.push()
    letters.sync()
    letters.close()
    letters.open(1)
    letters.close()


def test_many_letters_are_not_held_back(folder):
    letters = folder.run("a")
    for _ in range(1000):
        letters.write({"text": "x" * 100})

    assert os.path.getsize(folder.path) > 65536


def test_letters_that_can_not_be_written_stop_the_run():
    letters = DeadLetters(Path("/dev/full"))
    with pytest.raises(Stopped):
        letters.open(None)
        letters.write({"n": 1})
        letters.push()
    letters.close()


FULL = """
import resource, sys
from pathlib import Path
from stagerunner.delivery.deadletters import DeadLetters
from stagerunner.errors import Stopped
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
letters = DeadLetters(Path(sys.argv[1]), output="a")
letters.open(None)
resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
for number in range(20):
    letters.write({"stage": "s", "record": number})
try:
    letters.push()
except Stopped as error:
    print(error)
"""


def test_on_a_full_disk_the_letters_that_were_written_are_whole(folder):
    folder.path.parent.mkdir()
    ran = subprocess.run([sys.executable, "-c", FULL, folder.path], capture_output=True, text=True, check=True)
    assert "can't be written" in ran.stdout

    run = folder.run("a", 3)
    run.write({"stage": "s", "record": "after"})
    run.push()
    assert [record for _, _, record in folder.lines()] == [0, 1, 2, "after"]


def test_an_output_is_called_as_it_is_seen_from_the_letters(tmp_path):
    assert label_of(tmp_path / "failed.jsonl", tmp_path / "out" / "a.txt", "stdout") == "out/a.txt"
    assert label_of(tmp_path / "x" / "failed.jsonl", tmp_path / "a.txt", "stdout") == "../a.txt"
    assert label_of(tmp_path / "failed.jsonl", None, "stdout of c") == "stdout of c"
