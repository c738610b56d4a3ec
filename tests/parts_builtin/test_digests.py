import array
import cmath
import enum
import math
import re
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest

from stagerunner_parts.digests import canonical, digest


class Color(enum.IntEnum):
    RED = 1


class Pair(NamedTuple):
    a: int
    b: int


@dataclass
class Sample:
    name: str
    values: Any = field(repr=False)


class Text(str):
    pass


ZEROS = np.zeros(5000)
OTHERS = ZEROS.copy()
OTHERS[2500] = 7
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

DIFFERENT = [
    *[1, 1.0, True, "1", None, "null", "None", -1, Color.RED, Text("1"), Decimal(1), Fraction(1), 1 + 0j],
    *[0, 0.0, -0.0, False, float("inf"), float("-inf"), "Infinity", float("nan"), "NaN"],
    *[0.123456789, 0.12345678901, 10**5000, 10**5000 + 1, 2**64],
    *[[1], (1,), {1}, frozenset({1}), ["set", ["1"]], ["tuple", "1"], [[1]], [], (), set(), {}],
    *[{1: "a"}, {"1": "a"}, {1.0: "a"}, {True: "a"}, {None: "a"}, {"None": "a"}, {"null": "a"}],
    *[(1, 2), [1, 2], Pair(1, 2), {"a": 1, "b": 2}, OrderedDict(a=1, b=2), Counter(a=1, b=2)],
    *[defaultdict(int, a=1, b=2), defaultdict(list, a=1, b=2)],
    *[
        b"1",
        bytearray(b"1"),
        memoryview(b"1"),
        array.array("b", b"1"),
        array.array("B", b"1"),
        "31",
    ],
    *["<builtins.bytes 31>", math.sqrt, cmath.sqrt, [].append, ..., NotImplemented],
    *[date(2026, 1, 1), datetime(2026, 1, 1), NOON, "2026-01-01", timedelta(1), Decimal("1.0"), Decimal("1.00")],
    *[NOON.astimezone(timezone(timedelta(hours=1)))],
    *[PurePosixPath("1"), UUID(int=1), re.compile("1"), re.compile("1", re.IGNORECASE), int, str, len, canonical],
    *[ZEROS, OTHERS, ZEROS[:4999], ZEROS.astype("f4"), ZEROS.reshape(2, 2500), np.float64(1), np.int64(1), np.bool_(1)],
    *[np.array([0.123456789]), np.array([0.12345678901]), np.array(["1"], object), np.array([1], object)],
    *[np.array(["2026-01-01"], "M8[D]"), np.array(["2026-01-02"], "M8[D]"), np.array([1], [("a", "i8")])],
    *[np.array([1], [("b", "i8")]), np.array([1], "i8")],
    *[Sample("a", ZEROS), Sample("a", OTHERS), Sample("b", ZEROS), {"a": ZEROS}, {"a": OTHERS}],
]


def test_values_that_differ_have_texts_that_differ():
    texts = [canonical(value) for value in DIFFERENT]

    assert len(set(texts)) == len(DIFFERENT), [value for value in DIFFERENT if texts.count(canonical(value)) > 1]
    assert len({canonical({"in": value}) for value in DIFFERENT}) == len(DIFFERENT)
    assert len({canonical((value,)) for value in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": {2, 1}}, {"b": {1, 2}, "a": 1}),
        ({1: "a", "b": 2}, {"b": 2, 1: "a"}),
        (set("stagerunner"), set("rennurstage")),
        (float("nan"), float("inf") - float("inf")),
        (Counter("ab"), Counter("ba")),
        (defaultdict(list, a=[1], b=[2]), defaultdict(list, b=[2], a=[1])),
        (ZEROS, ZEROS.copy()),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.arange(10)[::2], np.arange(0, 10, 2)),
        (Sample("a", [1]), Sample("a", [1])),
        ({"a": ["x"], "b": ["x"]}, {key: same for key in "ab" for same in [["x"]]}),
    ],
)
def test_values_that_are_equal_have_one_text(one, other):
    assert canonical(one) == canonical(other)


def test_integers_too_long_to_be_written_are_equal_or_not_as_others_are():
    assert canonical(10**5000) == canonical(10**4999 * 10)


def test_what_json_holds_stands_as_its_json():
    assert canonical({"b": [1, 2.5, None, True], "a": "é"}) == '{"a": "é", "b": [1, 2.5, null, true]}'


def test_a_value_that_can_not_be_pickled_is_refused_and_not_compared_by_its_address():
    class Local:
        pass

    for value in ((number for number in [1]), lambda: 1, Local):
        with pytest.raises(TypeError, match="pickle"):
            canonical({"a": value})


def test_a_digest_depends_on_the_key():
    assert digest("a", size=8, key=b"x") != digest("a", size=8, key=b"y")
    assert len(digest("\ud800", size=16)) == 16
