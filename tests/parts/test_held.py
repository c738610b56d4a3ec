from __future__ import annotations

import gc
import sys
from functools import partial
from types import ModuleType

import pytest

from stagerunner.evaluate.loading import load
from stagerunner.parts.held import is_held, target_of


def of_this_module(record):
    return record


class Inner:
    class Deep:
        @staticmethod
        def call(record):
            return record


@pytest.mark.parametrize(
    ("found", "target"),
    [
        (of_this_module, f"{__name__}:of_this_module"),
        (Inner.Deep, f"{__name__}:Inner.Deep"),
        (Inner.Deep.call, f"{__name__}:Inner.Deep.call"),
        (len, "builtins:len"),
        (str.upper, "builtins:str.upper"),
    ],
)
def test_what_a_name_leads_to_goes_by_that_name(found, target):
    assert target_of(found) == target
    assert load(target) is found


class Slotted:
    __slots__ = ()

    def __call__(self, record):
        return record


SLOTTED, BOUND = Slotted(), Slotted().__call__


@pytest.mark.parametrize("found", [lambda record: record, partial(of_this_module), SLOTTED, BOUND])
def test_what_none_leads_to_is_held_by_this_process(found):
    target = target_of(found)
    assert is_held(target)
    assert load(target) is found
    assert target_of(found) == target


def first(record):
    return record


FIRST = first
del first


def test_what_its_name_no_longer_leads_to_is_held():
    assert is_held(target_of(FIRST))


def test_what_was_defined_in_the_program_itself_or_in_no_file_is_held(monkeypatch):
    made = ModuleType("made_up")
    exec("def shout(record): return record", made.__dict__)
    monkeypatch.setitem(sys.modules, "made_up", made)
    assert is_held(target_of(made.shout))
    exec("def shout(record): return record", sys.modules["__main__"].__dict__)
    assert is_held(target_of(sys.modules["__main__"].__dict__.pop("shout")))


def test_it_is_held_no_longer_than_it_is_used():
    target = target_of(lambda record: record)
    gc.collect()
    with pytest.raises(AttributeError, match="this process has no object_"):
        load(target)
