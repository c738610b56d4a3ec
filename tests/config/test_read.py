from __future__ import annotations

from pathlib import Path

from stagerunner.config.nodes import Mapping
from stagerunner.config.read import in_order, read_config
from stagerunner.errors import Mark, Mistake

GOOD = "version: 1\nstages: [a]\n"


def told(config):
    return [(str(m.mark), m.message, m.fix) for m in config.mistakes]


def test_a_file_is_named_by_its_stem_and_its_folder_is_the_base(tmp_path):
    file = tmp_path / "redact.yaml"
    file.write_text(GOOD)
    found = read_config(file)
    assert (found.file, found.name, found.base, found.mistakes) == (str(file), "redact", tmp_path, ())
    assert found.base_of(Mark(str(file))) == tmp_path


def test_a_relative_path_is_shown_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    found = read_config("sub/a.yaml")
    assert (found.file, found.base) == ("sub/a.yaml", tmp_path / "sub")


def test_a_text_with_a_newline_is_the_config_itself():
    found = read_config(GOOD)
    assert (found.file, found.name, found.base, found.mistakes) == ("<text>", "chain", Path.cwd(), ())


def test_a_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "redact.yaml").write_text(GOOD)
    file = tmp_path / "redcat.yaml"
    assert told(read_config(file)) == [
        (f"{file}:1:1", f"there is no file {file}", f"did you mean {tmp_path / 'redact.yaml'}?")
    ]


def test_what_cannot_be_opened_is_a_mistake(tmp_path):
    assert told(read_config(tmp_path)) == [(f"{tmp_path}:1:1", f"{tmp_path} is a folder", "")]
    assert told(read_config("a\0b"))[0][1].startswith("a\0b can't be read: ")
    assert "can't be read: File name too long" in told(read_config("x" * 1000))[0][1]
    assert told(read_config(str(tmp_path / "no" / "a.yaml")))[0][2] == ""


def test_a_file_too_large_is_not_read_whole(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes(b"#" * 2**22)
    assert told(read_config(file)) == [(f"{file}:1:1", "a config is at most 1 MiB", "")]


def test_without_a_root_the_config_is_empty_and_says_why():
    found = read_config("a: [\n")
    assert found.root == Mapping((), Mark("<text>"))
    assert len(found.mistakes) == 1


def test_the_root_is_a_mapping():
    assert told(read_config("- a\n")) == [
        ("<text>:1:1", "a config is a mapping, not a list", "begin with `version: 1` and `stages:`")
    ]
    assert told(read_config("\n"))[0][:2] == ("<text>:1:1", "there is nothing in it")


def test_secrets_are_collected(monkeypatch):
    monkeypatch.setenv("SALT", "hunter2")
    monkeypatch.setenv("PLACE", "east")
    found = read_config(GOOD + "name: '${secret:SALT} ${env:PLACE}'\n")
    assert (found.secrets, found.masked) == (("hunter2",), ("hunter2", "east"))


def test_a_value_that_could_not_be_filled_in_is_reported_once():
    (mistake,) = read_config("version: 1\nstages: [{use: a, workers: '${vars.n}'}]\n").mistakes
    assert mistake.code == "unset-variable"


def test_an_alias_is_reported_once():
    (mistake,) = read_config("version: 1\nstages: *all\n").mistakes
    assert mistake.code == "alias"


def test_mistakes_come_in_order_of_lines_the_file_first():
    mistakes = [
        Mistake("c", "", Mark("--set")),
        Mistake("b", "", Mark("f", 2, 1)),
        Mistake("a", "", Mark("f", 1, 9)),
        Mistake("z", "", Mark("f", 2, 1, width=3)),
    ]
    assert [mistake.code for mistake in in_order(mistakes, "f")] == ["a", "b", "c"]
