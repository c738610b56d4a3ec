import os
from pathlib import Path

import pytest

from stagerunner_parts.sources.inputs import find, remaining


def names(paths):
    return [Path(file.name).name for file in find(paths)]


def test_a_glob_is_sorted_and_a_file_read_once(write, tmp_path):
    for name in ("b.log", "a.log", ".c.log", "d.log/x"):
        write(name, b"")
    assert names(tmp_path / "*.log") == ["a.log", "b.log"]
    assert names([tmp_path / "b.log", tmp_path / "*.log"]) == ["b.log", "a.log"]


def test_a_glob_through_folders(write, tmp_path):
    write("x/1/a", b"")
    write("x/2/b", b"")
    assert names(tmp_path / "**" / "?") == ["a", "b"]


def test_names_with_brackets_in_them(write, tmp_path):
    write("[old]/a[1].log", b"")
    write("[old]/b.log", b"")
    assert names(tmp_path / "[old]" / "a[1].log") == ["a[1].log"]
    assert names(tmp_path / "[old]" / "*.log") == ["a[1].log", "b.log"]


def test_a_relative_glob(write, tmp_path, monkeypatch):
    write("a.log", b"")
    monkeypatch.chdir(tmp_path)
    assert find(Path("*.log"))[0].name == "a.log"


@pytest.mark.parametrize(
    ("path", "error", "why"),
    [
        ("none.log", FileNotFoundError, "there is no file .*none.log"),
        ("*.log", FileNotFoundError, "no file matches .*log"),
        ("folder", IsADirectoryError, "is a folder; .*/folder/. stands for the files in it"),
        ("pipe", OSError, "not a regular file"),
    ],
)
def test_what_cannot_be_read(tmp_path, path, error, why):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(error, match=why):
        find(tmp_path / path)


def test_identity_tells_a_changed_file(write):
    path = write("a", b"one")
    (before,) = find(path)
    same = before.identity()
    assert find(path)[0].identity() == same
    path.write_bytes(b"two")
    os.utime(path, ns=(before.changed, before.changed))
    assert find(path)[0].identity() != same


def test_what_remains(write, tmp_path):
    a, b, c = (write(name, b"") for name in "abc")
    files = find([a, b, c])
    assert remaining(files, None) == [(file, 0) for file in files]
    assert remaining(files, [str(b), 7]) == [(files[1], 7), (files[2], 0)]
    with pytest.raises(FileNotFoundError, match="no longer one of its files"):
        remaining(files, ["x", 0])
