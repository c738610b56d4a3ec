from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stagerunner.config.masking import Mask
from stagerunner.delivery.deadletters import DeadLetters, encode, letter
from stagerunner.errors import Stopped
from stagerunner.records import Cause, CodeFrame, Failure, Origin

FAILURE = Failure(1, 5, 0, "ValueError", "no", "dead_letter", (CodeFrame("a.py", 3, "f"),), 2, record={"a": 1})


def written(failure: Failure) -> dict:
    return json.loads(encode(letter(failure, "parse", Origin("a.jsonl", 1042))))


def test_a_letter_says_what_why_and_where_from():
    assert written(FAILURE) == {
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


class Odd:
    def __repr__(self):
        return "Odd()"


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"deep": [Odd()]}, {"record": {"deep": ["Odd()"]}}),
        ("\udc80", {"text": "'\\udc80'"}),
    ],
)
def test_what_json_can_not_say_is_told_as_it_looks(record, found):
    told = written(Failure(1, 5, 0, "TypeError", "no", "dead_letter", record=record))

    assert told | found == told


def test_a_letter_is_one_line():
    assert encode({"record": "two\nlines"}).count(b"\n") == 1


@pytest.fixture
def letters(tmp_path):
    letters = DeadLetters(tmp_path / "folder" / "failed.jsonl")
    yield letters
    letters.close()


def test_letters_are_written_where_the_file_stands(letters):
    letters.open(None)
    letters.write({"n": 1})
    letters.write({"n": 2})
    letters.push()
    letters.sync()

    assert letters.path.read_bytes() == b'{"n":1}\n{"n":2}\n'
    assert letters.position == 16


def test_a_new_run_starts_anew(letters):
    letters.path.parent.mkdir()
    letters.path.write_text("old\n")
    letters.open(None)

    assert letters.path.read_bytes() == b""


def test_a_resumed_run_cuts_off_what_no_checkpoint_knows(letters):
    letters.path.parent.mkdir()
    letters.path.write_text("kept\nnot kept\n")
    letters.open(5)
    letters.write({})
    letters.push()

    assert letters.path.read_bytes() == b"kept\n{}\n"


def test_a_file_shorter_than_it_was_can_not_be_gone_on_with(letters):
    with pytest.raises(Stopped, match="can't be written"):
        letters.open(5)


def test_many_letters_are_not_held_back(letters):
    letters.open(None)
    for _ in range(1000):
        letters.write({"text": "x" * 100})

    assert os.path.getsize(letters.path) > 65536


def test_letters_that_can_not_be_written_stop_the_run():
    letters = DeadLetters(Path("/dev/full"))
    with pytest.raises(Stopped):
        letters.open(None)
        letters.write({"n": 1})
        letters.push()
    letters.close()
