from __future__ import annotations

import pickle
import queue
import selectors
import sqlite3
import threading
from contextlib import closing
from itertools import count

import pytest
from support.leaks import nothing_left
from support.waiting import wait_until

from stagerunner.parts.source import Want
from stagerunner.runtime.input import GivenRecords
from stagerunner.runtime.iterator_input import DrawnRecords, given

LONG = 60.0


@pytest.fixture
def drawn():
    """A split source over an iterable, and the selector it wakes."""
    with nothing_left(), selectors.DefaultSelector() as selector:
        split_sources = []

        def drawn(records, linger=LONG):
            split_sources.append(DrawnRecords(iter(records), selector, linger))
            split_sources[-1].selector = selector
            return split_sources[-1]

        yield drawn
        for split_source in split_sources:
            split_source.close()


def taken(split_source, wanted=1):
    """The next split, as the loop waits for it; None at the end."""
    while (pending := split_source.next(Want(records=wanted))) is None and not split_source.ended:
        for key, _ in split_source.selector.select(split_source.due()):
            key.data()
    return None if pending is None else pickle.loads(pending.payload)


@pytest.mark.parametrize("records", [[1], (1,), range(1), {1}, {1: 2}.values(), iter([1]), count()])
def test_what_never_waits_needs_no_thread(records):
    assert type(given(records, None, 0.0)) is GivenRecords


def test_a_cursor_is_read_in_the_thread_that_it_belongs_to():
    with closing(sqlite3.connect(":memory:")) as connection:
        split_source = given(connection.execute("SELECT 1"), None, 0.0)
        assert pickle.loads(split_source.next(Want(records=2)).payload) == [(1,)]


def test_whatever_else_there_is_might_wait():
    with selectors.DefaultSelector() as selector:
        split_source = given((n for n in range(1)), selector, 0.0)
        split_source.close()
    assert type(split_source) is DrawnRecords


def test_records_come_in_order_and_as_many_as_are_wanted(drawn):
    split_source = drawn(n for n in range(5))
    split_source.idle = lambda: False
    assert [taken(split_source, 2) for _ in range(4)] == [[0, 1], [2, 3], [4], None]
    assert (split_source.ended, split_source.error) == (True, None)


def test_no_more_are_drawn_than_are_asked_for(drawn):
    seen = []
    split_source = drawn(seen.append(n) or n for n in count())
    split_source.idle = lambda: False
    assert taken(split_source, 3) == [0, 1, 2]
    assert seen == [0, 1, 2]


def test_a_record_goes_alone_while_nothing_is_under_way(drawn):
    fed = queue.Queue()
    split_source = drawn(iter(fed.get, None))
    for n in range(3):
        fed.put(n)
        assert taken(split_source, 100) == [n]
    fed.put(None)


def test_a_record_waits_for_others_no_longer_than_it_may(drawn):
    fed = queue.Queue()
    split_source = drawn(iter(fed.get, None), linger=0.02)
    split_source.idle = lambda: False
    fed.put(1)
    fed.put(2)
    assert taken(split_source, 100) in ([1], [1, 2])
    fed.put(None)


def test_records_that_wait_are_due_only_in_time(drawn):
    fed = queue.Queue()
    split_source = drawn(iter(fed.get, None))
    split_source.idle = lambda: False
    assert split_source.due() is None
    fed.put(1)
    assert split_source.next(Want(records=2)) is None
    wait_until(lambda: split_source.due() is not None, what="the record")
    assert 0 < split_source.due() <= LONG
    assert not split_source.prompt
    fed.put(2)
    wait_until(lambda: split_source.prompt, what="its company")
    assert taken(split_source, 2) == [1, 2]
    fed.put(None)


@pytest.mark.parametrize("kind", [LookupError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_the_iterator_raises_comes_behind_its_records(drawn, kind):
    def records():
        yield 1
        raise kind("mine")

    split_source = drawn(records())
    assert [taken(split_source), taken(split_source)] == [[1], None]
    assert isinstance(split_source.error, kind)


def test_a_record_that_can_not_be_sent_ends_it(drawn):
    split_source = drawn(lambda: 1 for _ in range(2))
    assert taken(split_source, 2) is None
    assert split_source.error is not None


@pytest.mark.parametrize("drawn_before", [0, 1])
def test_a_generator_is_closed_when_nothing_more_is_wanted(drawn, drawn_before):
    closed = []

    def records():
        try:
            yield from count()
        finally:
            closed.append(threading.current_thread().name)

    generator = records()
    split_source = drawn(generator)
    assert [taken(split_source) for _ in range(drawn_before)] == [[n] for n in range(drawn_before)]
    split_source.close()
    assert len(closed) == drawn_before
    assert next(generator, "closed") == "closed"


def test_a_file_of_the_callers_stays_open(drawn, tmp_path):
    (tmp_path / "in.txt").write_text("a\nb\n")
    with (tmp_path / "in.txt").open() as file:
        split_source = drawn(file)
        assert taken(split_source) == ["a\n"]
        split_source.close()
        assert not file.closed


def test_an_iterator_that_waits_holds_nobody_up_and_touches_nothing_later(drawn):
    fed = queue.Queue()
    split_source = drawn(iter(fed.get, None))
    assert split_source.next(Want()) is None
    split_source.close()
    assert any(thread.name == "stagerunner records" for thread in threading.enumerate())
    fed.put("late")
    wait_until(lambda: all(t.name != "stagerunner records" for t in threading.enumerate()), what="the thread's end")


def test_closing_twice_does_no_harm(drawn):
    split_source = drawn(n for n in range(5))
    split_source.close()
    split_source.close()
    assert split_source.next(Want()) is None
