"""The thread that makes parts: what it is asked for is done in order, and what fails is said at the next chance."""

import threading

import pytest
from support import needs

needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner_parts.columnar.encoding import Encoding


@pytest.fixture
def encoding():
    made = Encoding(ahead=2)
    yield made
    made.close()


def failing():
    raise OSError(28, "No space left on device")


def test_tasks_are_done_in_order_in_another_thread(encoding):
    done = []
    for number in range(10):
        encoding.ask(lambda number=number: done.append((number, threading.get_ident())))
    encoding.wait()
    assert [number for number, _ in done] == list(range(10))
    assert threading.get_ident() not in {thread for _, thread in done}


def test_what_fails_is_raised_later_and_nothing_is_done_behind_it(encoding):
    done = []
    encoding.ask(failing)
    with pytest.raises(OSError, match="No space left"):
        encoding.wait()
    with pytest.raises(OSError, match="No space left"):
        encoding.ask(lambda: done.append(1))
    assert done == []


def test_the_end_waits_for_the_task_in_hand_and_drops_the_others(encoding):
    begun, go_on, done = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        go_on.wait()
        done.append("slow")

    encoding.ask(slow)
    begun.wait()
    encoding.ask(lambda: done.append("dropped"))
    closing = threading.Thread(target=encoding.close)
    closing.start()
    while not encoding.closed:
        pass
    go_on.set()
    closing.join()
    assert done == ["slow"]
    assert not [thread for thread in threading.enumerate() if thread.name == "columns"]


def test_nothing_asked_for_needs_no_thread(encoding):
    encoding.wait()
    encoding.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "columns"]
