from pathlib import Path

import pytest

from stagerunner import Origin, Want
from stagerunner_parts.sources.files import Files


def test_a_file_a_record(write, items, tmp_path):
    write("b.bin", b"\0\n")
    write("a.bin", b"")
    assert items(Files(path=tmp_path / "*.bin")) == [
        {"path": str(tmp_path / "a.bin"), "bytes": b""},
        {"path": str(tmp_path / "b.bin"), "bytes": b"\0\n"},
    ]


def test_small_files_share_a_split(write, items):
    source = Files(path=[write(name, b"12345") for name in "abcde"])
    splits = list(source.splits(None, Want(10)))
    assert [split.most for split in splits] == [2, 2, 1]
    assert [split.size for split in splits] == [10, 10, 5]
    assert source.size() == 25
    for number, split in enumerate(splits, 1):
        assert items(source, 10, split.position) == items(source)[number * 2 :]


def test_what_cannot_be_read_costs_itself_only(write, items):
    gone, long, good = write("a", b""), write("b", b"12345678"), write("c", b"1")
    source = Files(path=[gone, long, good])
    source.max_record = 5
    source.check()
    gone.unlink()
    assert [getattr(item, "type", None) for item in items(source)] == ["FileNotFoundError", "TooLarge", None]


def test_locate_and_identity(write):
    path = write("a", b"1")
    source = Files(path=path)
    (split,) = source.splits(None, Want())
    assert source.locate(split, 0) == Origin(str(path))
    assert source.identity()[0]["path"] == str(path)


def test_standard_input_is_no_file():
    with pytest.raises(ValueError, match="needs a path"):
        Files(path=Path("-")).check()


def test_a_position_whose_file_is_gone(write, items):
    with pytest.raises(FileNotFoundError, match="no longer"):
        items(Files(path=write("a", b"")), 10, "x")


def test_a_file_that_was_replaced_costs_itself_only(write, items):
    old, good = write("a", b"1"), write("b", b"2")
    source = Files(path=[old, good])
    source.check()
    write("c", b"3").replace(old)
    first, second = items(source)
    assert (first.type, second["bytes"]) == ("Changed", b"2")


def test_a_file_without_a_size_is_read_whole(items):
    path = Path("/proc/version")
    if path.exists():
        assert items(Files(path=path)) == [{"path": str(path), "bytes": path.read_bytes()}]


def test_a_file_is_as_long_as_it_was_when_found(write, items):
    path, empty = write("a", b"1"), write("b", b"")
    source = Files(path=[path, empty])
    source.check()
    for one in (path, empty):
        with open(one, "ab") as file:
            file.write(b"more")
    assert [item["bytes"] for item in items(source)] == [b"1", b""]
