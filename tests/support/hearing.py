"""What the tests' own process makes of signals that it was started to ignore."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def nobody_is_deaf() -> None:
    """Processes of tests hear what a terminal's would, also when the tests run in the background or under nohup."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # a handler is not inherited, being ignored is
