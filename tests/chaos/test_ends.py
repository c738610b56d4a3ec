"""Runs that end early or meet another run: signals, readers, full disks, second runs, changed chains."""

from __future__ import annotations

import array
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from chaos_support.case import Case, environment
from chaos_support.family import send
from chaos_support.oracle import calm, done, exact, left_over
from chaos_support.running import RESUME, Run, count, gone
from chaos_support.scenario import named
from support.leaks import needs_proc
from support.processes import asleep
from support.waiting import wait_until

pytestmark = [needs_proc, pytest.mark.reliability("ends"), pytest.mark.timeout(120)]

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def _case(folder: Path, *before: dict[str, Any], pause: float = 0.002, **settings: Any) -> Case:
    """300 records of 2 ms each, one refused; what stages come `before` is up to the test."""
    records = [{"key": "a", "value": number, "deed": "kill" if number == 20 else ""} for number in range(300)]
    options = {"harmless": True, "pause": pause}
    deadly = {"use": "deadly", "with": options, "on_error": "dead_letter", **settings}
    run = {"frame": 4, "checkpoint": "1ms", "window": "2KiB", "grace": "2s"}
    return Case(folder / "case", named([*before, {"use": "same", "workers": 2}, deadly]), records, run=run).write()


def _under_way(run: Run, records: int = 30) -> None:
    run.wait_until(lambda: count(run.case, "leave") >= records, "the first records")
    assert not run.over, run.said


def _resumed(case: Case) -> None:
    expected = case.expected()
    with Run(case, *RESUME) as run:
        done(case, run, expected)


# Signals


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_stops_in_good_order(tmp_path, number):
    case = _case(tmp_path)
    with Run(case) as run:
        _under_way(run)
        run.process.send_signal(number)
        assert run.wait(5) == 128 + number

    calm(run)
    assert "--resume" in run.said
    left_over(case, 1)
    _resumed(case)


def test_the_second_signal_kills_at_once(tmp_path):
    case = _case(tmp_path, pause=0.5)
    with Run(case) as run:
        _under_way(run, 1)
        run.process.send_signal(signal.SIGINT)
        run.wait_until(lambda: "stopping" in run.said, "the first signal")
        began = monotonic()
        run.process.send_signal(signal.SIGINT)
        assert run.wait(5) == 130

    assert monotonic() - began < 2
    gone(case, 1)


def test_a_stage_that_never_returns_does_not_hold_up_the_end(tmp_path):
    case = _case(tmp_path, pause=600.0)
    with Run(case) as run:
        run.wait_until(lambda: count(case, "enter"), "the first record")
        began = monotonic()
        run.process.send_signal(signal.SIGTERM)
        assert run.wait(10) == 143

    assert monotonic() - began < 2 + 2, "the grace is 2 s"
    gone(case, 1)


def test_within_a_second_of_the_parents_death_everything_is_gone(tmp_path):
    case = _case(tmp_path)
    with Run(case) as run:
        _under_way(run)
        run.process.kill()
        gone(case, 1)
    left_over(case)
    _resumed(case)


@pytest.mark.parametrize("victim", ["parent", "fork_server", "worker"])
def test_a_run_that_is_suspended_and_continued_quarantines_no_record(tmp_path, victim):
    case = _case(tmp_path, timeout="1s")
    expected = case.expected()
    with Run(case) as run:
        _under_way(run)
        pid = {"parent": run.pid, "fork_server": run.fork_server, "worker": run.workers[-1]}[victim]
        send(pid, signal.SIGSTOP)
        with suppress(subprocess.TimeoutExpired):  # a worker in its place may have done all of it
            run.process.wait(2.5)  # longer than the timeout of the stage, and than the gap taken for a suspension
        send(pid, signal.SIGCONT)
        done(case, run, expected)


# Readers


def _to_stdout(case: Case, records: int = 2_000_000) -> Case:
    config = {"version": 1, "source": {"use": "range", "with": {"stop": records}}, "stages": [], "run": {"grace": "1s"}}
    case.config.write_text(json.dumps(config))
    return case


def test_a_reader_that_leaves_ends_the_run_in_silence(tmp_path):
    case = _to_stdout(_case(tmp_path))
    with Run(case, popen={"stdout": subprocess.PIPE}) as run:
        assert run.process.stdout.readline() == b"0\n"
        run.process.stdout.close()
        assert run.wait(10) == 141
    assert run.said == ""
    gone(case, 1)


def test_a_reader_that_never_reads_blocks_no_stop(tmp_path):
    case = _to_stdout(_case(tmp_path))
    with Run(case, popen={"stdout": subprocess.PIPE}) as run:
        pipe = run.process.stdout
        wait_until(lambda: _queued(pipe.fileno()) > 16_000 and asleep(run.pid), what="a full pipe")
        began = monotonic()
        run.process.send_signal(signal.SIGINT)
        assert run.wait(10) == 130
        pipe.close()
    assert monotonic() - began < 3, "the grace is 1 s"
    gone(case, 1)


def _queued(fd: int) -> int:
    """Bytes that wait in a pipe."""
    size = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, size)
    return size[0]


# A full disk


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_a_full_disk_stops_and_resumes(tmp_path):
    case = _case(tmp_path, pause=0)
    limited = 9000
    with Run(case, wrapper=("prlimit", f"--fsize={limited}")) as run:
        assert run.wait() == 75, run.said
    calm(run)
    left_over(case)
    _resumed(case)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_a_disk_that_is_really_full_stops_and_resumes(tmp_path):
    case = _case(tmp_path, pause=0)
    disk = ("mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(case.out))
    if subprocess.run(disk, capture_output=True, timeout=30).returncode:
        pytest.skip("can't mount here")
    try:
        with Run(case) as run:
            assert run.wait() == 75, run.said
        calm(run)
        subprocess.run(("mount", "-o", "remount,size=10m", str(case.out)), check=True, timeout=30)
        _resumed(case)
    finally:
        subprocess.run(("umount", str(case.out)), check=True, timeout=30)


# Bad company

RUDE = """
import os, signal, threading, time
from stagerunner import stage

def once(name):
    try:
        os.close(os.open({folder!r} + "/" + name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

@stage
def rude(record):
    if record["value"] == 40 and once("done"):
        {deed}
    return record

def idle():
    while True:
        time.sleep(1)
"""

DEEDS = {
    "forks": "os.fork() or idle()",
    "leaves with status 0": "os._exit(0)",
    "closes descriptors": "os.closerange(3, 256)",
    "blocks SIGTERM": "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})",
    "starts threads": "[threading.Thread(target=idle).start() for _ in range(5)]",
    "changes folder and mask": "os.chdir('/'); os.umask(0o777)",
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_plugin_does_to_its_own_process_harms_no_other(tmp_path, deed):
    plugin = tmp_path / "rude.py"
    plugin.write_text(RUDE.format(folder=str(tmp_path), deed=DEEDS[deed]))
    records = [{"key": "a", "value": number, "deed": ""} for number in range(100)]
    case = Case(tmp_path / "case", [{"use": "rude", "name": "rude"}], records, plugin=plugin).write()
    with Run(case) as run:
        assert run.wait(20) == 0, run.said
        gone(case, 1)
    calm(run)
    assert [json.loads(line) for line in case.got().output.splitlines()] == records


# Ownership of outputs


def test_the_second_run_into_one_output_leaves_the_first_alone(tmp_path):
    case = _case(tmp_path)
    expected = case.expected()
    with Run(case) as first:
        _under_way(first)
        first.process.send_signal(signal.SIGSTOP)  # it would be done before the other has begun, on a busy machine
        second = subprocess.run(
            [sys.executable, "-m", "stagerunner", "run", str(case.config)],
            env=environment(case),
            capture_output=True,
            timeout=60,
        )
        first.process.send_signal(signal.SIGCONT)
        assert second.returncode == 73, second.stderr
        done(case, first, expected)


def _killed_half_way(case: Case) -> None:
    with Run(case) as run:
        _under_way(run)
        run.process.kill()
    gone(case)


def _changed(case: Case, **changes: Any) -> None:
    config = json.loads(case.config.read_text())
    case.config.write_text(json.dumps({**config, **changes}))


def _more_input(case: Case) -> None:
    with open(case.folder / "in.jsonl", "a") as file:
        file.write('{"key": "a", "value": 9, "deed": ""}\n')


CHANGES = {
    "an option": lambda case: _changed(case, stages=named([{"use": "plus", "with": {"by": 2}}])),
    "the policy": lambda case: _changed(case, source={"use": "jsonl", "with": {"path": "in.jsonl"}}),
    "the input": _more_input,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_chain_that_was_changed_is_not_resumed(tmp_path, change):
    case = _case(tmp_path)
    _killed_half_way(case)
    CHANGES[change](case)

    with Run(case, *RESUME) as run:
        assert run.wait() == 2

    assert "changed" in run.said
    assert "--force-resume" in run.said
    calm(run)


def test_a_chain_that_was_changed_can_be_forced(tmp_path):
    case = _case(tmp_path)
    expected = case.expected()
    _killed_half_way(case)
    config = json.loads(case.config.read_text())
    config["stages"][-1]["with"]["pause"] = 0
    case.config.write_text(json.dumps(config))

    with Run(case, "--force-resume") as run:
        assert run.wait() == 3, run.said

    exact(case, expected)


NEVER = {
    "a state that can't be told": {"stages": [{"use": "forgetful"}]},
    "standard input": {"source": {"use": "lines", "with": {"path": "-"}}},
    "standard output": {"sink": "stdout"},
    "no journal": {"run": {"journal": "off"}},
}


@pytest.mark.parametrize("why", NEVER)
def test_what_can_never_be_resumed_says_so(tmp_path, why):
    case = _case(tmp_path)
    _changed(case, **NEVER[why])

    with Run(case, *RESUME) as run:
        assert run.wait() == 2

    assert "--resume is not possible" in run.said
    calm(run)


def test_a_finished_run_is_not_done_again(tmp_path):
    case = _case(tmp_path, pause=0)
    expected = case.expected()
    with Run(case) as run:
        done(case, run, expected)
    before = case.output.stat()

    with Run(case, *RESUME) as run:
        assert run.wait() == 3

    exact(case, expected)
    assert (case.output.stat().st_ino, case.output.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
