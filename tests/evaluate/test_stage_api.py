from __future__ import annotations

from stagerunner.evaluate.stage_api import CallListener, call_with_listener, count, current, enough


def test_outside_a_stage_nothing_happens():
    count("hits")
    enough()
    assert current.get() is None


def test_counts_are_added_up_by_name():
    voice = CallListener()
    call_with_listener(voice, lambda: (count("hits"), count("hits", 4), count("misses", 0)))
    assert voice.extra == {"hits": 5, "misses": 0}


def test_enough_is_heard():
    voice = CallListener()
    call_with_listener(voice, enough)
    assert voice.said_enough


def test_an_evaluator_inside_an_evaluator_hears_its_own():
    outer, inner = CallListener(), CallListener()
    call_with_listener(outer, lambda: (call_with_listener(inner, lambda: count("deep")), count("flat")))
    assert (outer.extra, inner.extra) == ({"flat": 1}, {"deep": 1})


def test_nobody_hears_after_a_raise():
    try:
        call_with_listener(CallListener(), lambda: 1 / 0)
    except ZeroDivisionError:
        assert current.get() is None
