"""What the fork server does with workers is in test_processes; here is how it begins and ends."""

from __future__ import annotations

import os
import socket

import pytest

from stagerunner.engines.process import forkserver
from stagerunner.engines.process.forkserver import USUAL, ForkServer
from stagerunner.engines.process.parent.fork_server import run_module
from stagerunner.wire.messages import send_message


@pytest.mark.parametrize("gone", ["socket", "life"])
def test_it_leaves_in_good_order_when_either_tie_to_the_parent_is_cut(gone):
    ours, theirs = socket.socketpair()
    life, ours_of_life = os.pipe()
    fork_server = run_module("stagerunner.engines.process.forkserver", (theirs.fileno(), life), 2, "7")
    theirs.close()
    os.close(life)
    ties = {"socket": ours.close, "life": lambda: os.close(ours_of_life)}
    ties.pop(gone)()
    assert fork_server.wait(30) == 0
    for cut in ties.values():
        cut()


class Here:
    """A fork server in this process, our ends of its ties, and what it imports."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        life, self.life = os.pipe()
        self.fork_server = ForkServer(theirs, life)
        self.imported: list[str] = []
        self._fds = [theirs.detach(), life, self.fork_server._wake, self.fork_server._woken]
        self.fork_server._sock = socket.socket(fileno=os.dup(self._fds[0]))

    def import_module(self, name: str) -> None:
        self.imported.append(name)
        if name == "broken":
            raise SystemError(name)

    def close(self) -> None:
        self.ours.close()
        self.fork_server._sock.close()
        os.close(self.life)
        for fd in self._fds:
            os.close(fd)


@pytest.fixture
def here(monkeypatch):
    here = Here()
    monkeypatch.setattr(forkserver, "import_module", here.import_module)
    yield here
    here.close()


def test_it_imports_ahead_only_while_nobody_asks_for_anything(here):
    assert [here.fork_server._turn() for _ in USUAL] == [True] * len(USUAL)
    assert sorted(here.imported) == sorted(USUAL)

    here.fork_server._ahead = ["more"]
    here.ours.shutdown(socket.SHUT_RDWR)

    assert not here.fork_server._turn()
    assert "more" not in here.imported


def test_what_it_is_told_of_is_imported_at_once_and_what_fails_is_left_to_a_worker(here):
    send_message(here.ours, ["one", "broken", "two"])

    assert here.fork_server._turn()
    assert here.imported == ["one", "broken", "two"]


def test_a_worker_prints_to_the_parent_and_reads_nothing(project):
    """Its standard streams are what they would be in a process that was begun with pipes."""
    project.plugin("""
        @stage
        def streams(record):
            kinds = [os.fstat(fd).st_mode & 0o170000 == 0o010000 for fd in (1, 2)]
            return [sys.stdin.read(), kinds, sys.stdout.seekable(), sys.stdout.line_buffering, sys.stderr.errors]
    """)

    assert list(project.results("streams", records=[1])) == [["", [True, True], False, True, "backslashreplace"]]
