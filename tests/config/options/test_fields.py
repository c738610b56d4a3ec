from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stagerunner.config.options import Option, options_of
from stagerunner.parts.source import source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nowhere import Ghost


def named(found, kind=None):
    return [option.name for option in options_of(found, kind)]


def test_the_keyword_only_arguments_of_a_function_are_its_options():
    def shout(text: str, *, times: int = 1, mark) -> str: ...

    assert options_of(shout) == (Option("times", int, False, 1), Option("mark", Any, True, None))


def test_other_arguments_of_a_stage_are_no_options():
    def odd(record, extra=1, *args, wanted: str = "", **rest): ...

    assert named(odd) == ["wanted"]


def test_built_in_functions_have_none():
    assert options_of(str.strip) == ()
    assert options_of(len) == ()


def test_all_arguments_of_a_generator_source_are_options():
    @source
    def numbers(count: int = 3, *, start: int = 0): ...

    def plain(count: int): ...

    assert named(numbers) == ["count", "start"]
    assert named(plain, "source") == ["count"]


def test_the_constructor_parameters_of_a_class_are_its_options():
    class Lines:
        def __init__(self, path: Path, *, encoding: str = "utf-8") -> None: ...

    assert options_of(Lines) == (Option("path", Path, True), Option("encoding", str, False, "utf-8"))


def test_the_fields_of_a_dataclass_are_its_options_and_factories_give_defaults():
    @dataclass
    class Keep:
        fields: list[str] = field(default_factory=list)
        hidden: int = field(default=0, init=False)

    assert options_of(Keep) == (Option("fields", list[str], False, []),)


def test_a_class_without_constructor_has_none():
    class Bare:
        def process(self, record): ...

    assert options_of(Bare) == ()


def test_help_comes_from_the_docstring():
    def shout(text: str, *, times: int = 1) -> str:
        """Say it louder.

        times: how many exclamation marks.
        """

    assert options_of(shout)[0].help == "how many exclamation marks."


def test_names_that_only_a_type_checker_knows_are_harmless_outside_the_options():
    def rows(record: Ghost, *, size: int = 1) -> Iterator[Ghost]: ...

    assert options_of(rows) == (Option("size", int, False, 1),)


def test_an_option_whose_hint_cannot_be_resolved_is_a_plain_sentence():
    def stage(record, *, ghost: Ghost): ...

    with pytest.raises(TypeError, match=r"the type hint of `ghost` in .*stage can't be resolved"):
        options_of(stage)


def test_a_callable_object_is_a_function():
    class Shout:
        def __call__(self, text: str, *, times: int = 2) -> str: ...

    shout: Callable[..., str] = Shout()
    assert options_of(shout) == (Option("times", int, False, 2),)


def test_an_option_describes_itself():
    assert Option("fields", list[str]).describe() == "list of text"
