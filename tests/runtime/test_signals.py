from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest

from stagerunner.errors import Interrupted
from stagerunner.events import Notice
from stagerunner.inherited import STOPPING
from stagerunner.runtime.session import Session
from stagerunner.runtime.signals import Signals, Watchdog


@pytest.fixture
def session(project):
    plan = project.plan("same", source={"use": "range", "with": {"stop": 10**7}}, sink="out.jsonl", run={"grace": "5s"})
    with Session(plan, project.events.append) as session:
        yield session


def handlers() -> list:
    return [signal.getsignal(number) for number in STOPPING]


def signals(grace: float = 5) -> Signals:
    return Signals(grace, lambda error: None)


def test_what_was_there_before_is_there_again():
    before = handlers()

    with signals():
        assert handlers() != before

    assert handlers() == before


def test_nothing_is_touched_elsewhere_than_in_the_main_thread():
    before, seen = handlers(), []

    def elsewhere():
        with signals():
            seen.append(handlers())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()

    assert seen == [before]


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_how_long_a_chain_with_state_may_take_is_said(project):
    """None of its frames is cut, so it ends later than after the records in hand."""
    take = {"use": "take", "with": {"n": 10**6}}
    plan = project.plan(take, source={"use": "range", "with": {"stop": 10}}, sink="out.jsonl")
    with Session(plan, project.events.append) as session, signals(grace=7) as caught:
        caught.stop(session)
        os.kill(os.getpid(), signal.SIGTERM)
        caught.time_is_up()

    assert "the records in flight, for up to 7 s" in project.told(Notice)[0].text


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_drains_and_then_says_what_stopped_it(session, project, number):
    with signals() as caught:
        caught.stop(session)
        while not session.delivery.ledger.out:
            session.step(0.1)
        os.kill(os.getpid(), number)
        while not session.over and not caught.time_is_up():
            session.step(0.1)

        with pytest.raises(Interrupted, match="--resume goes on from there") as stopped:
            caught.end()

    assert stopped.value.exit_code == 128 + number
    assert session.over
    assert "finishing" in project.told(Notice)[0].text


def test_a_signal_that_came_while_the_session_was_made_stops_it_as_well(session):
    with signals() as caught:
        os.kill(os.getpid(), signal.SIGTERM)
        caught.stop(session)
        while not session.over and not caught.time_is_up():
            session.step(0.1)

        with pytest.raises(Interrupted, match="after 0 records"):
            caught.end()


def test_without_a_signal_there_is_nothing_to_end(session):
    with signals() as caught:
        caught.stop(session)
        assert not caught.time_is_up()
        caught.end()


def test_without_another_thread_to_be_had_a_signal_still_stops_it(session, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with signals() as caught:
        caught.stop(session)
        os.kill(os.getpid(), signal.SIGTERM)
        while not session.over and not caught.time_is_up():
            session.step(0.1)

        with pytest.raises(Interrupted):
            caught.end()


def test_the_watchdog_hears_signals_and_ends_at_the_second_or_when_patience_is_over():
    ended = queue.SimpleQueue()
    with forwarded(signal.SIGHUP), closing(Watchdog(60, partial(told, ended))):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert ended.get(timeout=5) == (signal.SIGHUP, True)

    with forwarded(signal.SIGHUP), closing(Watchdog(0.01, partial(told, ended))):
        os.kill(os.getpid(), signal.SIGHUP)
        assert ended.get(timeout=5) == (signal.SIGHUP, False)


def told(ended: queue.SimpleQueue, number: int, *, again: bool) -> None:
    ended.put((number, again))


@contextmanager
def forwarded(number: int) -> Iterator[None]:
    """Only what has a handler is told to anybody."""
    before = signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_what_ends_with_the_process_hears_no_signal_behind_it():
    before = handlers()
    try:
        with Signals(10.0, lambda error: None, to_the_end=True):
            pass
        for number in STOPPING:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in zip(STOPPING, before, strict=True):
            signal.signal(number, handler)
