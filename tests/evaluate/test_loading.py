from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stagerunner.evaluate.loading import build, load
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form


def shout(text, *, times=1):
    return text.upper() + "!" * times


class Adder:
    def __init__(self, *, amount=1):
        self.amount = amount

    def process(self, number):
        return number + self.amount


def test_a_target_may_be_nested():
    assert load("collections:abc.Iterator") is Iterator


@pytest.mark.parametrize("target", ["json", "json:", ":loads"])
def test_a_target_needs_module_and_name(target):
    with pytest.raises(ValueError, match="module:name"):
        load(target)


def test_load_raises_what_the_import_raises():
    with pytest.raises(ModuleNotFoundError):
        load("no_such_module_anywhere:f")
    with pytest.raises(AttributeError):
        load("json:no_such_name")


def test_a_function_without_options_stays_the_same():
    assert build(Work(0, "dumps", "json:dumps", Form())) is load("json:dumps")


def test_a_function_gets_its_options(work_of):
    assert build(work_of(shout, options={"times": 2}))("hey") == "HEY!!"


def test_a_class_is_constructed_with_its_options(work_of):
    assert build(work_of(Adder, options={"amount": 3})).process(1) == 4


def loudly(text: str, times: int = 1, *, end: str = "!", **more: Any) -> str:
    return text.upper() + end * times + "".join(more)


def test_options_may_go_into_keyword_arguments_of_any_name(work_of):
    assert build(work_of(loudly, options={"times": 2}))("hey") == "HEY!!"
    assert build(work_of(loudly, options={"times": 1, "end": "?", "more": 0}))("hey") == "HEY?more"


def test_options_stay_with_the_stage_that_has_them(work_of):
    stages = [build(work_of(shout, options={"times": times})) for times in (1, 3)]
    assert [stage("hey") for stage in stages] == ["HEY!", "HEY!!!"]
    assert shout.__kwdefaults__ == {"times": 1}


def test_a_function_with_options_keeps_its_closure_and_its_form(work_of):
    ending = "?"

    def ask(text: str, *, times: int = 1, lower: bool) -> Iterator[str]:
        yield (text.lower() if lower else text) + ending * times

    assert list(build(work_of(ask, options={"lower": True}))("Hey")) == ["hey?"]
