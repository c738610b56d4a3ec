from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional

import msgspec
import pytest

from stagerunner.config.options.describe import describe


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(int):
    @classmethod
    def parse(cls, text: str) -> Size:
        return cls(text)


@dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (str, "text"),
        (int, "whole number"),
        (float, "number"),
        (bool, "true or false"),
        (Any, "any value"),
        (Path, "path"),
        (timedelta, "duration"),
        (re.Pattern[str], "regular expression"),
        (list[str], "list of text"),
        (Sequence[int], "list of whole number"),
        (tuple[int, ...], "list of whole number"),
        (tuple[str, int], "list of 2: text, whole number"),
        (list, "list"),
        (dict[str, str], "mapping of text to text"),
        (dict, "mapping"),
        (Literal["hash", "drop", 3], "hash | drop | 3"),
        (Color, "red | blue"),
        (Optional[int], "whole number or null"),  # noqa: UP045
        (str | list[str], "text or list of text"),
        (Size, "size"),
        (Point, "mapping with x, y"),
        (NewType("UserId", int), "whole number"),
        (Annotated[int, msgspec.Meta(ge=1, le=9)], "whole number ≥ 1 ≤ 9"),
    ],
)
def test_hints_in_plain_words(hint, words):
    assert describe(hint) == words
