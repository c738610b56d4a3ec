import os

import pytest

from stagerunner_parts.sinks.lines import Lines
from stagerunner_parts.sinks.permissions import ACL

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def replaced(path, text="new"):
    sink = Lines(path=path)
    sink.open(None)
    sink.write(sink.encode([text]))
    sink.commit(None)
    private = path.with_name(f"{path.name}.partial").stat().st_mode & 0o077 == 0
    sink.finish()
    return private


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644, 0o666, 0o2750, 0o604])
def test_a_replaced_file_keeps_its_mode(path, mode):
    path.chmod(mode)
    assert replaced(path)  # no other user can read it meanwhile
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("new\n", mode)


def test_a_new_file_has_the_usual_mode(tmp_path):
    before = os.umask(0o027)
    try:
        assert not replaced(tmp_path / "a.txt")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


@needs_root
def test_it_keeps_its_owner(path):
    os.chown(path, 1234, 4321)
    path.chmod(0o4750)
    replaced(path)
    assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o7777) == (1234, 4321, 0o4750)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Linux only")
def test_it_keeps_attributes_and_no_user_may_do_more(path):
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("a file system without attributes")
    replaced(path)
    assert os.getxattr(path, "user.note") == b"mine"
    # An access list for one more user, with which the group's bits are no longer the group's.
    entries = ((1, 6, 2**32 - 1), (2, 4, 1234), (4, 0, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1))
    packed = b"\2\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + user.to_bytes(4, "little")
        for tag, rights, user in entries
    )
    try:
        os.setxattr(path, ACL, packed)
    except OSError:
        pytest.skip("a file system without access lists")
    replaced(path)
    assert os.getxattr(path, ACL) == packed
