from __future__ import annotations

import os
import signal
import threading

import pytest

from stagerunner.engines.session import Session
from stagerunner.engines.signals import STOPPING, Signals
from stagerunner.errors import Interrupted
from stagerunner.events import Notice


@pytest.fixture
def session(project):
    plan = project.plan("same", source={"use": "range", "with": {"stop": 10**7}}, sink="out.jsonl", run={"grace": "5s"})
    with Session(plan, project.events.append) as session:
        yield session


def handlers() -> list:
    return [signal.getsignal(number) for number in STOPPING]


def test_what_was_there_before_is_there_again(session):
    before = handlers()

    with Signals(session, on=True):
        assert handlers() != before

    assert handlers() == before


def test_nothing_is_touched_when_it_is_off_or_elsewhere_than_in_the_main_thread(session):
    before, seen = handlers(), []

    def elsewhere():
        with Signals(session, on=True):
            seen.append(handlers())

    with Signals(session, on=False):
        seen.append(handlers())
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()

    assert seen == [before, before]


def test_a_signal_that_is_ignored_stays_ignored(session):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals(session, on=True):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_drains_and_then_says_what_stopped_it(session, project, number):
    with Signals(session, on=True) as caught:
        while not session.delivery.books.out:
            session.step(0.1)
        os.kill(os.getpid(), number)
        while not session.over and not caught.time_is_up():
            session.step(0.1)

        with pytest.raises(Interrupted, match="--resume goes on from there") as stopped:
            caught.end()

    assert stopped.value.exit_code == 128 + number
    assert session.over
    assert "finishing" in project.told(Notice)[0].text


def test_without_a_signal_there_is_nothing_to_end(session):
    with Signals(session, on=True) as caught:
        assert not caught.time_is_up()
        caught.end()
