from __future__ import annotations

import pytest

from stagerunner.parts.base import part_of
from stagerunner.parts.sink import check_sink, sink

METHODS = ("encode", "open", "write", "position", "commit", "finish", "abort")


def made(keeps: str | None = "truncate", without: str = "") -> type:
    methods = {name: lambda self: None for name in METHODS if name != without}
    return type("Mine", (), methods | ({"keeps": keeps} if keeps else {}))


@pytest.mark.parametrize("keeps", ["truncate", "transaction", "nothing"])
def test_a_class_with_all_methods_is_a_sink(keeps):
    check_sink(made(keeps))


@pytest.mark.parametrize("name", METHODS)
def test_a_class_that_lacks_a_method_is_refused_and_the_method_named(name):
    with pytest.raises(TypeError, match=f"class Mine has no {name}"):
        check_sink(made(without=name))


@pytest.mark.parametrize("keeps", [None, "everything"])
def test_a_sink_says_what_it_keeps(keeps):
    with pytest.raises(TypeError, match="needs keeps ="):
        check_sink(made(keeps))


def test_a_function_is_no_sink():
    with pytest.raises(TypeError, match="a sink is a class"):
        check_sink(len)


def test_the_decorator_keeps_name_and_suffixes():
    part = part_of(sink("mine", suffixes=(".mine",))(made()))

    assert (part.kind, part.name, part.suffixes) == ("sink", "mine", (".mine",))
    assert part_of(sink(made())).name == "mine"
