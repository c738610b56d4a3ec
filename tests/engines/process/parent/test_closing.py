from __future__ import annotations

from time import monotonic

import pytest
from support.hiring import hired

from stagerunner.engines.process.parent import closing
from stagerunner.engines.process.parent.closing import Closing
from stagerunner.engines.process.parent.fork_server import Ended

HIRES = {1: hired(names=("parse",)), 2: hired(names=("hide",))}


def begun(ago: float, grace: float = 5.0) -> Closing:
    """Workers that have been closing for so many seconds."""
    made = Closing(grace)
    made.begin()
    assert not made.overdue(HIRES, [])
    made._since = monotonic() - ago
    return made


def test_who_is_over_the_grace_is_to_be_killed_once_and_named():
    late = begun(ago=6)

    assert late.overdue(HIRES, [Ended(1, 11, 0)])
    assert not late.overdue(HIRES, [Ended(1, 11, 0)])
    assert late.failures(HIRES, [Ended(1, 11, 0), Ended(2, 12, -9)]) == ["hide: over its grace of 5 s"]


def test_who_has_ended_is_not_late_whenever_that_is_asked():
    both = [Ended(1, 11, 0), Ended(2, 12, 0)]
    slow = begun(ago=1000)

    assert not slow.overdue(HIRES, both)
    assert slow.failures(HIRES, both) == []


@pytest.mark.parametrize(("ago", "overdue"), [(closing.LEAST / 2, False), (closing.LEAST * 2, True)])
def test_there_is_some_time_to_close_however_small_the_grace(ago, overdue):
    assert begun(ago, grace=0).overdue(HIRES, []) is overdue


def test_failures_of_workers_that_were_replaced_are_kept():
    made = begun(ago=0)
    made.keep(HIRES, [Ended(1, 11, 3), Ended(2, 12, 0)])
    made.begin()

    failures = made.failures({3: hired(names=("new",))}, [Ended(3, 13, 1)])
    assert failures == ["parse: exit status 3", "new: exit status 1"]
