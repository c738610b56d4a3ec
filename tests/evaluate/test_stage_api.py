from __future__ import annotations

from stagerunner.evaluate.stage_api import CallListener, call_with_listener, count, current, enough


def test_outside_a_stage_nothing_happens():
    count("hits")
    enough()
    assert current.get() is None


def test_counts_are_added_up_by_name():
    listener = CallListener()
    call_with_listener(listener, lambda: (count("hits"), count("hits", 4), count("misses", 0)))
    assert listener.extra == {"hits": 5, "misses": 0}


def test_enough_reaches_the_listener():
    listener = CallListener()
    call_with_listener(listener, enough)
    assert listener.said_enough


def test_nested_evaluators_have_their_own_listeners():
    outer, inner = CallListener(), CallListener()
    call_with_listener(outer, lambda: (call_with_listener(inner, lambda: count("deep")), count("flat")))
    assert (outer.extra, inner.extra) == ({"flat": 1}, {"deep": 1})


def test_after_a_raise_there_is_no_listener():
    try:
        call_with_listener(CallListener(), lambda: 1 / 0)
    except ZeroDivisionError:
        assert current.get() is None
