import json
from decimal import Decimal

import pytest

from stagerunner import Reject
from stagerunner.parts.forming import form_of
from stagerunner_parts.aggregate import Count, Dedupe

VALUES = ["b", "a", "b", 1, "1", 1.0, True, [1], [1], {"x": 1, "y": 2}, {"y": 2, "x": 1}, Decimal("1.5")]


def counted(stage, records):
    for record in records:
        assert stage.process(record) is None
    return list(stage.flush())


def moved(stage, fresh):
    fresh.restore(json.loads(json.dumps(stage.snapshot())))
    return fresh


def test_dedupe_lets_the_first_of_equals_through():
    stage = Dedupe()
    assert [record for record in map(stage.process, VALUES) if record is not None] == [
        *("b", "a", 1, "1", 1.0, True, [1], {"x": 1, "y": 2}, Decimal("1.5"))
    ]


def test_dedupe_by_a_field():
    stage = Dedupe(key="user.id")
    records = [{"user": {"id": number}} for number in (1, 2, 1)]
    assert [stage.process(record) is not None for record in records] == [True, True, False]
    with pytest.raises(Reject, match=r"user\.id"):
        stage.process({})


def test_dedupe_goes_on_from_a_snapshot():
    stage = Dedupe()
    for value in VALUES:
        stage.process(value)
    again = moved(stage, Dedupe())
    assert [again.process(value) for value in VALUES] == [None] * len(VALUES)
    assert again.process("new") == "new"


def test_count_by_a_field():
    records = [{"path": path} for path in ("/b", "/a", "/c", "/a", "/c")]
    assert counted(Count(by="path"), records) == [
        {"path": "/a", "count": 2},
        {"path": "/c", "count": 2},
        {"path": "/b", "count": 1},
    ]
    assert counted(Count(by="path", top=1), records) == [{"path": "/a", "count": 2}]


def test_count_keeps_unlike_values_apart_and_takes_any():
    result = {(repr(entry["record"]), entry["count"]) for entry in counted(Count(), VALUES)}
    assert ("'b'", 2) in result
    assert ("[1]", 2) in result
    assert ("{'x': 1, 'y': 2}", 2) in result
    assert {("1", 1), ("'1'", 1), ("1.0", 1), ("True", 1), ("Decimal('1.5')", 1)} <= result


def test_count_goes_on_from_a_snapshot():
    stage = Count()
    counted(stage, VALUES)
    assert counted(moved(stage, Count()), VALUES) == counted(stage, VALUES)


def test_count_refuses_a_record_without_the_field():
    with pytest.raises(Reject, match="'a'"):
        Count(by="a").process({})


def test_count_by_count_would_hide_the_number():
    with pytest.raises(ValueError, match="can't be 'count'"):
        Count(by="count")


def test_both_have_state():
    assert form_of(Dedupe).state
    assert form_of(Dedupe).drops
    assert form_of(Count).flushes
    assert form_of(Count).snapshots
