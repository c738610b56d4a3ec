from __future__ import annotations

import os
from pathlib import Path

import pytest

from stagerunner.errors import ConfigError
from stagerunner.plan.outputs import journal_path, used_by
from stagerunner.plan.preparing import prepare

READS, LETTERS_OUT, LETTERS_IN, DROPPED_OUT, DROPPED_LETTERS = (
    "the sink would overwrite what the source reads",
    "the dead letters would overwrite the output",
    "the dead letters would overwrite what the source reads",
    "the dropped records would overwrite the output",
    "the dropped records need another file than the dead letters",
)


@pytest.mark.parametrize(
    ("source", "ends", "message", "line"),
    [
        ("in.txt", {"sink": "in.txt"}, READS, 8),
        ("in.txt", {"sink": "./sub/../in.txt"}, READS, 8),
        ("in.txt", {"sink": "link.txt"}, READS, 8),
        ("*.txt", {"sink": "not-there-yet.txt"}, READS, 8),
        ("**/*.jsonl", {"sink": "sub/deep.jsonl"}, READS, 8),
        ("in.txt", {"sink": "out.txt", "dead_letter": "out.txt"}, LETTERS_OUT, 9),
        ("in.txt", {"sink": {"use": "table", "with": {"path": "a.csv"}}, "dead_letter": "a.db"}, LETTERS_OUT, 9),
        ("in.txt", {"sink": "out.txt", "dead_letter": "in.txt"}, LETTERS_IN, 9),
        ("*.txt", {"sink": "out.csv", "dead_letter": "dead.txt"}, LETTERS_IN, 9),
        ("in.txt", {"sink": "out.txt", "dropped": "out.txt"}, DROPPED_OUT, 10),
        ("in.txt", {"sink": "out.txt", "dead_letter": "./sub/../d.jsonl", "dropped": "d.jsonl"}, DROPPED_LETTERS, 10),
    ],
)
def test_a_file_that_is_read_is_not_written_and_none_is_written_twice(planned, folder, source, ends, message, line):
    (folder / "sub").mkdir()
    (folder / "sub" / "deep.jsonl").write_text("")
    (folder / "link.txt").symlink_to(folder / "in.txt")
    with pytest.raises(ConfigError) as caught:
        planned(source=source, **ends)
    [mistake] = caught.value.mistakes
    assert (mistake.message, mistake.mark.line) == (message, line)


@pytest.mark.parametrize("sink", ["out/a.txt", "-", "a.csv", "/dev/null"])
def test_other_files_and_devices_may_be_written(planned, folder, sink):
    (folder / "out").mkdir()
    source = "/dev/null" if sink == "/dev/null" else "*.txt"
    assert planned(source=source, sink=sink, dead_letter="made/on/demand/dead.jsonl")


@pytest.mark.parametrize(
    ("dead_letter", "message"),
    [("in.txt/dead.jsonl", "in.txt is not a folder"), ("sub", "sub is a folder"), ("", "is a folder")],
)
def test_dead_letters_that_cannot_be_written(planned, folder, dead_letter, message):
    (folder / "sub").mkdir()
    with pytest.raises(ConfigError, match=f"the dead letters can't be written: .*{message}"):
        planned(dead_letter=dead_letter)


def test_an_output_that_no_file_system_can_name_is_a_mistake(planned):
    with pytest.raises(ConfigError, match=r"chain.yaml:8:5: the output can't be written: File name too long$"):
        planned(sink={"use": "lines", "with": {"path": "x" * 5000}})


@pytest.mark.parametrize(
    ("path", "used"),
    [("in.txt", True), ("out.txt", True), ("dead.jsonl", True), ("link.txt", True), ("other.txt", False)],
)
def test_what_a_run_reads_or_writes_is_known(planned, folder, path, used):
    (folder / "link.txt").symlink_to(folder / "in.txt")
    plan = planned(source="in.txt", sink="out.txt", dead_letter="dead.jsonl")

    assert used_by(plan, folder / path) is used


# The dead letters' own place


BLOCKS = ["/dev/stderr", "/dev/stdout", "/dev/fd/2", "/proc/self/fd/2", "pipe", ".out.txt.stagerunner"]


@pytest.mark.parametrize("name", BLOCKS)
def test_dead_letters_need_a_file_of_their_own(tmp_path, name):
    (tmp_path / "in.txt").write_text("a\n")
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ConfigError, match="dead letters"):
        planned(tmp_path, name)


def test_another_name_of_the_source_is_the_source(tmp_path):
    (tmp_path / "in.txt").write_text("a\n")
    os.link(tmp_path / "in.txt", tmp_path / "failed.jsonl")

    with pytest.raises(ConfigError, match="would overwrite what the source reads"):
        planned(tmp_path, "failed.jsonl")


def test_dead_letters_can_not_go_to_the_output_of_another_run(tmp_path):
    (tmp_path / "in.txt").write_text("a\n")
    (tmp_path / ".failed.jsonl.stagerunner").write_text("")

    with pytest.raises(ConfigError, match="is the output of a run"):
        planned(tmp_path, "failed.jsonl")


def planned(folder, dead_letter):
    file = folder / "chain.yaml"
    file.write_text(f"version: 1\nsource: in.txt\nstages: []\nsink: out.txt\ndead_letter: {dead_letter}\n")
    return prepare(file).plan


def test_dead_letters_may_go_to_the_home_folder_but_not_to_that_of_an_unknown_user(planned, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert planned(source="in.txt", sink="out.txt", dead_letter="~/dead.jsonl").dead_letter == folder / "dead.jsonl"
    with pytest.raises(ConfigError, match="a user that doesn't exist"):
        planned(source="in.txt", sink="out.txt", dead_letter="~no-such-user-here/dead.jsonl")


def test_the_journal_stands_hidden_beside_the_output():
    assert journal_path(Path("out/clean.jsonl")) == Path("out/.clean.jsonl.stagerunner")
