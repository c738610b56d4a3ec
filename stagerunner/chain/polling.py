"""Waiting for events: asleep as a rule, awake where the answer is about to come.

With one frame on its way a single worker has something to do, and the parent nothing. If it sleeps, each hop wakes
another processor, 50 µs a time on a virtual machine; if it stays awake, what it keeps busy is a processor nobody needs,
and the workers wake each other on one that is awake already: a record that is sent when the last one is back comes back
after 330 µs instead of 440. It is done only while frames do come back that soon, so that nobody pays for it who waits
longer.
"""

from __future__ import annotations

import selectors
from time import monotonic

SOON = 0.001
"""Seconds: twice what a record takes through three stages and back."""

Events = list[tuple[selectors.SelectorKey, int]]


class Polling:
    """A selector, waited for. cores: with less than two of them whoever stays awake is in the way."""

    def __init__(self, selector: selectors.BaseSelector, cores: int) -> None:
        self._select = selector.select
        self._cores = cores
        self._soon = False

    def wait(self, timeout: float, *, lone: bool) -> Events:
        """What has happened, at the latest after so many seconds. lone: one frame is on its way, and no other."""
        if not lone or timeout < SOON or self._cores < 2:
            return self._select(timeout)
        until = monotonic() + SOON
        events: Events = []
        while self._soon and not events and monotonic() < until:
            events = self._select(0)
        if not events:
            events = self._select(timeout)
        self._soon = bool(events) and monotonic() < until
        return events
