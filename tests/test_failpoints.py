from __future__ import annotations

import os
import subprocess
import sys

from stagerunner.failpoints import POINTS, point

DIES_AT_THE_SECOND = (
    "from stagerunner.failpoints import point; point('commit'); print('once', flush=True); point('commit')"
)


def run(**environment):
    return subprocess.run(
        [sys.executable, "-c", DIES_AT_THE_SECOND],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_point_is_nothing_unless_it_is_asked_for():
    for name in POINTS:
        point(name)


def test_a_process_dies_where_it_is_told_to_and_says_so_before(tmp_path):
    log = tmp_path / "log"

    ended = run(STAGERUNNER_KILL_AT="commit:2", STAGERUNNER_KILL_LOG=str(log))

    assert (ended.returncode, ended.stdout) == (-9, "once\n")
    assert log.read_text() == "commit\n"


def test_another_point_does_it_no_harm():
    assert run(STAGERUNNER_KILL_AT="accept:1").returncode == 0
