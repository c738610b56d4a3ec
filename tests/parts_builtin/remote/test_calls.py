import threading

import pytest

from stagerunner_parts.remote.calls import Call, Pump


def test_a_call_gives_or_raises_what_its_function_does():
    call = Call(lambda: 7)
    assert call.ended(10)
    assert call.result() == 7
    failed = Call(lambda: 1 / 0)
    assert failed.ended(10)
    with pytest.raises(ZeroDivisionError):
        failed.result()


def test_nobody_has_to_wait_for_a_call():
    end = threading.Event()
    call = Call(end.wait)
    assert not call.ended(0.001)
    end.set()
    assert call.ended(10)


def taken(pump):
    while True:
        while (item := pump.next()) is None:
            pass
        if not item:
            return
        yield item


def test_chunks_come_in_order_and_then_the_end():
    chunks = [b"%d" % number for number in range(99)]
    assert list(taken(Pump(iter([b"", *chunks])))) == chunks


def test_what_is_not_here_yet_is_not_waited_for_and_an_error_comes_in_its_place():
    go = threading.Event()

    def chunks():
        yield b"a"
        go.wait()
        raise OSError("gone")

    pump = Pump(chunks())
    found = taken(pump)
    assert next(found) == b"a"
    assert pump.next() is None
    go.set()
    with pytest.raises(OSError, match="gone"):
        next(found)
