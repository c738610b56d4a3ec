"""However the parent ends, nothing of the local cluster is left, and --resume goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stagerunner.api import prepare
from stagerunner.plan.preparing import Request

PARTS = """
import time
from stagerunner import stage

@stage
def twice(record):
    time.sleep(0.002)
    return 2 * record
"""
CHAIN = """
version: 1
plugins: [./parts.py]
source: {use: range, with: {stop: 2000}}
stages: [{use: twice, workers: 2}]
sink: out.jsonl
run: {engine: ray, checkpoint: 100ms}
"""
MARK = "STAGERUNNER_TEST_OF_ENDS"


@pytest.mark.parametrize(("how", "times"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGKILL, 1)])
def test_after_any_end_nothing_is_left_and_resume_goes_on(how, times, cluster, tmp_path, monkeypatch):
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "chain.yaml").write_text(CHAIN)
    home = tmp_path / "home"
    home.mkdir()
    clusters = set(Path("/tmp").glob("sr-*"))
    environment = os.environ | {MARK: str(tmp_path), "HOME": str(home)}
    run = subprocess.Popen(
        [sys.executable, "-m", "stagerunner", "run", "chain.yaml", "-q"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    until(lambda: size(tmp_path / "out.jsonl.partial") > 100)
    for _ in range(times):
        run.send_signal(how)
    told = run.communicate(timeout=30)[1]

    assert run.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL), told
    until(lambda: not (found := left(str(tmp_path))) or print(found), seconds=3)
    until(lambda: set(Path("/tmp").glob("sr-*")) <= clusters, seconds=3)
    assert os.listdir(home) == []

    monkeypatch.chdir(tmp_path)
    before = size(tmp_path / "out.jsonl.partial")
    prepare(Path("chain.yaml"), Request(resume=True)).execute()

    assert 0 < before < size(tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "".join(f"{2 * number}\n" for number in range(2000))


def size(path):
    return path.stat().st_size if path.exists() else 0


def until(done, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, done()
        time.sleep(0.02)


def left(mark):
    """The processes that inherited the mark."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                environment = Path(f"/proc/{name}/environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in environment:
                found.append((name, Path(f"/proc/{name}/cmdline").read_bytes()))
    return found
