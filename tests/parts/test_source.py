from __future__ import annotations

import pytest

from stagerunner.parts.base import part_of
from stagerunner.parts.source import Want, gives_marks, is_stream, source


class Whole:
    def splits(self, after): ...
    def read(self, split): ...
    def identity(self): ...


def ticks():
    yield 1


def test_a_class_is_splittable_and_a_generator_function_a_stream():
    assert not is_stream(Whole)
    assert is_stream(ticks)


def test_a_class_that_only_reads_is_a_stream_with_marks():
    found = type("Topic", (), {"read": lambda self, after: iter(())})

    assert [is_stream(found), gives_marks(found)] == [True, True]
    assert not any(map(gives_marks, (Whole, ticks)))


def test_a_class_that_lacks_methods_is_refused_and_the_methods_named():
    with pytest.raises(TypeError, match="class Half has no read and no identity"):
        is_stream(type("Half", (), {"splits": None}))


@pytest.mark.parametrize("found", [len, "text", lambda: 1])
def test_anything_else_is_no_source(found):
    with pytest.raises(TypeError, match="a class with splits, read and identity, a class with read, or a generator"):
        is_stream(found)


def test_the_decorator_keeps_suffixes():
    found = source("mine", suffixes=(".mine",))(type("Mine", (Whole,), {"__doc__": "Reads mine."}))

    part = part_of(found)
    assert (part.kind, part.name, part.suffixes, part.summary) == ("source", "mine", (".mine",), "Reads mine")


def test_the_bare_decorator_takes_the_name_in_lower_case():
    assert part_of(source(type("Mine", (Whole,), {}))).name == "mine"


def test_a_want_can_be_changed_on_the_way():
    want = Want()
    want.size, want.records = 1, 2

    assert want == Want(1, 2)
