"""Two records have one key only if no stage can tell them apart."""

from __future__ import annotations

import enum
import itertools
import pickle
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagerunner.memo.keys import NoKey, digest, encoded

Pair = namedtuple("Pair", "a b")
Twin = namedtuple("Twin", "a b")


@dataclass
class Order:
    id: int
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Slotted:
    id: int


@dataclass
class Longer(Order):
    more: int = 0


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Anything:
    pass


class Text(str):
    pass


@dataclass
class Holder(dict):
    id: int = 0


def ours(kind: type) -> bool:
    return kind.__module__ == __name__


DIFFERENT: list[Any] = [
    *(None, True, False, 0, 1, -1, 255, 256, -256, 2**64, 0.0, -0.0, 1.0, float("inf"), 1j, 0j),
    *("", "1", b"", b"1", bytearray(b"1"), "None", "ä", "a\u0308", "\ud800"),
    *((), [], {}, set(), frozenset(), (1,), [1], {1}, frozenset({1}), {1: None}),
    *([[1], 2], [1, [2]], [[1, 2]], [[], [1, 2]], (1, [2]), [None], [[None]], ["ab"], ["a", "b"]),
    *({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": {"b": 2}}, {"a": 1.0}, {1: "a"}, {"1": "a"}, {True: "a"}),
    *(Decimal("1"), Decimal("1.0"), Decimal("-0"), Decimal("0"), Decimal("NaN"), Fraction(1), Fraction(1, 2)),
    *(date(2024, 1, 1), datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, fold=1)),
    *(datetime(2024, 1, 1, tzinfo=timezone(timedelta(0), "Z")), time(0), time(0, tzinfo=UTC), timedelta(1)),
    *(UUID(int=1), PurePosixPath("a"), range(3), range(0, 3, 2)),
    *(Pair(1, 2), Twin(1, 2), (1, 2), Order(1), Order(1, ["a"]), Longer(1), Slotted(1), Colour.RED, Colour.GREEN),
    *(np.array([1, 2]), np.array([1, 2], "i4"), np.array([1.0, 2.0]), np.array([[1, 2]]), np.array([[1], [2]])),
    *(np.array([1, 2], ">i8"), np.array(["a"]), np.array(["2024"], "M8[D]"), np.array(["2024"], "M8[s]")),
    *(np.array([[1, 2], [3, 4]]), np.asfortranarray([[1, 2], [3, 4]]), np.array([(1, 2)], [("a", "i8"), ("b", "i8")])),
    *(np.float64(1), np.float32(1), np.int64(1), np.bool_(True)),
]


def test_everything_that_a_stage_can_tell_apart_has_a_key_of_its_own():
    keys = [encoded(value, ours) for value in DIFFERENT]
    same = [(a, b) for (a, x), (b, y) in itertools.combinations(zip(DIFFERENT, keys, strict=True), 2) if x == y]
    assert same == []


def test_a_copy_has_the_same_key():
    for value in DIFFERENT:
        assert encoded(pickle.loads(pickle.dumps(value, 5)), ours) == encoded(value, ours)


def test_the_order_of_a_set_does_not_count():
    words = [f"word-{number}" for number in range(50)]
    assert encoded(set(words)) == encoded({*words[::-1]})
    assert encoded({frozenset({1, "a"}), (1, 2)}) == encoded({(1, 2), frozenset({"a", 1})})


def test_the_payload_of_a_nan_counts():
    quiet, other = (np.array([bits], "u8").view("f8").item() for bits in (0x7FF8000000000000, 0x7FF8000000000001))
    assert encoded(quiet) == encoded(quiet)
    assert encoded(quiet) != encoded(other)


def test_what_is_shared_inside_a_record_counts_because_a_stage_may_change_it():
    shared = [1]
    assert encoded([shared, shared]) != encoded([[1], [1]])
    assert encoded({"a": shared, "b": shared}) != encoded({"a": [1], "b": [1]})
    assert encoded([shared, [2], [2]]) != encoded([shared, [2], shared])
    assert encoded(["text", "text"]) == encoded(["text", "".join(["te", "xt"])])


def test_a_record_that_holds_itself_has_a_key():
    record: list[Any] = [1]
    record.append(record)
    assert encoded(record) != encoded([1, [1]])


def nested(levels: int) -> list[Any]:
    record: list[Any] = []
    for _ in range(levels):
        record = [record]
    return record


with_more = Order(1)
with_more.extra = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "record",
    [
        *(Anything(), object(), Text("a"), OrderedDict(), iter([]), print, int, ValueError("a"), with_more, Holder()),
        *(datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), np.array([[1], None], object), {"a": [Anything()]}),
        *({(1, Anything())}, np.ma.array([1]), nested(sys.getrecursionlimit()), {Pair(1, Anything())}),
    ],
)
def test_what_may_hold_anything_has_no_key(record):
    with pytest.raises(NoKey):
        encoded(record, ours)


@pytest.mark.parametrize("record", [Pair(1, 2), Order(1), Colour.RED, [Order(1)], {"a": Pair(1, 2)}])
def test_a_class_whose_code_is_not_part_of_the_key_has_none(record):
    with pytest.raises(NoKey, match=r"tests?.*\.(Pair|Order|Colour)|test_keys\.(Pair|Order|Colour)"):
        encoded(record)


def test_a_class_that_lies_about_its_name_is_no_class_of_the_library():
    liar = type("date", (), {"__module__": "datetime", "isoformat": lambda self: "2024-01-01"})
    with pytest.raises(NoKey):
        encoded(liar())


def test_where_a_part_ends_counts():
    assert digest(b"ab", b"c") != digest(b"a", b"bc") != digest(b"abc")


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(allow_nan=False)
records = st.recursive(
    plain,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


def exact(value: Any) -> Any:
    """The value with its types and its order, so that `==` sees all that a stage can see."""
    match value:
        case dict():
            return "dict", [(exact(key), exact(item)) for key, item in value.items()]
        case list() | tuple():
            return type(value), [exact(item) for item in value]
        case Decimal():
            return Decimal, value.as_tuple()
    return type(value), repr(value)


@given(records, records)
def test_keys_are_equal_exactly_if_the_records_are(one, other):
    assert (encoded(one) == encoded(other)) == (exact(one) == exact(other))
