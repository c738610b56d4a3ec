"""The engine as a user meets it."""

from __future__ import annotations

import subprocess
import sys


def test_a_chain_gives_what_it_gives_without_ray(tmp_path):
    (tmp_path / "parts.py").write_text(
        "from stagerunner import stage\n\n@stage\ndef twice(record: int) -> int:\n    return 2 * record\n"
    )
    (tmp_path / "chain.yaml").write_text(
        "version: 1\nsource: {use: range, with: {stop: 500}}\nstages: [{use: ./parts.py:twice, workers: 2}]\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "stagerunner", "run", "chain.yaml", "--engine", "ray", "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(2 * number) for number in range(500)]
