from __future__ import annotations

import json

import pytest

from stagerunner.delivery.deadletters import DeadLetters
from stagerunner.delivery.delivery import Delivery, failure_text, where
from stagerunner.records import DROP, SOURCE, Failure, Origin


class ResultWriter:
    """Takes and writes down."""

    def __init__(self, order: list, keeps: str = "truncate") -> None:
        self.order, self.keeps, self.length = order, keeps, 0

    def write(self, body, records, buffers):
        self.length += len(body)

    def open(self, position):
        self.length = position or 0

    def position(self):
        return self.length

    def commit(self, row):
        self.order.append(("sink", dict(row)))

    def sync(self):
        self.order.append(("sync",))

    def finish(self):
        self.order.append(("finish",))

    def abort(self):
        self.order.append(("abort",))


class Journal:
    def __init__(self, order: list) -> None:
        self.order = order

    def write(self, row):
        self.order.append(("journal", dict(row)))


@pytest.fixture
def order():
    return []


@pytest.fixture
def told():
    return []


@pytest.fixture
def delivery(tmp_path, order, told):
    letters = DeadLetters(tmp_path / "failed.jsonl")
    made = Delivery(("parse", "hide"), ResultWriter(order), letters, told.append, {1: 2}, sinks=("sink",))
    made.open(None)
    yield made
    letters.close()


def failure(stage: int, origin: int, policy: str = "dead_letter", ordinal: int = 0) -> Failure:
    return Failure(stage, origin, ordinal, "ValueError", "no", policy, record=origin)


def locate(split, record: int) -> Origin:
    return Origin("in", None, record)


def letters(delivery) -> list[tuple]:
    delivery.commit({}, None)
    lines = (delivery._letters.path).read_text().splitlines()
    return [(line["stage"], line["record"]) for line in map(json.loads, lines)]


def test_failures_are_taken_in_order_of_the_source(delivery):
    delivery.failures([failure(0, 7), failure(0, 9), failure(1, 3), failure(1, 9)], None, locate)

    assert letters(delivery) == [("hide", 3), ("parse", 7), ("parse", 9), ("hide", 9)]


def test_what_is_dropped_goes_to_its_own_file_and_is_no_failure(tmp_path, order, told):
    letters, dropped = DeadLetters(tmp_path / "failed.jsonl"), DeadLetters(tmp_path / "dropped.jsonl")
    made = Delivery(("parse",), ResultWriter(order), letters, told.append, {0: 0}, sinks=("sink",), dropped=dropped)
    made.open(None)
    made.failures([Failure(0, 7, 0, "Drop", "too short", DROP, record="ab")], None, locate)
    made.commit({}, Journal(order))
    row = order[-1][1]
    made.finish()

    assert (row["letters"], row["dropped"], row["failures"], told, made.too_many) == (0, 1, {}, [], None)
    line = json.loads(dropped.path.read_text())
    origin = {"name": "in", "number": 7}
    head = {"version": 1, "output": "", "number": 1}
    assert line == head | {"stage": "parse", "reason": "too short", "origin": origin, "record": "ab"}


@pytest.mark.parametrize(("stage", "name"), [(SOURCE, "source"), (0, "parse"), (1, "hide"), (2, "sink")])
def test_every_place_has_a_name(delivery, stage, name):
    assert delivery.stage_name(stage) == name


def test_what_is_skipped_is_told_and_not_written(delivery, told):
    delivery.failures([failure(0, 7, "skip")], None, locate)

    assert letters(delivery) == []
    assert [(event.stage, event.policy, event.where, event.record) for event in told] == [
        ("parse", "skip", "in, record 7", "7")
    ]


def test_the_first_failure_under_fail_ends_the_run(delivery):
    delivery.failures([failure(1, 4, "fail"), failure(0, 2, "fail"), failure(0, 1, "skip")], None, locate)

    assert (delivery.fatal.origin, delivery.fatal_origin.number) == (2, 2)


def test_more_failures_than_allowed_end_the_run(delivery):
    delivery.failures([failure(1, 1), failure(1, 2), failure(0, 3), failure(0, 4), failure(0, 5)], None, locate)
    assert delivery.too_many is None

    delivery.failures([failure(1, 6)], None, locate)
    assert delivery.too_many == 1


def test_a_commit_is_letters_then_sink_then_journal(delivery, order):
    delivery.writer.write(memoryview(b"12345"), 1, ())
    delivery.counts([(SOURCE, 1, 0, 1, 0, 0, 0)])
    delivery.failures([failure(0, 1)], None, locate)

    delivery.commit({"position": 9}, Journal(order), power=True)

    assert [name for name, *_ in order] == ["sink", "sync", "journal"]
    row = order[-1][1]
    assert (row["position"], row["sink"], row["failures"]) == (9, 5, {"0": 1})
    assert row["letters"] == 1
    assert row["ledger"][0][:2] == [SOURCE, 1]


def test_the_row_of_a_transaction_says_where_the_sink_is(tmp_path, order, told):
    delivery = Delivery(("parse",), ResultWriter(order, "transaction"), None, told.append, {}, sinks=("sink",))
    delivery.open(None)
    delivery.writer.write(memoryview(b"123"), 1, ())

    delivery.commit({}, None)

    assert order[0][1]["sink"] == 3


def test_a_resumed_run_goes_on_with_the_ledger_failures_and_places(delivery, order):
    delivery.counts([(0, 5, 0, 5, 0, 0, 0)])
    delivery.failures([failure(1, 1), failure(1, 2)], None, locate)
    delivery.commit({}, Journal(order))
    row = json.loads(json.dumps(order[-1][1]))
    delivery.finish()

    delivery.open(row)
    delivery.failures([failure(1, 3)], None, locate)

    assert delivery.ledger.entries[0].taken == 5
    assert delivery.too_many == 1


def test_an_abort_keeps_the_letters_for_a_resume(delivery, order):
    delivery.failures([failure(0, 1)], None, locate)
    delivery.abort()

    assert order == [("abort",)]
    assert delivery._letters.path.stat().st_size > 0


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (Origin("a.jsonl", 1042), "a.jsonl, byte 1042"),
        (Origin("", None, 18402), "record 18402"),
        (Origin("a", 1, 2), "a, byte 1, record 2"),
        (Origin(""), ""),
    ],
)
def test_an_origin_in_words(origin, words):
    assert where(origin) == words


def test_a_record_is_shown_short_and_whatever_it_is():
    class Unprintable:
        def __repr__(self):
            raise ValueError

    long = Failure(0, 0, 0, "", "", "skip", record="x" * 500)
    odd = Failure(0, 0, 0, "", "", "skip", record=Unprintable())

    assert len(failure_text(long)) == 200
    assert failure_text(long).endswith("…")
    assert failure_text(odd) == "<unprintable Unprintable>"
    assert failure_text(Failure(0, 0, 0, "", "", "skip", text="as it was")) == "as it was"
