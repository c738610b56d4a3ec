"""What the sinks that write files have in common, tried with `lines`."""

import os
from pathlib import Path

import pytest

from stagerunner_parts.compression import opened
from stagerunner_parts.sinks.lines import Lines

SUFFIXES = ("", ".gz", ".bz2", ".xz")


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    return tmp_path / "out" / f"a.txt{request.param}"


def content(path, named=None):
    with opened(path, named=named) as file:
        return file.read()


def written(path, *frames, mode="replace", position=None):
    """A sink to which these frames were written, each committed."""
    sink = Lines(path=path, mode=mode)
    sink.open(position)
    for frame in frames:
        sink.write(sink.encode(frame))
        sink.commit(None)
    return sink


def partial(path):
    return path.with_name(f"{path.name}.partial")


def test_the_file_has_its_name_only_at_the_end(path):
    sink = written(path, ["one"], ["two", "three"])
    assert not path.exists()
    assert content(partial(path), named=path) == b"one\ntwo\nthree\n"
    sink.finish()
    assert content(path) == b"one\ntwo\nthree\n"
    assert not partial(path).exists()


def test_a_file_without_records_is_a_file(path):
    written(path).finish()
    assert content(path) == b""
    assert (path.stat().st_size > 0) == (path.suffix != ".txt")


def test_an_earlier_file_stays_until_the_end(path):
    written(path, ["old"]).finish()
    sink = written(path, ["new"])
    assert content(path) == b"old\n"
    sink.finish()
    assert content(path) == b"new\n"


def test_a_new_run_begins_a_new_file(path):
    written(path, ["left over"]).abort()
    written(path, ["new"]).finish()
    assert content(path) == b"new\n"


@pytest.mark.parametrize("mode", ["replace", "append", "new"])
def test_a_resume_goes_on_at_the_position(path, mode):
    sink = written(path, ["one"], ["two"], mode=mode)
    position = sink.position()
    sink.write(sink.encode(["lost"]))
    sink.write(sink.encode(["half"])[:2])
    sink.abort()
    again = written(path, ["three"], mode=mode, position=position)
    assert again.position() > position
    again.finish()
    assert content(path) == b"one\ntwo\nthree\n"


def test_a_commit_of_nothing_changes_nothing(path):
    sink = written(path, ["one"])
    position = sink.position()
    sink.commit(None)
    assert sink.position() == position == partial(path).stat().st_size
    sink.abort()


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_file_shorter_than_the_position_is_refused(path, mode):
    sink = written(path, ["one"], mode=mode)
    position = sink.position()
    sink.abort()
    with pytest.raises(OSError, match="can't go on"):
        Lines(path=path, mode=mode).open(position + 1)
    (path if mode == "append" else partial(path)).unlink()
    with pytest.raises(OSError, match="is gone"):
        Lines(path=path, mode=mode).open(position)


def test_finish_once_more_does_no_harm(path):
    written(path, ["one"]).finish()
    Lines(path=path).finish()
    assert content(path) == b"one\n"


def test_finish_renames_without_having_been_opened(path):
    written(path, ["one"]).abort()
    Lines(path=path).finish()
    assert content(path) == b"one\n"


def test_finish_with_nothing_to_be_named(path):
    with pytest.raises(OSError, match="so there is nothing to become"):
        Lines(path=path).finish()


def test_append_writes_in_place_behind_what_is_there(path):
    written(path, ["one"], mode="append").finish()
    sink = written(path, ["two"], mode="append")
    assert not partial(path).exists()
    assert sink.position() == path.stat().st_size
    sink.finish()
    assert content(path) == b"one\ntwo\n"


def test_append_begins_on_a_line_of_its_own(write):
    path = write("a.txt", b"no newline")
    sink = written(path, mode="append")
    sink.abort()
    assert path.read_bytes() == b"no newline"
    written(path, ["a"], ["b"], mode="append", position=sink.position()).finish()
    assert path.read_bytes() == b"no newline\na\nb\n"


def test_new_overwrites_nothing(path):
    Lines(path=path, mode="new").check()
    written(path, ["one"], mode="new").finish()
    with pytest.raises(FileExistsError, match="overwrites nothing"):
        Lines(path=path, mode="new").check()
    with pytest.raises(FileExistsError):
        Lines(path=path, mode="new").open(None)


def test_new_finds_a_file_at_the_end(path):
    sink = written(path, ["one"], mode="new")
    path.write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError):
        sink.finish()
    assert path.read_bytes() == b"somebody else's"


def test_a_device_is_written_in_place():
    sink = Lines(path=Path(os.devnull))
    sink.check()
    assert (sink.keeps, sink.target()) == ("nothing", None)
    sink = written(Path(os.devnull), ["one"])
    sink.finish()
    assert not Path(os.devnull).is_file()


def test_standard_output_is_written_by_the_runner():
    sink = Lines(path=Path("-"))
    sink.check()
    sink.open(None)
    assert (sink.stdout, sink.keeps, sink.target(), sink.describe()) == (True, "nothing", None, "standard output")
    assert sink.rendered(sink.encode(["a"])) == b"a\n"
    sink.sync()
    sink.finish()
    sink.abort()


def test_what_can_be_asked(path):
    sink = Lines(path=path)
    assert (sink.stdout, sink.keeps, sink.target(), sink.describe()) == (False, "truncate", path, str(path))


def test_sync_before_and_after_the_end(path):
    sink = written(path, ["one"])
    sink.sync()
    sink.finish()
    sink.sync()


def test_a_folder_that_is_missing_is_no_mistake(path):
    Lines(path=path).check()
    assert not path.parent.exists()


def test_places_where_no_file_can_be(tmp_path, write):
    with pytest.raises(IsADirectoryError, match="is a folder, not a file"):
        Lines(path=tmp_path).check()
    with pytest.raises(NotADirectoryError, match="is not a folder, so"):
        Lines(path=write("file", b"") / "a" / "b").check()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="permission denied"):
        Lines(path=tmp_path / "a").check()
