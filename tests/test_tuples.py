"""Our NamedTuple makes the classes that typing's makes."""

from __future__ import annotations

import pickle
import typing
from typing import Any, get_type_hints

from stagerunner.tuples import NamedTuple


class Ours(NamedTuple):
    """A place."""

    name: str
    number: int = 1
    rest: tuple[Any, ...] = ()

    @property
    def shown(self) -> str:
        return f"{self.name}:{self.number}"

    def __str__(self) -> str:
        return self.shown


class Typings(typing.NamedTuple):
    """A place."""

    name: str
    number: int = 1
    rest: tuple[Any, ...] = ()


def test_it_has_the_fields_and_defaults_of_typings():
    assert Ours("a") == Typings("a") == ("a", 1, ())
    assert (Ours._fields, Ours._field_defaults) == (Typings._fields, Typings._field_defaults)
    assert (Ours("a")._replace(number=2), repr(Ours("a"))) == (("a", 2, ()), "Ours(name='a', number=1, rest=())")


def test_it_is_the_same_to_whoever_looks_at_the_class():
    assert Ours.__mro__[1:] == Typings.__mro__[1:] == (tuple, object)
    assert (Ours.__doc__, Ours.__module__, Ours.__qualname__) == ("A place.", __name__, "Ours")
    assert get_type_hints(Ours) == get_type_hints(Typings)
    assert not hasattr(Ours("a"), "__dict__")


def test_it_keeps_what_is_written_in_the_class():
    assert Ours("a").shown == str(Ours("a", 1)) == "a:1"


def test_it_travels():
    assert pickle.loads(pickle.dumps(Ours("a", 3))) == Ours("a", 3)
    assert type(pickle.loads(pickle.dumps(Ours("a", 3)))) is Ours
