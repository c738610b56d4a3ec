from __future__ import annotations

import os
import sys
from mmap import mmap

import pytest

from stagerunner.engines.process.parent.memory import cores, oom_kills, resident

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nothing is known elsewhere")


@linux
def test_a_process_that_takes_memory_has_more_of_it():
    before = resident(os.getpid())
    with mmap(-1, 50_000_000) as taken:  # new pages for certain, whatever was let go of before
        taken.write(bytes(50_000_000))

        assert resident(os.getpid()) - before > 40_000_000


def test_of_a_process_that_is_gone_nothing_is_known():
    assert resident(2**22 + 1) is None


def test_kills_for_want_of_memory_are_counted():
    assert oom_kills() >= 0


def test_there_is_a_processor_for_us():
    assert 1 <= cores() <= (os.cpu_count() or 1)
