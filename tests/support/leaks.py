"""After a test nothing of its runs is left: no child, no descriptor, no thread."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import children, descriptors
from support.waiting import wait_until

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")


@contextmanager
def nothing_left() -> Iterator[None]:
    """A context that fails if its body leaves a child, a descriptor or a thread behind."""
    before, threads = _held(), set(threading.enumerate())
    yield
    gc.collect()
    wait_until(lambda: set(threading.enumerate()) <= threads, what="the end of every thread")
    assert _held() - before == set()


def _held() -> set[str]:
    if not Path("/proc/self/fd").exists():
        return set()
    return {f"descriptor {fd}: {what}" for fd, what in descriptors().items()} | {f"child {pid}" for pid in children()}
