from __future__ import annotations

import pytest

from stagerunner.engines.trial import Place, fullness
from stagerunner.evaluate.evaluator import make
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form
from stagerunner.records import Batch, Failure


def evaluator(form: Form, **settings):
    return make(Work(0, "asks", "builtins:str", form, **settings))


@pytest.mark.parametrize(("records", "share"), [([16], 1.0), ([8, 8], 1.0), ([4], 0.25), ([20], 20 / 32), ([0], 1.0)])
def test_an_async_stage_was_as_full_as_its_calls_allowed(records, share):
    stage = evaluator(Form(awaited=True), concurrency=16)

    assert fullness(stage, [Batch([None] * count) for count in records]) == share


def test_a_list_is_one_call():
    stage = evaluator(Form(awaited=True, batch=True), concurrency=2, batch=10)

    assert fullness(stage, [Batch([None] * 25)]) == 3 / 4


@pytest.mark.parametrize("form", [Form(), Form(awaited=True, state=True)])
def test_who_takes_one_record_at_a_time_is_always_full(form):
    assert fullness(evaluator(form), [Batch([None])]) == 1


def test_a_place_forgets_its_clocks_and_keeps_its_counts():
    place = Place("parse")
    place.came(10, 9)
    place.blame([Failure(0, 3, 0, "ValueError", "no date", "skip")])
    place.forget()
    place.came(5, 5)

    assert (place.taken, place.given, place.timed) == (15, 14, 5)
    assert (place.failed, place.first) == (1, "ValueError: no date")
