import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stagerunner_parts.sinks.lines import Lines
from stagerunner_parts.sinks.targets import check_descriptor, check_target, is_mounted, is_stream, resolved

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


def test_links_lead_to_a_file_that_need_not_be_there(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "folder").symlink_to("data")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("folder/file")
    assert resolved(tmp_path / "one") == tmp_path / "data" / "file"
    assert resolved(tmp_path / "folder" / ".." / "plain") == tmp_path / "plain"


def test_links_in_a_circle(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="leads in a circle"):
        Lines(path=tmp_path / "one")


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1"])
def test_all_names_of_standard_output(name, tmp_path):
    if not os.path.exists(os.path.dirname(name)):
        pytest.skip("not here")
    (tmp_path / "link").symlink_to(name)
    for path in (Path(name), tmp_path / "link"):
        assert resolved(path) == 1
        assert (Lines(path=path).stdout, Lines(path=path).target(), Lines(path=path).keeps) == (True, None, "nothing")


def test_a_descriptor_that_was_not_handed_over_is_refused(tmp_path):
    ours = os.open(tmp_path / "a", os.O_CREAT | os.O_WRONLY)
    theirs = os.open(tmp_path / "b", os.O_CREAT | os.O_RDONLY)
    os.set_inheritable(theirs, True)
    try:
        with pytest.raises(OSError, match="was not handed to this program"):
            check_descriptor(ours)
        with pytest.raises(OSError, match="can only be read"):
            Lines(path=Path(f"/dev/fd/{theirs}")).check()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_pipe_is_a_stream_and_a_socket_is_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert is_stream(tmp_path / "pipe")
    assert Lines(path=tmp_path / "pipe").connect() is None
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="is a socket"):
            Lines(path=tmp_path / "socket").check()


def test_a_name_to_which_nothing_can_be_added(tmp_path):
    with pytest.raises(OSError, match="too long a name"):
        Lines(path=tmp_path / ("n" * 250)).check()
    with pytest.raises(OSError, match="File name too long"):
        Lines(path=tmp_path / ("n" * 300)).check()


@needs_root
def test_a_mounted_file_is_found_before_the_work(tmp_path):
    for name in ("here", "a b"):
        (tmp_path / name).write_text("old")
    code = (
        "import sys; from pathlib import Path; from stagerunner_parts.sinks.lines import Lines\n"
        "path = Path(sys.argv[1])\n"
        "Lines(path=path, mode='append').check()\n"
        "try: Lines(path=path).check()\n"
        "except OSError as error: print(error)"
    )
    mounted = tmp_path / "a b"
    shell = 'mount --bind "$1" "$2" && exec "$3" -c "$4" "$2"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", shell, "sh", str(tmp_path / "here"), str(mounted), sys.executable, code],
        capture_output=True,
        text=True,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("this system doesn't allow mounting")
    assert "is mounted, so no other file can replace it" in done.stdout
    assert not is_mounted(mounted)


@needs_root
def test_a_file_that_only_its_owner_may_replace(tmp_path, monkeypatch):
    tmp_path.chmod(0o1777)
    (tmp_path / "theirs").write_text("")
    os.chown(tmp_path / "theirs", 1234, 1234)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(PermissionError, match="only its owner"):
        check_target(Path("theirs"), tmp_path / "theirs", in_place=False)
    check_target(Path("theirs"), tmp_path / "theirs", in_place=True)
