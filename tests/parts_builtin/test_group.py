from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagerunner import Reject, load
from stagerunner.errors import ConfigError
from stagerunner.journal import decode_snapshots, encode_snapshots
from stagerunner.parts.forming import form_of
from stagerunner_parts.group import RULES, Aggregation, Group
from stagerunner_parts.options import Number, Size


def grouping(by="k", **fields):
    kinds = {"max_groups": Number, "max_collected": Number, "memory": Size}
    bounds = {name: kind(fields.pop(name)) for name, kind in kinds.items() if name in fields}
    return Group(by=by, fields={name: Aggregation(text) for name, text in fields.items()}, **bounds)


def given_by(stage, records):
    for record in records:
        assert stage.process(record) is None
    return list(stage.flush())


def made(values, text):
    """What an aggregation makes of these values, as one group."""
    (record,) = given_by(grouping(x=text), [{"k": 1, "v": value} for value in values])
    return record["x"]


def moved(stage, fresh):
    """The fresh stage with the state of the other, by way of the journal."""
    fresh.restore(decode_snapshots(encode_snapshots({0: stage.snapshot()}))[0])
    return fresh


ALL = {"n": "count", **{name: f"{name}(v)" for name in RULES if name != "count"}}


def test_the_groups_come_in_the_order_in_which_they_appeared():
    records = [{"k": key, "v": value} for key, value in [("b", 1), ("a", 2), ("b", 4), ("c", 0), ("a", 9)]]
    assert [list(record.items()) for record in given_by(grouping(n="count", s="sum(v)"), records)] == [
        [("k", "b"), ("n", 2), ("s", 5)],
        [("k", "a"), ("n", 2), ("s", 11)],
        [("k", "c"), ("n", 1), ("s", 0)],
    ]


def test_several_fields_a_field_inside_a_field_and_none():
    records = [{"a": a, "at": {"b": b}} for a, b in [(1, "x"), (1, "y"), (2, "x"), (1, "x")]]
    assert given_by(grouping(by=["a", "at.b"], n="count"), records) == [
        {"a": 1, "at.b": "x", "n": 2},
        {"a": 1, "at.b": "y", "n": 1},
        {"a": 2, "at.b": "x", "n": 1},
    ]
    assert given_by(grouping(by=[], n="count"), records) == [{"n": 4}]
    assert given_by(grouping(by=[], n="count"), []) == []


UNLIKE = [1, 1.0, True, "1", Decimal(1), None, [1], (1,), {"a": 1}, 0.0, -0.0, "None"]


def test_equality_is_that_of_dedupe():
    records = [{"k": value} for value in UNLIKE + UNLIKE]
    result = given_by(grouping(n="count"), records)
    assert [repr(record["k"]) for record in result] == [repr(value) for value in UNLIKE]
    assert {record["n"] for record in result} == {2}
    pairs = [{"a": one, "b": other} for one in ("1", 1) for other in ("1", 1)]
    assert len(given_by(grouping(by=["a", "b"], n="count"), pairs * 2)) == 4


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("count", [None, 0, "x"], 3),
        ("count()", [None], 1),
        ("sum(v)", [1, 2, 3], 6),
        ("sum(v)", [10**40, 1, -(10**40)], 1),
        ("sum(v)", [None, 5, None], 5),
        ("sum(v)", [None], None),
        ("sum(v)", [Decimal("0.10"), Decimal("0.20"), 1], Decimal("1.30")),
        ("sum(v >= 2)", [1, 2, 3], 2),
        ("sum(v * 2 + 1)", [1, 2], 8),
        ("mean(v)", [1, 2, None], 1.5),
        ("mean(v)", [10**20, 10**20 + 2], 1e20),
        ("mean(v)", [None], None),
        ("mean(v)", [Decimal(1), Decimal(2)], Decimal("1.5")),
        ("min(v)", [3, None, 1.5, 2], 1.5),
        ("max(v)", ["b", "c", "a"], "c"),
        ("max(v)", [1, 1.0], 1),
        ("min(v)", [None], None),
        ("first(v)", [None, 1], None),
        ("last(v)", [1, None], None),
        ("first(v)", ["a", "b"], "a"),
        ("last(len(v))", ["a", "bc"], 2),
        ("collect(v)", [1, None, [2]], [1, None, [2]]),
    ],
)
def test_what_becomes_of_the_values(text, values, result):
    found = made(values, text)
    assert (type(found), found) == (type(result), result)


@pytest.mark.parametrize(
    ("text", "values", "why"),
    [
        ("sum(v)", [1, "2"], r"field 'x' can't be computed as sum\(v\): TypeError: '2' is not a number"),
        ("sum(v)", ["1"], "'1' is not a number"),
        ("sum(v)", [0.5, Decimal(1)], "TypeError: unsupported operand"),
        ("sum(v)", [0.5, 10**400], "OverflowError"),
        ("mean(v)", [10**400], "OverflowError"),
        ("min(v)", [1, "a"], "TypeError: '<' not supported"),
        ("max(v)", [float("nan")], "ValueError: nan is neither more nor less"),
        ("sum(v + w)", [1], r"sum\(v \+ w\): the record has no field 'w'"),
    ],
)
def test_a_value_that_does_not_fit_refuses_the_record(text, values, why):
    with pytest.raises(Reject, match=why):
        made(values, text)


def test_a_refused_record_counts_for_nothing():
    stage = grouping(first="collect(v)", n="count", last="sum(v)")
    for record in [{"k": 1, "v": 1}, {"k": 1, "v": "a"}, {"k": 2, "v": "b"}, {"k": 3}, {"v": 1}, {"k": 1, "v": 2}]:
        try:
            stage.process(record)
        except Reject:
            pass
    assert list(stage.flush()) == [{"k": 1, "first": [1, 2], "n": 2, "last": 3}]


def test_one_group_too_many_is_refused_and_the_others_go_on():
    stage = grouping(n="count", max_groups=2)
    for key in "abab":
        stage.process({"k": key})
    for _ in range(2):
        with pytest.raises(Reject, match="a new group, and there are 2 already: give more `max_groups`"):
            stage.process({"k": "c"})
    stage.process({"k": "b"})
    assert list(stage.flush()) == [{"k": "a", "n": 2}, {"k": "b", "n": 3}]


def test_what_is_collected_is_bounded_also_after_a_restore():
    stage = grouping(v="collect(v)", w="collect(v)", max_collected=5)
    for key in "ab":
        stage.process({"k": key, "v": 1})
    for one in (stage, moved(stage, grouping(v="collect(v)", w="collect(v)", max_collected=5))):
        with pytest.raises(Reject, match="more than 5 collected values: give more `max_collected`"):
            one.process({"k": "a", "v": 1})
        assert [record["w"] for record in one.flush()] == [[1], [1]]


VALUES = st.none() | st.integers() | st.integers(-(2**70), 2**70) | st.booleans()
KEYS = st.sampled_from([1, 1.0, True, "1", "\ud800", None, (2, 3)])
RECORDS = st.lists(st.fixed_dictionaries({"k": KEYS, "j": KEYS, "v": VALUES}), max_size=30)


@settings(derandomize=True, deadline=None)
@given(RECORDS, st.integers(0, 30), st.sampled_from(["k", ["k", "j"], []]))
def test_a_restored_stage_gives_the_same_records_in_the_same_order(records, cut, by):
    whole = given_by(grouping(by, **ALL), records)
    stage = grouping(by, **ALL)
    given_by(stage, records[:cut])
    again = moved(stage, grouping(by, **ALL))
    assert repr(given_by(again, records[cut:])) == repr(whole)
    assert again.snapshot() == moved(again, grouping(by, **ALL)).snapshot()


@settings(derandomize=True, deadline=None, max_examples=60)
@given(RECORDS, st.integers(0, 30), st.sampled_from(["k", ["k", "j"], []]), st.sampled_from([1, 1000, 4000]))
def test_groups_on_disk_are_those_in_memory(records, cut, by, memory):
    whole = given_by(grouping(by, **ALL), records)
    stage = grouping(by, **ALL, memory=memory)
    for record in records[:cut]:
        stage.process(record)
    again, roomy = (moved(stage, grouping(by, **ALL, memory=memory)), moved(stage, grouping(by, **ALL)))
    for one in (stage, again, roomy):
        assert repr(given_by(one, records[cut:])) == repr(whole)
        one.close()


def test_a_refused_record_counts_for_nothing_on_disk_either():
    stage = grouping(c="collect(v)", n="count", s="sum(v)", memory=1, max_groups=2, max_collected=3)
    for record in [{"k": 1, "v": 1}, {"k": 1, "v": "a"}, {"k": 2, "v": 5}, {"k": 3, "v": 1}, {"k": 1, "v": 2}]:
        try:
            stage.process(record)
        except Reject:
            pass
    with pytest.raises(Reject, match="more than 3 collected values"):
        stage.process({"k": 2, "v": 1})
    assert list(stage.flush()) == [{"k": 1, "c": [1, 2], "n": 2, "s": 3}, {"k": 2, "c": [5], "n": 1, "s": 5}]
    stage.close()


def test_two_results_never_share_a_part():
    one = grouping(a="first(v)", b="last(v)", c="collect(v)")
    (record,) = given_by(one, [{"k": 1, "v": ["x"]}])
    record["a"].append("y")
    assert record == {"k": 1, "a": ["x", "y"], "b": ["x"], "c": [["x"]]}


@pytest.mark.parametrize(("text", "size"), [("64KiB", 65536), ("1.5kB", 1500), ("2GiB", 2**31), ("7B", 7)])
def test_a_size_is_written_with_its_unit(text, size):
    assert Size.parse(text) == size
    for wrong in (text[:-1], f"-{text}", f" {text}"):
        with pytest.raises(ValueError, match="write 64KiB"):
            Size.parse(wrong)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("median(v)", r"is none of count\(…\), sum\(…\)"),
        ("sum", r"write sum\(EXPRESSION\)"),
        ("sum()", r"write sum\(EXPRESSION\)"),
        ("count(v)", "count takes no value"),
        ("sum(v) + 1", "is none of"),
        ("sum(v +)", "it can't be read"),
        ("sum(a) + sum(b)", "it can't be read"),
        ("", "is none of"),
    ],
)
def test_what_is_no_aggregation(text, why):
    with pytest.raises(ValueError, match=why):
        Aggregation.parse(text)


def test_a_mistake_in_an_aggregation_is_one_in_the_config():
    text = "version: 1\nstages:\n- use: group\n  with:\n    by: country\n    fields:\n      total: sum(price *)\n"
    with pytest.raises(ConfigError, match=r":7:14.*isn't a valid aggregation: it can't be read"):
        load(text)
    with pytest.raises(ConfigError, match=r"max_groups isn't a valid number"):
        load(text.replace("price *", "price") + "    max_groups: 0\n")


def test_two_fields_of_one_name_are_a_mistake():
    with pytest.raises(ValueError, match="two fields of the result would be called 'k'"):
        grouping(k="count")
    with pytest.raises(ValueError, match="'a'"):
        grouping(by=["a", "a"])


def test_it_has_state_that_survives():
    form = form_of(Group)
    assert form.state
    assert form.flushes
    assert form.snapshots
    with pytest.raises(Reject, match=r"put `parse` or `json\.parse`"):
        grouping(n="count").process("text")
