"""What the sinks that write files have in common, tried with `lines`."""

import os
from pathlib import Path

import pytest
from support.compressed import SUFFIXES, compressed

from stagerunner_parts.compression import opened
from stagerunner_parts.sinks.lines import Lines


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    compressed(request.param, b"")  # skips if it can't be tried
    return tmp_path / "out" / f"a.txt{request.param}"


def content(path, named=None):
    with opened(path, named=named) as file:
        return file.read()


def written(path, *frames, mode="replace", position=None, left=None):
    """A sink to which these frames were written, each committed. left: where the run before, unfinished, was."""
    sink = Lines(path=path, mode=mode)
    sink.left(left)
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
    before = written(path, ["left over"])
    before.abort()
    written(path, ["new"], left=before.position()).finish()
    assert content(path) == b"new\n"


@pytest.mark.parametrize("mode", ["replace", "append", "new"])
def test_a_resume_goes_on_at_the_position(path, mode):
    sink = written(path, ["one"], ["two"], mode=mode)
    position = sink.position()
    sink.write(sink.encode(["lost"]))
    sink.write(sink.encode(["half"])[:2])
    sink.abort()
    again = written(path, ["three"], mode=mode, position=position)
    assert again.position()["bytes"] > position["bytes"]
    again.finish()
    assert content(path) == b"one\ntwo\nthree\n"


def test_a_commit_of_nothing_changes_nothing(path):
    sink = written(path, ["one"])
    position = sink.position()
    sink.commit(None)
    assert sink.position() == position
    assert position["bytes"] == partial(path).stat().st_size
    sink.abort()


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_file_shorter_than_the_position_is_refused(path, mode):
    sink = written(path, ["one"], mode=mode)
    position = sink.position()
    sink.abort()
    with pytest.raises(OSError, match="can't be resumed"):
        Lines(path=path, mode=mode).open(position | {"bytes": position["bytes"] + 1})
    (path if mode == "append" else partial(path)).unlink()
    with pytest.raises(OSError, match="is gone"):
        Lines(path=path, mode=mode).open(position)


def test_finish_may_be_called_twice(path):
    written(path, ["one"]).finish()
    Lines(path=path).finish()
    assert content(path) == b"one\n"


def test_finish_renames_without_having_been_opened(path):
    written(path, ["one"]).abort()
    Lines(path=path).finish()
    assert content(path) == b"one\n"


def test_finish_with_nothing_to_be_named(path):
    with pytest.raises(OSError, match="so it can't be renamed to"):
        Lines(path=path).finish()


def test_append_writes_in_place_behind_what_is_there(path):
    written(path, ["one"], mode="append").finish()
    sink = written(path, ["two"], mode="append")
    assert sink.position()["bytes"] == path.stat().st_size
    sink.finish()
    assert content(path) == b"one\ntwo\n"
    assert not partial(path).exists()


def test_append_begins_on_a_line_of_its_own(write):
    path = write("a.txt", b"no newline")
    sink = written(path, mode="append")
    sink.abort()
    assert path.read_bytes() == b"no newline"
    written(path, ["a"], ["b"], mode="append", position=sink.position()).finish()
    assert path.read_bytes() == b"no newline\na\nb\n"


def test_new_overwrites_nothing(path):
    Lines(path=path, mode="new").check_new()
    written(path, ["one"], mode="new").finish()
    Lines(path=path, mode="new").check()  # what is there may be the run's own
    with pytest.raises(FileExistsError, match="overwrites nothing"):
        Lines(path=path, mode="new").check_new()
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
    assert (sink.streams, sink.position()) == (True, None)
    assert os.write(sink.connect(), sink.rendered(sink.encode(["one"]))) == 4
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


def test_a_link_stays_and_what_it_leads_to_is_written(path):
    (path.parent / "data").mkdir(parents=True)
    path.symlink_to(f"data/b{path.suffix}")
    sink = written(path, ["one"])
    assert partial(path.parent / "data" / f"b{path.suffix}").exists()
    sink.finish()
    assert path.is_symlink()
    assert content(path) == b"one\n"
    assert sink.target() == path.parent / "data" / f"b{path.suffix}"


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_one_run_owns_a_file_under_all_its_names(tmp_path, mode):
    (tmp_path / "a").write_text("old\n")
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    (tmp_path / "soft").symlink_to("a")
    sink = written(tmp_path / "a", ["one"], mode=mode)
    for name in ("a", "hard", "soft"):
        with pytest.raises(BlockingIOError):
            written(tmp_path / name, mode="append")
        with pytest.raises(BlockingIOError):
            written(tmp_path / name, mode="replace")
    sink.abort()


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("kind", ["file", "link", "hard link", "folder", "pipe"])
def test_what_is_in_the_way_is_left_alone(tmp_path, mode, kind):
    place, precious = partial(tmp_path / "a"), tmp_path / "precious"
    precious.write_text("precious")
    {
        "file": lambda: place.write_text("precious"),
        "link": lambda: place.symlink_to(precious),
        "hard link": lambda: place.hardlink_to(precious),
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
    }[kind]()
    with pytest.raises(FileExistsError, match="is in the way"):
        written(tmp_path / "a", ["one"], mode=mode)
    assert precious.read_text() == "precious"
    assert os.path.lexists(place)


def test_another_runs_output_is_not_continued(path):
    first = written(path, ["aaaa"])
    first.abort()
    partial(path).unlink()
    second = written(path, ["bbbb"], ["bbbb"])
    second.abort()
    with pytest.raises(OSError, match="isn't what the run to be resumed has written"):
        Lines(path=path).open(first.position())
    other = first.position() | {"file": second.position()["file"]}  # systems give numbers of files again
    with pytest.raises(OSError, match=r"isn't what|but .* were written"):
        Lines(path=path).open(other)
    assert len(content(partial(path), named=path)) == 10


@pytest.mark.parametrize("behind", [b"", b"half", b"half of it\n"])
def test_what_others_appended_is_noticed_and_not_cut(tmp_path, behind):
    path = tmp_path / "log"
    path.write_bytes(b"old\n")
    sink = written(path, ["one"], mode="append")
    position = sink.position()
    if behind:
        sink.write(behind)
    sink._growing.close()  # as a kill does
    before = path.read_bytes()
    again = written(path, ["two"], mode="append", position=position)
    again._growing.close()
    assert path.read_bytes() == b"old\none\ntwo\n"
    path.write_bytes(before + b"theirs\n")
    with pytest.raises(OSError, match="another program has added"):
        Lines(path=path, mode="append").open(position)
    assert path.read_bytes() == before + b"theirs\n"


def test_what_others_append_meanwhile_stays(tmp_path):
    sink = written(tmp_path / "log", ["one"], mode="append")
    with (tmp_path / "log").open("a") as other:
        other.write("theirs\n")
    sink.write(b"two\n")
    sink.commit(None)
    position = sink.position()
    sink.abort()
    written(tmp_path / "log", ["three"], mode="append", position=position).finish()
    assert (tmp_path / "log").read_bytes() == b"one\ntheirs\ntwo\nthree\n"


def test_a_file_taken_away_while_it_is_written(path):
    sink = written(path, ["one"])
    partial(path).unlink()
    with pytest.raises(OSError, match="was removed or renamed"):
        sink.commit(None)
    path.write_bytes(b"an old one")
    with pytest.raises(OSError):
        sink.finish()


def test_a_run_that_can_not_be_resumed_leaves_nothing(path):
    sink = written(path, ["one"])
    sink.discard()
    sink.abort()
    assert list(path.parent.iterdir()) == []
