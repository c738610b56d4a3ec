from __future__ import annotations

import heapq
import json
import random
from collections import Counter, deque
from functools import partial, wraps
from itertools import count as counting
from pathlib import Path

import pytest

from stagerunner import stage
from stagerunner.plan.undeclared_state import undeclared_change

SEEN: set[str] = set()
TOTAL = 0
LIMITS = {"a": 1}


class Assigns:
    def process(self, record):
        self.last, other = record, 1
        return other


class Adds:
    def process(self, record):
        self.total += 1
        return record


class Fills:
    def process(self, record):
        self.seen[record]["n"] = 1
        return record


class Deletes:
    def process(self, record):
        del self.seen[record]
        return record


class Appends:
    def process_batch(self, records):
        for record in records:
            self.window.append(record)
        return records


class Aliases:
    def process(self, record):
        seen = self.seen
        seen.add(record)
        return record


class Counts:
    def process(self, record):
        return next(self.numbers), record


class Heaps:
    def process(self, record):
        heapq.heappush(self.heap, record)
        return record


class Calls:
    def process(self, record):
        return self._noted(record)

    def _noted(self, record):
        self.state.last = record
        return record


class Inherits(Calls):
    pass


class Iterates:
    def process(self, record):
        for self.last in record:
            yield self.last


def into_a_global(record):
    SEEN.add(record)
    return record


def counts_in_a_global(record):
    global TOTAL
    TOTAL += 1
    return record


def into_a_default(record, *, seen=[]):
    seen.append(record)
    return record


def calls_what_remembers(record):
    return into_a_global(record)


def closing_over():
    numbers = []

    def inner(record):
        numbers.append(record)
        return record

    return inner


def decorated(function):
    @wraps(function)
    def outer(record):
        return function(record)

    return outer


@decorated
def behind_a_decorator(record):
    SEEN.discard(record)
    return record


@pytest.mark.parametrize(
    ("found", "what"),
    [
        *[(Assigns, "self.last"), (Adds, "self.total"), (Fills, "self.seen"), (Deletes, "self.seen")],
        *[(Appends, "self.window"), (Aliases, "self.seen"), (Counts, "self.numbers"), (Heaps, "self.heap")],
        *[(Calls, "self.state"), (Inherits, "self.state"), (Iterates, "self.last")],
        *[(into_a_global, "SEEN"), (counts_in_a_global, "TOTAL"), (into_a_default, "seen")],
        *[(calls_what_remembers, "SEEN"), (closing_over(), "numbers"), (behind_a_decorator, "SEEN")],
    ],
)
def test_what_outlives_a_call_is_found_with_its_place(found, what):
    change = undeclared_change(found)
    assert change is not None
    line = Path(__file__).read_text().splitlines()[change.line - 1]
    assert (change.what, change.file) == (what, __file__)
    assert what.removeprefix("self.") in line or "seen.add" in line


class Declared(Adds):
    def flush(self):
        yield self.total


@stage(state=True)
class WithState(Adds):
    pass


@stage(state=False)
class Cache(Adds):
    pass


class MadeOnce:
    client = None

    def process(self, record):
        if self.client is None:
            self.client = json.JSONDecoder()
        if not hasattr(self, "rng"):
            self.rng = random.Random(1)
        found = list(self.client.decode(record))
        found.append(self.rng.random())
        counts = Counter(found)
        counts.update(LIMITS)
        record["n"] = counts
        return record


class SetsUp:
    def __init__(self):
        self.total = 0

    def setup(self):
        self.window = deque()
        self.numbers = counting()

    def process(self, record):
        return record, self.total

    @staticmethod
    def other(self):
        self.total += 1


def changes_its_record(record, *, tags=("a",)):
    record["tags"] = list(tags)
    record.setdefault("n", LIMITS["a"])
    names = sorted(record)
    names.pop()
    return record


def shadows(record):
    SEEN = set()
    SEEN.add(record)
    return record


@pytest.mark.parametrize(
    "found",
    [
        Declared,
        WithState,
        Cache,
        MadeOnce,
        SetsUp,
        changes_its_record,
        shadows,
        len,
        str.upper,
        partial(len),
        json.loads,
    ],
)
def test_nothing_is_said_of_what_is_declared_made_once_or_gone_with_the_call(found):
    assert undeclared_change(found) is None


def test_nothing_is_reported_without_source_code():
    names = {}
    exec("class Unseen:\n    def process(self, record):\n        self.total = record\n", names)
    assert undeclared_change(names["Unseen"]) is None


def test_no_stage_of_ours_remembers_without_saying_so():
    import stagerunner_parts

    for part in stagerunner_parts.stagerunner_stages():
        assert undeclared_change(part) is None, part
