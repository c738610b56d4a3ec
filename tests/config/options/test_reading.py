from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pytest

from stagerunner.config.options import options_of, read_options
from stagerunner.config.settings import STAGE_SETTINGS
from stagerunner.errors import Mark


def shout(text: str, *, times: int, sign: str = "!", limit: int = None) -> str: ...  # noqa: RUF013


def test_what_is_written_is_converted_and_what_is_left_out_stays_out(values):
    assert values(shout, "{times: 3}") == {"times": 3}


def test_null_for_an_option_that_defaults_to_none_says_nothing(values):
    assert values(shout, "{times: 3, limit: null}") == {"times": 3}


def test_unknown_options_are_reported_with_the_nearest_name(wrong):
    assert wrong(shout, "{times: 3, sing: x}") == ("there is no option 'sing'", "did you mean 'sign'?")
    assert wrong(shout, "{times: 3, zzz: x}")[1] == "the options are times, sign, limit"
    assert wrong(str.strip, "{zzz: x}")[1] == "it takes no options"


def test_a_misspelt_option_is_not_missing_too(wrong):
    assert wrong(shout, "{tmies: 3}") == ("there is no option 'tmies'", "did you mean 'times'?")


def test_a_setting_among_the_options_is_a_mistake_that_says_where_it_belongs(wrong):
    assert wrong(shout, "{times: 3, workers: 4}") == (
        "there is no option 'workers'",
        "`workers` is a setting: it stands beside `use:`, not under `with:`",
    )


def test_an_option_may_be_called_like_a_setting(values):
    def limited(record, *, rate: int): ...

    assert "rate" in STAGE_SETTINGS
    assert values(limited, "{rate: 4}") == {"rate": 4}


def test_a_missing_option_stands_at_the_mapping(read):
    (mistake,) = read(shout, "sign: '?'")[1]
    assert (mistake.code, mistake.mark.line, mistake.mark.column) == ("missing-option", 1, 1)
    assert mistake.path == "stages[0].with.times"
    assert mistake.fix == "add `times:` (whole number)"


def test_without_a_mapping_a_missing_option_stands_at_the_part():
    part = Mark("f.yaml", 7, 3)
    mistakes = read_options(options_of(shout), None, mark=part, path="stages[0].with", base=lambda mark: None)[1]
    assert [mistake.mark for mistake in mistakes] == [part]


def test_every_mistake_is_reported_at_once(read):
    messages = [mistake.message for mistake in read(shout, "{sign: [a], limit: x, other: 1}")[1]]
    assert messages == [
        "sign must be text, not a list",
        "limit must be a whole number, not the text 'x'",
        "there is no option 'other'",
        "the option 'times' is required",
    ]


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


def test_each_wrong_item_is_reported_at_its_place(read):
    mistakes = read(takes(list[int]), "x: [a, 1, b]")[1]
    assert [mistake.mark.column for mistake in mistakes] == [5, 11]
