from __future__ import annotations

import copy
import json
import math
import pickle
import re
from collections.abc import Iterator
from datetime import date
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stagerunner import Reject, count, stage
from stagerunner.evaluate.copying import (
    copy_if_shared,
    copying_results,
    defensive_copy,
    may_keep_results,
    original_of,
    original_record,
    share_nothing,
)
from stagerunner.records import Batch, Original

CACHE: dict[str, int] = {}
WORDS = ("a", ("b", 1))
PATTERN = re.compile("a")


def plain(record):
    count("seen")
    if PATTERN.match(json.dumps(record)) or math.pi > len(WORDS):
        raise Reject("no")
    return {**record, "more": [int(word) for word in record]}


def calls_plain(record):
    return plain(record)


@stage(pure=True)
def declared(record, *, fields: list[str] = ["a"]):
    return CACHE


def sees_a_cache(record):
    return CACHE


def calls_what_sees_a_cache(record):
    return sees_a_cache(record)


def looks_in_a_lambda(record):
    return sorted(record, key=lambda key: CACHE[key])


def gathers(record):
    return {**record, "more": [math.floor(len(WORDS) * int(word)) for word in record]}


def looks_in_a_comprehension(record):
    return [CACHE[key] for key in record]


def sets_a_global(record):
    global LATEST
    LATEST = record
    return record


def sets_a_global_within(record):
    def inner():
        global LATEST
        LATEST = record

    inner()
    return record


def has_a_default(record, original_of=[]):
    return original_of


def imports(record):
    import string

    return string


def sets_an_attribute(record):
    record.seen = True
    return record


def reaches(record):
    return globals()["CACHE"]


def yields(record) -> Iterator[int]:
    yield record


async def awaits(record):
    return record


def closing_over():
    held = {}
    return lambda record: held


class Built:
    def process(self, record):
        return record


class Pure(Built):
    pure = True


@pytest.mark.parametrize("found", [plain, calls_plain, gathers, declared, Pure()])
def test_a_function_without_anything_that_outlives_a_call_keeps_nothing(found):
    assert not may_keep_results(found)


def test_specialized_bytecode_is_read_as_it_was_compiled():
    for _ in range(2000):
        gathers({"1": 1})
        sets_a_global(1)

    assert not may_keep_results(gathers)
    assert may_keep_results(sets_a_global)


@pytest.mark.parametrize(
    "found",
    [
        *[sees_a_cache, calls_what_sees_a_cache, looks_in_a_lambda, looks_in_a_comprehension, has_a_default, imports],
        *[sets_an_attribute, sets_a_global, sets_a_global_within, reaches],
        *[yields, awaits, closing_over(), Built(), partial(plain), json.loads],
    ],
)
def test_anything_else_may_keep_its_results(found):
    assert may_keep_results(found)


SHARED = ["x"]
LOOP: list[object] = [1]
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1},
        [1],
        {"a": [{"b": 1}]},
        {1},
        {"a": {1}},
        {"a": date(2026, 1, 1), "b": [1]},
        {"a": (1, [2])},
        bytearray(b"1"),
    ],
)
def test_a_copy_is_equal_and_shares_nothing_mutable(value):
    copy = defensive_copy(value)
    assert (copy, type(copy)) == (value, type(value))
    assert copy is not value
    assert share_nothing([copy, value]) or not share_nothing([copy])


def test_an_object_referred_to_twice_in_a_record_stays_one_object():
    copy, loop = defensive_copy({"a": SHARED, "b": SHARED}), defensive_copy(LOOP)
    assert copy["a"] is copy["b"] is not SHARED
    assert loop[1] is loop is not LOOP


@pytest.mark.parametrize("value", ["a", 1, None, (1, "a"), frozenset({1}), date(2026, 1, 1)])
def test_immutable_values_are_not_copied(value):
    assert defensive_copy(value) is value


def test_a_value_that_can_not_be_pickled_is_not_copied():
    function = lambda: 1  # noqa: E731
    assert defensive_copy(function) is function


def test_an_array_is_copied_if_something_else_refers_to_it_or_its_memory():
    held, memory = np.zeros(3), bytearray(24)
    calls = {
        "new": (lambda _: np.zeros(3), False),
        "held": (lambda _: held, True),
        "view of a held one": (lambda _: held[1:], True),
        "in held memory": (lambda _: np.frombuffer(memory), True),
        "of objects": (lambda _: np.array([held], object), True),
    }
    given = {}

    def noting(call):
        def noted(record):
            result = call(record)
            given["address"] = result.__array_interface__["data"][0]
            return result

        return noted

    for what, (call, copied) in calls.items():
        result = copying_results(noting(call))(1)
        assert (result.__array_interface__["data"][0] != given["address"]) is copied, what


def test_read_only_memory_is_not_copied():
    fixed, held = np.frombuffer(b"12345678"), np.zeros(1)
    view = held[:]
    view.flags.writeable = False
    assert defensive_copy({"a": fixed})["a"].__array_interface__["data"] == fixed.__array_interface__["data"]
    assert defensive_copy({"a": view})["a"].__array_interface__["data"] != view.__array_interface__["data"]


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([], True),
        (["a", 1, None], True),
        ([{"a": 1}, {"a": 1}], True),
        ([{"a": [1]}, {"a": [1]}], True),
        ([["a"], ("b",), {"c": {"d": 1}}], True),
        ([SHARED, SHARED], False),
        ([{"a": SHARED}, {"b": [SHARED]}], False),
        ([LOOP], False),
        ([{"a": {1}}], False),
    ],
)
def test_records_that_share_a_mutable_object_are_found(records, wanted):
    assert share_nothing(records) is wanted


LEAVES = st.one_of(st.none(), st.integers(-200, 200), st.floats(allow_nan=False), st.sampled_from(["", "a", "}\x94"]))


def parts(value):
    """All that is in a value and could be changed, by identity, found as anyone would find it."""
    if type(value) not in (dict, list, set, tuple):
        return set()
    defensive_copy = set() if type(value) is tuple else {id(value)}
    return defensive_copy.union(*map(parts, value.values() if type(value) is dict else value))


@st.composite
def sharing(draw):
    """Records of which some are, or hold, what others do."""
    made = [[], {}, set(), [1], {"a": 1}]
    for _ in range(draw(st.integers(0, 8))):
        inner = st.one_of(LEAVES, st.sampled_from(made), st.sampled_from(made).map(lambda found: (found, 1)))
        kind = draw(st.sampled_from(["dict", "dict", "list", "odd"]))
        if kind == "dict":
            made.append(draw(st.dictionaries(st.sampled_from("abc"), inner, max_size=3)))
        elif kind == "list":
            made.append(draw(st.lists(inner, max_size=3)))
        else:
            made.append(draw(st.dictionaries(st.sampled_from([1, "b", (1, 2)]), inner, max_size=2)))
    dicts = [found for found in made if type(found) is dict]
    return draw(st.one_of(st.lists(st.sampled_from(made), max_size=5), st.lists(st.sampled_from(dicts), max_size=4)))


FLAT: dict[str, int] = {"a": 1}


@settings(max_examples=300, derandomize=True, deadline=None)
@given(records=sharing(), at_hand=st.booleans())
@example(records=[{"a": FLAT}, {"b": FLAT}], at_hand=True)
@example(records=[FLAT, {"b": FLAT}], at_hand=True)
@example(records=[{"a": ({},)}, {"b": [FLAT, FLAT]}], at_hand=True)
@example(records=[FLAT, FLAT], at_hand=False)
@example(records=[[SHARED], [SHARED]], at_hand=False)
def test_records_unpickled_together_share_nothing_afterwards(records, at_hand):
    stream = pickle.dumps(records, 5)

    found = copy_if_shared(pickle.loads(stream), memoryview(stream) if at_hand else None)

    assert repr(found) == repr(records)
    assert sum(map(len, map(parts, found))) == len(set().union(*map(parts, found)))


@pytest.mark.parametrize("at_hand", [True, False])
@pytest.mark.parametrize(
    "record",
    [
        {"id": 1, "name": "a", "score": 0.5},
        {"tags": ["a", "b"], "more": [], "}\x94": "}\x94"},
        {"in": {"a": 1}, "rows": [{"b": 1}, {"b": {}}], "pair": ({}, [])},
        [1, [2], {"a": 3}],
        "text",
    ],
)
def test_records_that_share_nothing_are_not_copied(record, at_hand):
    stream = pickle.dumps(copies := [copy.deepcopy(record) for _ in range(3)], 5)
    records = pickle.loads(stream)

    found = copy_if_shared(records, memoryview(stream) if at_hand else None)

    assert found is records
    assert found == copies


def test_the_original_of_a_changed_record_is_as_it_came():
    decoded = []
    batch = Batch([{"n": 1}, {"n": 2}, "text"])
    batch.original = Original(lambda: decoded.append(1) or [{"n": 1}, {"n": 2}, "text"])

    batch.records[1]["n"] = -1
    original_record(batch, 1)["n"] = -2

    assert [original_record(batch, index) for index in range(3)] == [{"n": 1}, {"n": 2}, "text"]
    assert decoded == [1]


def test_a_record_that_can_not_be_decoded_again_is_returned_as_it_is():
    batch = Batch([{"n": 1}])
    batch.original = Original(lambda: 1 / 0)
    assert original_record(batch, 0) == {"n": 1}


def test_originals_are_kept_even_if_one_record_can_not_be_pickled():
    assert original_of(["a", 1]) is None
    for other in ("text", lambda: 1):
        records = [{"n": [1]}, other]
        original = original_of(records)
        records[0]["n"].append(2)
        assert original.records() == [{"n": [1]}, other]
