"""Hundreds of workers: they start, or are refused with a reason."""

from __future__ import annotations

import resource
import sys
from functools import partial

import pytest


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names of processes that can be set")
def test_each_worker_is_named_by_its_stage_and_number(project):
    project.plugin("""
        @stage
        def name_of_this_process(record) -> str:
            with open("/proc/self/comm") as file:
                return file.read().strip()
    """)
    stages = [{"use": "name_of_this_process", "name": "parse", "workers": 2}, {"use": "same", "workers": 2}]

    assert list(project.load(*stages, run={"frame": 1}).run(range(4))) == ["parse.1", "parse.2"] * 2
