from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from stagerunner.config.nodes import Mapping, Scalar
from stagerunner.config.options import options_of, read_options
from stagerunner.config.paths import resolve_path
from stagerunner.errors import Mark


class Color(enum.Enum):
    RED = "red"
    BLUE = 2


class Even(int):
    @classmethod
    def parse(cls, text: str) -> Even:
        if text == "crash":
            raise KeyError(text)
        if int(text) % 2:
            raise ValueError(f"{text} is odd")
        return cls(text)


class Sides:
    """Made of a number, or of a list of two."""

    def __init__(self, *sides: int) -> None:
        self.sides = sides

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sides) and other.sides == self.sides

    @classmethod
    def from_data(cls, data: Any) -> Sides:
        sides = data if isinstance(data, list) else [data, data]
        if len(sides) != 2:
            raise ValueError(f"{len(sides)} sides")
        return cls(*sides)


def takes(hint):
    def stage(record, *, x): ...

    stage.__annotations__["x"] = hint
    return stage


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (str, "1.10", "1.10"),
        (str, "NO", "NO"),
        (str, "010", "010"),
        (str, "true", "true"),
        (str, "''", ""),
        (bytes, "ü", "ü".encode()),
        (int, "010", 10),
        (int, "0x1f", 31),
        (float, "3", 3.0),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (Sides, "3", Sides(3, 3)),
        (Sides | None, "[3, 4]", Sides(3, 4)),
        (type(None), "null", None),
        (Path, "a/b.txt", Path("/base/a/b.txt")),
        (Path, "/a", Path("/a")),
        (Path, "'-'", Path("-")),
        (datetime.timedelta, "5m", datetime.timedelta(minutes=5)),
        (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
        (Decimal, "1.10", Decimal("1.10")),
        (re.Pattern[str], "'[a-z]+'", re.compile("[a-z]+")),
        (re.Pattern, "a", re.compile("a")),
        (Color, "red", Color.RED),
        (Color, "2", Color.BLUE),
        (Literal["off", 1], "off", "off"),
        (Literal["off", 1], "1", 1),
        (Literal["1"], "1", "1"),
        (Even, "4", Even(4)),
        (Any, "[1, {a: null}]", [1, {"a": None}]),
    ],
)
def test_values_that_fit(values, hint, text, value):
    assert values(takes(hint), f"x: {text}") == {"x": value}


@pytest.mark.parametrize(
    ("hint", "text", "message", "fix"),
    [
        (str, "null", "x must be text, not nothing", 'write "" for an empty text'),
        (str, "[a]", "x must be text, not a list", ""),
        (int, '"4"', "x must be a whole number, not the text '4'", "write 4, without quotes"),
        (int, "1.5", "x must be a whole number, not the number 1.5", ""),
        (int, "true", "x must be a whole number, not true", ""),
        (float, "many", "x must be a number, not the text 'many'", ""),
        (float, "9" * 400, "x is too large a number", ""),
        (bool, "yes", "x must be true or false, not the text 'yes'", "write true"),
        (bool, "1", "x must be true or false, not the number 1", ""),
        (Path, "''", "x must be a path, and this isn't one", ""),
        (Path, '"a\\0b"', "x must be a path, and this isn't one", ""),
        (datetime.timedelta, "30", "x must be a duration, not the number 30", "write 30s or 30ms"),
        (Color, "rde", "x must be one of red | 2, not the text 'rde'", "did you mean 'red'?"),
        (Literal["hash", "drop"], "hsah", "x must be one of hash | drop, not the text 'hsah'", "did you mean 'hash'?"),
        (Even, "3", "x isn't a valid even: 3 is odd", ""),
        (Sides, "[1]", "x isn't a valid sides: 1 sides", ""),
        (list[Sides], "[1, [1, 2, 3]]", "x[1] isn't a valid sides: 3 sides", ""),
        (Even, "crash", "x isn't a valid even: Even.parse raised KeyError: 'crash'", ""),
        (datetime.date, "soon", "x must be a date, not the text 'soon'", ""),
        (Callable[[], int], "a", "x must be Callable, not the text 'a'", ""),
    ],
)
def test_values_that_do_not_fit(wrong, hint, text, message, fix):
    assert wrong(takes(hint), f"x: {text}") == (message, fix)


def test_what_is_wrong_with_a_regular_expression_is_said_by_python_behind_our_words(wrong):
    message, fix = wrong(takes(re.Pattern), "x: '['")
    assert (message.startswith("x isn't a valid regular expression: "), fix) == (True, "")


def test_a_tilde_for_an_unknown_user_is_refused(wrong):
    message, fix = wrong(takes(Path), "x: ~no-such-user-here/a")
    assert (message, fix) == (
        "x isn't a path: its ~ names a user that doesn't exist",
        "write ./~… for a name like that",
    )


def test_paths_stand_against_the_folder_of_the_place_they_were_written_at():
    def base(mark):
        return Path("/here") if mark.file == "--set" else Path("/config")

    place = Mark("--set")
    node = Mapping(((Scalar("x", "x", place), Scalar("a", "a", place)),), place)
    assert read_options(options_of(takes(Path)), node, mark=place, path="", base=base)[0] == {"x": Path("/here/a")}


@pytest.mark.parametrize(
    "hint", [int, float, bool, Path, datetime.timedelta, re.Pattern, Color, Even, list[str], datetime.date]
)
def test_no_message_quotes_a_secret(hint):
    place = Mark("f.yaml")
    secret = Scalar("hunter2[\0", "hunter2[\0", place, written="${secret:S}", secret=True, masked=True)
    node = Mapping(((Scalar("x", "x", place), secret),), place)
    (mistake,) = read_options(options_of(takes(hint)), node, mark=place, path="", base=lambda mark: Path())[1]
    assert "hunter2" not in mistake.message + mistake.fix


def test_no_fix_quotes_a_secret_number():
    place = Mark("f.yaml")
    secret = Scalar("123456", 123456, place, written="${env:S}", masked=True)
    node = Mapping(((Scalar("x", "x", place), secret),), place)
    hint = datetime.timedelta
    (mistake,) = read_options(options_of(takes(hint)), node, mark=place, path="", base=lambda mark: Path())[1]
    assert (mistake.message, mistake.fix) == ("x must be a duration, not the value of ${env:S}", "")


def test_null_is_not_a_path(wrong):
    assert wrong(takes(Path), "x: null") == ("x must be a path, not nothing", "")


def test_a_path_is_folded_where_it_leads_to_the_same_place(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/er")
    assert resolve_path(tmp_path / "configs", "../out/o.txt") == tmp_path / "out" / "o.txt"
    assert resolve_path(tmp_path / "configs" / ".." / "configs", "o.txt") == tmp_path / "configs" / "o.txt"
    assert resolve_path(tmp_path, "link/../o.txt") == tmp_path / "link" / ".." / "o.txt", "deep/o.txt, not o.txt"
