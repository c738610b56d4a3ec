import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from stagerunner_parts.sources.inputs import Unsplittable, find, remaining, unsplittable
from stagerunner_parts.sources.pieces import Changed


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
        ("folder", IsADirectoryError, "is a folder; write .*/folder/. for the files in it"),
        ("pipe", OSError, "pipe is a pipe, not a file; give it as the only path"),
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
    with pytest.raises(FileNotFoundError, match="no longer a file of the source"):
        remaining(files, ["x", 0])


# Whether a file is still the one that was found


def _replace(path):
    path.with_name("other").write_bytes(path.read_bytes())
    path.with_name("other").replace(path)


def _overwrite(path):
    path.write_bytes(b"2" * path.stat().st_size)
    later(path)


def _fill_again(path):
    os.truncate(path, 0)
    path.write_bytes(b"another\n" * 20)
    later(path)


def later(path):
    """A change within one tick of the clock leaves the time as it was; no real program is that quick."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_replace, "was replaced by another file"),
        (lambda path: os.truncate(path, 3), "became shorter"),
        (_overwrite, "was overwritten"),
        (_fill_again, "was overwritten"),
    ],
)
def test_another_file_under_the_name_is_not_read(write, change, why):
    path = write("a", b"one\n" * 10)
    (found,) = find(path)
    with found.opened() as file:
        found = found.with_head(file.fileno())
    change(path)
    with pytest.raises(Changed, match=why):
        found.opened()


def test_a_file_that_grows_is_the_one_that_was_found(write):
    path = write("a", b"one\n")
    (found,) = find(path)
    with found.opened() as file:
        found = found.with_head(file.fileno())
    with open(path, "ab") as log:
        log.write(b"two\n")
    later(path)
    with found.opened() as file:
        assert not found.verify(file.fileno())


# What can only be read as it comes


def test_what_a_path_is_that_can_be_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("to-stdin")
    (tmp_path / "to-stdin").symlink_to("/dev/stdin")
    (tmp_path / "plain").write_bytes(b"")
    assert unsplittable(Path("-")) == unsplittable([Path("-")]) == Unsplittable("stdin", 0)
    assert unsplittable(tmp_path / "pipe") == Unsplittable(str(tmp_path / "pipe"))
    assert unsplittable(tmp_path / "link") == Unsplittable(str(tmp_path / "link"), 0)
    for path in (tmp_path, tmp_path / "plain", tmp_path / "none", [tmp_path / "pipe", tmp_path / "plain"]):
        assert unsplittable(path) is None


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd", f"/proc/{os.getpid()}/fd"])
def test_a_descriptor_is_one_under_every_name(folder):
    if Path(folder).exists():
        assert unsplittable(Path(folder) / "7") == Unsplittable(f"{folder}/7", 7)


def test_a_descriptor_that_was_not_handed_to_us_is_not_read(tmp_path):
    """It may be a descriptor of the journal, or of a plugin."""
    with open(tmp_path / "a", "w+b") as file:
        ours = Unsplittable("/dev/fd/x", file.fileno())
        with pytest.raises(FileNotFoundError, match="was not handed to this process"):
            ours.check()
        os.set_inheritable(file.fileno(), True)
        ours.check()
    with pytest.raises(FileNotFoundError, match="isn't open"):
        ours.check()


def test_a_descriptor_to_write_to_is_not_read(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        os.set_inheritable(file.fileno(), True)
        with pytest.raises(PermissionError, match="is for writing"):
            Unsplittable("/dev/fd/x", file.fileno()).check()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_a_file_that_is_not_as_large_as_it_says(tmp_path):
    status = Path("/proc/self/status")
    assert unsplittable(status) == Unsplittable(str(status))
    assert find(status, whole=True)
    with pytest.raises(OSError, match="doesn't have the size that it reports; give it as the only path"):
        find([status, tmp_path])


def test_a_hole_is_as_large_as_it_says(tmp_path):
    (tmp_path / "hole").touch()
    os.truncate(tmp_path / "hole", 10**6)
    assert unsplittable(tmp_path / "hole") is None


def test_a_link_that_leads_nowhere_is_named_as_the_reason(tmp_path):
    (tmp_path / "broken").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileNotFoundError, match="it is a link to gone, which isn't there"):
        find(tmp_path / "broken")
    with pytest.raises(OSError, match="symbolic links"):
        find(tmp_path / "loop")


def test_a_socket_is_refused_with_what_to_do_instead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its name may have a hundred characters
    with closing(socket.socket(socket.AF_UNIX)) as ours:
        ours.bind("socket")
    with pytest.raises(OSError, match="is a socket; connect to it"):
        find(Path("socket"))
    assert unsplittable(Path("socket")) is None
