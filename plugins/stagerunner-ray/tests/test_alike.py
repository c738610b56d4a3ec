"""Nodes that have another Python, or other plugins, are named before anything starts."""

from __future__ import annotations

import subprocess
import sys


def test_this_machine_is_like_itself_and_a_difference_is_named():
    # In a process of its own: importing Ray here would settle how a later test starts it.
    code = """
from stagerunner_ray.alike import compared, versions
ours = versions(["stagerunner", "nowhere"])
assert list(compared(ours, dict(ours), "the node 10.0.0.2")) == []
theirs = ours | {"Python": "3.9", "stagerunner": None}
print(*compared(ours, theirs, "the node 10.0.0.2"), sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert done.stdout.splitlines()[0] == f"the node 10.0.0.2 has Python 3.9, and here it is {here}", done.stderr
    assert done.stdout.splitlines()[1].startswith("the node 10.0.0.2 lacks stagerunner, which is 0.")
