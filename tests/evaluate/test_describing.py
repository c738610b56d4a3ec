"""A part as plain data: its form, its options with their types, and its code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from stagerunner import stage
from stagerunner.evaluate.describing import description, packed, unpacked
from stagerunner.parts.forming import form_of


class Own:
    """A type of this module."""


def plain(record: Any, *, size: int, where: Path | None = None, mode: Literal["a", "b"] = "a", free=2) -> str | None:
    """Do it.

    size: how much.
    """


@stage(state=False, memo=True)
class Whole:
    def __init__(self, size: list[str], *, own: Own | None = None, made: Any = lambda: 1) -> None: ...
    async def process(self, record: Any) -> Any: ...


def unknown(record: Any, *, size: Nowhere) -> Any: ...  # noqa: F821


async def generator(record: Any) -> Any:
    yield record


def of(found):
    return description(f"{found.__module__}:{found.__qualname__}")


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or type(sys)(__name__))
    for found in (plain, Whole, unknown, generator):
        monkeypatch.setattr(sys.modules[__name__], found.__name__, found, raising=False)


def test_a_function():
    said = of(plain)
    assert said.form == form_of(plain)
    assert said.doc.startswith("Do it.")
    assert [(one.name, one.required, unpacked(one.hint)) for one in said.options] == [
        ("size", True, int),
        ("where", False, Path | None),
        ("mode", False, Literal["a", "b"]),
        ("free", False, Any),
    ]
    assert [unpacked(one.default) for one in said.options if not one.required] == [None, "a", 2]


def test_a_class():
    said = of(Whole)
    assert (said.form, said.state, said.memo) == (form_of(Whole), False, True)
    assert [(one.name, one.required) for one in said.options] == [("size", True), ("own", False), ("made", False)]
    assert said.options[2].default is None


def test_it_crosses_as_bytes():
    assert unpacked(packed(of(plain))) == of(plain)
    assert b"pathlib" not in packed(Path)


def test_what_can_not_be_described():
    with pytest.raises(TypeError, match="type hint of `size` can't be resolved"):
        of(unknown)
    with pytest.raises(TypeError, match="async generator"):
        of(generator)
