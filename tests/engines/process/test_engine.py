from __future__ import annotations

import os
import resource
import selectors

import pytest

from stagerunner.engines.process.engine import EACH_SINK, HELD, OURS, ProcessEngine, make_room, need
from stagerunner.engines.process.parent.worker_pool import WorkerPool, wire
from stagerunner.errors import UsageError


def test_the_process_engine_moves_frames_with_a_pool(project):
    with selectors.DefaultSelector() as selector:
        transport = ProcessEngine().transport(project.load("same").plan, selector, lambda *line: None, "1")

        assert isinstance(transport, WorkerPool)
        transport.close()


def test_stages_run_in_processes_of_their_own(project):
    project.plugin("""
        @stage
        def pid(record):
            return os.getpid()
    """)
    results = list(project.results({"use": "pid", "workers": 2}, records=range(100), run={"frame": 10}))

    assert len(set(results)) == 2
    assert os.getpid() not in results


# Room for a run's descriptors


@pytest.fixture
def limits():
    """What sets the limits on open files, and sets them back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("widths", [[1], [4], [2, 3], [1, 5, 1], [4, 6, 3]])
def test_what_is_needed_is_what_is_opened(widths):
    wiring = wire([1, *widths, 1])
    ends = {*wiring.heads, *wiring.returns, *wiring.theirs}
    try:
        assert need(widths).parent == len(ends) + 2 * sum(widths) + OURS
    finally:
        for end in ends:
            end.close()


def test_a_worker_between_many_has_a_pipe_to_each():
    assert need([1, 300]).worker == 1 + 300 + HELD + OURS


def test_few_workers_need_no_look_at_the_limits(monkeypatch):
    monkeypatch.delattr(resource, "getrlimit")
    assert make_room([1, 1]) == 0


def test_the_soft_limit_is_raised_as_far_as_it_is_needed(limits):
    limits(256)

    make_room([64, 64, 64])

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert need([64, 64, 64]).parent <= soft < min(hard, 2 * need([64, 64, 64]).parent)


def test_it_is_raised_for_many_sinks(limits):
    limits(128)

    make_room([1], 70)

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= need([1]).parent + 69 * EACH_SINK


def test_it_is_raised_for_few_workers_if_it_is_lower_than_usual(limits):
    limits(64)

    assert make_room([1]) > 64

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= need([1]).parent


def test_a_chain_that_fits_leaves_the_limit_alone(limits):
    limits(4096)

    make_room([64, 64])

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 4096


def test_more_workers_than_the_system_allows_are_refused_with_the_numbers():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("no limit on open files here")

    with pytest.raises(UsageError, match=f"this chain's {2 * hard + 1:,} workers .* may have {hard:,} at most"):
        make_room([hard, hard + 1])
    with pytest.raises(UsageError, match=f"1 worker and {hard:,} sinks .* have fewer workers or sinks"):
        make_room([1], hard)
