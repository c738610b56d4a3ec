from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pytest


@dataclass
class Rule:
    field: str
    least: int = 0

    def __post_init__(self) -> None:
        if self.least > 9:
            raise ValueError("least is at most 9")


class Pair(msgspec.Struct):
    left: str
    right: list[int] = []


class Extra(TypedDict, total=False):
    a: int


def takes(hint):
    def stage(record, *, x): ...

    stage.__annotations__["x"] = hint
    return stage


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (list[str], "[ip, 1.10, NO]", ["ip", "1.10", "NO"]),
        (list, "[1, a]", [1, "a"]),
        (Sequence[int], "[1, 2]", [1, 2]),
        (tuple[str, ...], "[a, 1]", ("a", "1")),
        (tuple[str, int], "[a, 1]", ("a", 1)),
        (set[str], "[a, b, a]", {"a", "b"}),
        (dict[str, int], "{a: 1}", {"a": 1}),
        (dict[int, str], "{1: a}", {1: "a"}),
        (Mapping[str, list[Path]], "{a: [b]}", {"a": [Path("/base/b")]}),
        (dict, "{a: [1]}", {"a": [1]}),
        (Optional[int], "null", None),  # noqa: UP045
        (int | None, "4", 4),
        (int | str, "4", 4),
        (str | int, "4", 4),
        (str | int, "'4'", "4"),
        (int | float, "4", 4),
        (Literal["auto"] | int, "auto", "auto"),
        (Path | Literal["off"], "off", "off"),
        (str | list[str], "[a]", ["a"]),
        (datetime.timedelta | str, "5m", datetime.timedelta(minutes=5)),
        (Annotated[int, msgspec.Meta(ge=1)], "1", 1),
        (Annotated[str, "a note"], "1", "1"),
        (list[Annotated[str, msgspec.Meta(max_length=2)]], "[ab]", ["ab"]),
        (Rule, "{field: a, least: 3}", Rule("a", 3)),
        (list[Rule], "[{field: 1}]", [Rule("1")]),
        (Pair, "{left: a, right: [1]}", Pair("a", [1])),
        (Extra, "{a: 1}", {"a": 1}),
        (list[Any], "[1, null]", [1, None]),
    ],
)
def test_values_that_fit(values, hint, text, value):
    assert values(takes(hint), f"x: {text}") == {"x": value}


@pytest.mark.parametrize(
    ("hint", "text", "path", "message", "fix"),
    [
        (list[str], "ip", "x", "x must be a list, not the text 'ip'", "write [ip]"),
        (list[int], "[1, a]", "x[1]", "x[1] must be a whole number, not the text 'a'", ""),
        (tuple[str, int], "[a]", "x", "x must be a list of 2: text, whole number, not of 1", ""),
        (set[Any], "[[1]]", "x", "x must hold single values only, neither lists nor mappings", ""),
        (dict[str, int], "[1]", "x", "x must be a mapping of text to whole number, not a list", ""),
        (dict[str, int], "{a: b}", "x.a", "a must be a whole number, not the text 'b'", ""),
        (dict[int, str], "{a: b}", "x.a", "the key 'a' must be a whole number", ""),
        (int | None, "a", "x", "x must be a whole number, not the text 'a'", ""),
        (int | bool, "a", "x", "x must be a whole number or true or false, not the text 'a'", ""),
        (str | list[int], "[a]", "x[0]", "x[0] must be a whole number, not the text 'a'", ""),
        (Annotated[int, msgspec.Meta(ge=1)], "0", "x", "x must be a whole number ≥ 1, not the number 0", ""),
        (Rule, "{field: a, leats: 3}", "x.leats", "x has no 'leats'", "did you mean 'least'?"),
        (Rule, "{}", "x.field", "x needs 'field'", "add `field:` (text)"),
        (Rule, "{field: a, least: 10}", "x", "x can't be this mapping with field, least: least is at most 9", ""),
        (Rule, "a", "x", "x must be a mapping with field, least, not the text 'a'", ""),
        (Rule | None, "{field: []}", "x.field", "field must be text, not a list", ""),
    ],
)
def test_values_that_do_not_fit(read, hint, text, path, message, fix):
    (mistake,) = read(takes(hint), f"x: {text}")[1]
    assert (mistake.path, mistake.message, mistake.fix) == (f"stages[0].with.{path}", message, fix)


def test_each_wrong_item_is_told_at_its_place(read):
    mistakes = read(takes(list[int]), "x: [a, 1, b]")[1]
    assert [mistake.mark.column for mistake in mistakes] == [5, 11]
