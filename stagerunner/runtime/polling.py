"""Waiting for events: asleep as a rule, awake while a lone frame is about to come back.

With one frame on its way, one worker has something to do and the parent nothing. If the parent sleeps, each hop wakes
another processor, 50 µs and more on a virtual machine. If it stays awake, the workers wake each other on a processor
that is awake already: on a quiet machine a lone record comes back after 290 µs instead of 550. The parent stays awake
only while frames do come back within SOON, so a longer wait costs no processor time.
"""

from __future__ import annotations

import selectors
from time import monotonic

SOON = 0.001
"""Seconds: twice what a record takes through three stages and back."""

Events = list[tuple[selectors.SelectorKey, int]]


class Polling:
    """Waits for a selector. cores: with fewer than two, staying awake would keep the workers from theirs."""

    def __init__(self, selector: selectors.BaseSelector, cores: int) -> None:
        self._select = selector.select
        self._cores = cores
        self._soon = False

    def wait(self, timeout: float, *, lone: bool) -> Events:
        """The events, after `timeout` seconds at most. lone: exactly one frame is on its way."""
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
