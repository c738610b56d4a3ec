"""Several fork servers as one: one for each Python."""

from __future__ import annotations

import os
import selectors
import signal
import sys

import pytest
from support.leaks import needs_proc
from support.waiting import wait_until

from stagerunner.engines.process.parent.fork_servers import OURS, ForkServers
from stagerunner.errors import RunFailed

pytestmark = needs_proc


@pytest.fixture
def servers():
    selector = selectors.DefaultSelector()
    made = ForkServers(selector, lambda: None, "1")
    yield made
    made.close()
    assert not selector.get_map()
    selector.close()


def pids(servers):
    return {executable: one.pid for executable, one in servers._running.items()}


def test_ours_is_always_there_and_what_runs_is_kept(servers):
    assert servers.gone
    servers.require([sys.executable])
    before = pids(servers)
    assert set(before) == {OURS, sys.executable}
    servers.require([OURS])
    assert pids(servers) == before
    assert not servers.gone


def test_only_one_that_has_ended_is_replaced(servers):
    servers.require([sys.executable])
    before = pids(servers)
    os.kill(before[sys.executable], signal.SIGKILL)

    def gone():
        list(servers.exits())
        return servers.gone

    wait_until(gone)
    servers.end_workers(1)
    servers.require([sys.executable])
    after = pids(servers)
    assert after[OURS] == before[OURS]
    assert after[sys.executable] != before[sys.executable]
    assert not servers.gone


def test_a_python_that_is_no_more_is_named(servers):
    with pytest.raises(RunFailed, match="/nowhere/python can no longer be run: No such file"):
        servers.require(["/nowhere/python"])
