"""An actor or a node is lost in the middle: nothing is lost or doubled in what is delivered.

In a network namespace with nothing but loopback, where that is allowed: nothing else is needed, and nobody hears of it.
FULL=1 in the environment asks for ten of each.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("two_nodes.py")
ALONE = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


@pytest.mark.timeout(900)
def test_an_actor_and_a_node_are_lost_and_nothing_else(tmp_path):
    times = 10 if os.environ.get("FULL") else 1
    runs = outcomes(tmp_path, times)

    assert [run["lost"] for run in runs] == ["actor"] * times + ["node"] * times
    for run in runs:
        assert run["same"], run
        assert run["restarts"] >= 1, run
        assert run["held"] in [stage for stage, _ in run["failed"]], run
    assert {how for run in runs if run["lost"] == "actor" for _, how in run["failed"]} == {"the loss of its actor"}


def outcomes(folder, times):
    command = [sys.executable, str(SCRIPT), str(times)]
    done = subprocess.run(
        [*(ALONE if may_be_alone() else []), *command], cwd=folder, capture_output=True, text=True, timeout=850
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]  # Ray has nothing to say there


def may_be_alone():
    """Whether we may have a network namespace of our own: it takes root, and two programs."""
    if os.geteuid() or not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0
