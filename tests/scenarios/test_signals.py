"""The command under signals: the first one drains and commits, the second one ends at once."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios

import pytest
from support.leaks import needs_proc
from support.processes import alive, descendants
from support.waiting import wait_until

pytestmark = needs_proc

SOURCE = {"use": "range", "with": {"stop": 3000}}
WHOLE = "".join(f"{n}\n" for n in range(3000))

SLOW = """
@stage
def slow(record):
    if record == 100 and once("met"):
        tell("here")
        wait_for("go on")
    return record
"""


def start(project, **run):
    """A chain that stands still at record 100 until it is told to go on."""
    project.plugin(SLOW)
    project.config("same", "slow", source=SOURCE, sink="out.txt", run={"frame": 10, "grace": "60s"} | run)
    process = project.start("run", "chain.yaml", "--progress", "plain")
    wait_until((project / "here").exists)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_drains_and_says_how_to_resume(project, number):
    with start(project) as process:
        process.send_signal(number)
        (project / "go on").touch()
        _, err = process.communicate(timeout=20)

    assert process.returncode == 128 + number
    assert b"--resume" in err
    assert b"Traceback" not in err
    written = (project / "out.txt.partial").read_text()
    assert len(written) < len(WHOLE)
    assert WHOLE.startswith(written)

    assert project.cli("run", "chain.yaml", "--resume").returncode == 0
    assert (project / "out.txt").read_text() == WHOLE


def test_what_does_not_drain_within_the_grace_is_left_to_resume(project):
    with start(project, grace="300ms") as process:
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)

    assert process.returncode == 130
    wait_until(lambda: not any(alive(pid) for pid in family), 1, "the end of every process")
    assert project.cli("run", "chain.yaml", "--resume").returncode == 0
    assert (project / "out.txt").read_text() == WHOLE


def test_the_second_signal_ends_at_once(project):
    with start(project) as process:
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: b"again to stop now" in process.stderr.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=5)

    assert process.returncode == 130
    wait_until(lambda: not any(alive(pid) for pid in family), 1, "the end of every process")
    assert project.cli("run", "chain.yaml", "--resume").returncode == 0
    assert (project / "out.txt").read_text() == WHOLE


@pytest.mark.parametrize("path", ["hole", "hole.csv", "pipe", "/dev/zero"])
def test_a_record_end_that_never_comes_does_not_block_the_parent(project, path):
    """The search goes step by step: in a file of 25 GB without a newline, and in a pipe without a writer."""
    (project / "hole").touch()
    (project / "hole.csv").write_text("a,b\n")
    for name in ("hole", "hole.csv"):
        os.truncate(project / name, 25 * 2**30)
    os.mkfifo(project / "pipe")
    project.config("same", source=path, sink="out.txt", run={"grace": "10s"})
    with project.start("run", "chain.yaml", "-v") as process:
        wait_until(lambda: b"ready" in process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=5)

    assert process.returncode == 143
    assert b"stopped by SIGTERM" in err


STUCK = """
@sink("stuck")
class Stuck:
    keeps = "truncate"

    def __init__(self, *, where: str) -> None:
        self.where = where

    def stand(self, where):
        if where == self.where:
            tell("here")
            time.sleep(100)

    def encode(self, records): return b"x"
    def open(self, position): pass
    def write(self, data): self.stand("write")
    def position(self): return 0
    def commit(self, row): pass
    def finish(self): self.stand("finish")
    def abort(self): self.stand("abort")
    def check(self): pass
    def target(self): return Path("out.txt")
"""


@pytest.mark.parametrize("where", ["write", "finish"])
def test_a_sink_that_does_not_come_back_is_left_when_grace_is_over(project, where):
    project.plugin(STUCK)
    sink = {"use": "stuck", "with": {"where": where}}
    project.config("same", source=SOURCE, sink=sink, run={"grace": "200ms"})
    with project.start("run", "chain.yaml", "-q") as process:
        wait_until((project / "here").exists)
        family = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=5)

    assert process.returncode == 143
    assert err == (
        b"interrupted: stopped by SIGTERM and not done 0.2 s later; nothing more was committed"
        b"; --resume goes on from the last commit\n"
    )
    wait_until(lambda: not any(alive(pid) for pid in family), 1, "the end of every process")


def test_a_second_signal_ends_at_once_what_a_sink_holds_up(project):
    project.plugin(STUCK)
    project.config("same", source=SOURCE, sink={"use": "stuck", "with": {"where": "write"}}, run={"grace": "60s"})
    with project.start("run", "chain.yaml", "-q") as process:
        wait_until((project / "here").exists)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=5)

    assert process.returncode in (130, 143)
    assert b"for the second time; nothing more was committed; --resume goes on from the last commit" in err


def test_a_full_standard_error_does_not_keep_a_run_from_stopping(project):
    """Standard error is a pipe that is full, and a plugin prints on and on."""
    project.plugin("""
        @stage
        def loud(record):
            print("x" * 1000)
            return record
    """)
    project.config("loud", source=SOURCE | {"with": {"stop": 10**6}}, sink="out.txt", run={"grace": "200ms"})
    with project.start("run", "chain.yaml", "--progress", "plain") as process:
        wait_until(lambda: waiting_in(process.stderr) > 60_000, 10, "a full pipe")
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 143


def waiting_in(pipe) -> int:
    """Unread bytes in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4)))[0]


def test_a_signal_to_the_whole_group_reaches_the_parent_only(project):
    with start(project) as process:
        os.killpg(process.pid, signal.SIGINT)
        (project / "go on").touch()
        _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert b"KeyboardInterrupt" not in err
    assert b"ended by" not in err


def test_a_reader_that_leaves_ends_the_run_in_silence(project):
    project.config("same", source={"use": "range", "with": {"stop": 10_000_000}})

    with project.start("run", "chain.yaml", "-q") as process:
        head = [process.stdout.readline() for _ in range(3)]
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(20) == 141

    assert head == [b"0\n", b"1\n", b"2\n"]
    assert err == b""


def test_a_shell_pipe_into_head_is_silent(project):
    project.config("same", source={"use": "range", "with": {"stop": 10_000_000}})
    command = f"{sys.executable} -m stagerunner run chain.yaml | head -n 2"

    done = subprocess.run(["sh", "-c", command], cwd=project.folder, capture_output=True, timeout=30)

    assert (done.stdout, done.stderr) == (b"0\n1\n", b"")


def test_inline_stops_as_well(project):
    with start(project, engine="inline") as process:
        process.send_signal(signal.SIGINT)
        (project / "go on").touch()
        _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert b"Traceback" not in err
    assert project.cli("run", "chain.yaml", "--resume", "--engine", "inline").returncode == 0
    assert (project / "out.txt").read_text() == WHOLE
