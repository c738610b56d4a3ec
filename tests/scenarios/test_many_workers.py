"""Hundreds of workers: they start, or are refused with a reason."""

from __future__ import annotations

import resource
from functools import partial


def limit(soft: int, hard: int | None = None) -> None:
    """Runs in the new process: limits how many files it may have open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard or resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def test_many_workers_start_where_few_files_may_be_open(project):
    """More of them than fit the socket to the fork server and back, and more pipes than the soft limit allows."""
    project.config(
        *[{"use": "same", "workers": 60}] * 6, source={"use": "range", "with": {"stop": 400}}, sink="out.txt"
    )

    done = project.cli("run", "chain.yaml", "-q", preexec_fn=partial(limit, 256))

    assert (done.returncode, done.stderr) == (0, b"")
    assert (project / "out.txt").read_text() == "".join(f"{n}\n" for n in range(400))


def test_more_workers_than_can_be_are_refused_before_anything_is_touched(project):
    project.config({"use": "same", "workers": 200}, {"use": "same", "workers": 200}, sink="out.txt")
    (project / "out.txt").write_text("as it was")

    done = project.cli("run", "chain.yaml", "-q", preexec_fn=partial(limit, 256, 256))

    assert done.returncode == 2
    assert b"this chain's 400 workers need about" in done.stderr
    assert b"may have 256 at most" in done.stderr
    assert (project / "out.txt").read_text() == "as it was"
    assert not (project / "out.txt.partial").exists()
