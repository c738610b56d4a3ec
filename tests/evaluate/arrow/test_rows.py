import datetime as dt
import decimal
import pickle
import re
import sys
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

import pyarrow.compute as pc

from stagerunner import ArrowRows, as_record_batch
from stagerunner.runtime.blocks import Space
from stagerunner.wire.arena import Arena, create
from stagerunner.wire.payload import PayloadCodec


def rows(number=5, **columns):
    return ArrowRows(
        pa.RecordBatch.from_pydict(columns or {"a": list(range(number)), "b": [f"b{n}" for n in range(number)]})
    )


def test_rows_are_a_sequence_of_dicts():
    found = rows(4)
    assert len(found) == 4
    assert found[1] == {"a": 1, "b": "b1"}
    assert found[-1] == {"a": 3, "b": "b3"}
    assert list(found)[:2] == [{"a": 0, "b": "b0"}, {"a": 1, "b": "b1"}]
    assert list(found[1:3]) == list(found)[1:3] == list(found.take([1, 2]))
    assert list(found[::-2]) == list(found)[::-2]
    assert len(found[4:]) == len(found[3:2]) == 0
    with pytest.raises(IndexError):
        found[4]


def pickled(found):
    buffers = []
    stream = pickle.dumps(found, 5, buffer_callback=buffers.append)
    return stream, [buffer.raw() for buffer in buffers]


def test_a_slice_is_sent_without_what_it_was_cut_from():
    whole = rows(100_000)
    stream, buffers = pickled(whole)
    assert sum(map(len, buffers)) > 1_000_000 > 2000 > len(stream)
    part = whole[50_000:50_010]
    stream, buffers = pickled(part)
    assert len(stream) + sum(map(len, buffers)) < 2000
    assert pickle.loads(stream, buffers=buffers) == part


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no arena elsewhere")
def test_a_column_that_is_handed_on_stays_where_it_is():
    arena = Arena(create(3), 3)
    first, second, third = (PayloadCodec(arena, owner) for owner in range(3))
    for codec in (first, second):
        codec.segment = Space(4, 2**24)
    try:
        body = first(rows(50_000))
        found = second.records(first.buffer_refs, 4, memoryview(body))
        doubled = pc.multiply(found.batch.column("a"), 2)
        body = second(ArrowRows(found.batch.append_column("c", doubled)))
        assert [ref.owner for ref in second.buffer_refs if ref.length > 100_000] == [0, 0, 0, 1]
        assert len(body) < 2000
        assert third.records(second.buffer_refs, 4, memoryview(body)).batch.column("c").equals(doubled)
        del found
    finally:
        arena.close()


KINDS = {
    "nested": pa.array([{"x": [1, None]}, {"x": []}, None], pa.struct([("x", pa.list_(pa.int8()))])),
    "dictionary": pa.array(["u", "v", "u"]).dictionary_encode(),
    "decimal": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-3.25")]),
    "zoned": pa.array([0, 1, None], pa.timestamp("us", "Europe/Zurich")),
    "nothing": pa.nulls(3),
    "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    "binary": pa.array([b"\0", b"", None]),
}


@pytest.mark.parametrize("cut", [slice(0, 3), slice(1, 3), slice(2, 2)])
def test_every_type_of_column_survives_the_codec(cut):
    found = ArrowRows(pa.RecordBatch.from_pydict(KINDS))[cut]
    codec = PayloadCodec(None, 0)
    body = memoryview(codec(found))
    again = codec.records(codec.buffer_refs, -1, body)
    assert again == found
    assert again.batch.schema == found.batch.schema
    assert again.to_list() == found.to_list()
    again.batch.validate(full=True)


def test_times_lose_their_nanoseconds_as_python_objects():
    column = pa.array([1_000_000_001, None], pa.timestamp("ns"))
    nested = pa.array([[{"t": 5}], None], pa.list_(pa.struct([("t", pa.duration("ns"))])))
    assert list(rows(t=column, n=nested)) == [
        {"t": dt.datetime(1970, 1, 1, 0, 0, 1), "n": [{"t": dt.timedelta(0)}]},
        {"t": None, "n": None},
    ]


def test_text_that_is_no_text_keeps_its_bytes():
    offsets, content = pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")
    column = pa.Array.from_buffers(pa.string(), 1, [None, offsets, content])
    assert list(rows(s=column)) == [{"s": "a\udcff"}]


def test_dicts_become_a_batch_with_all_their_fields():
    batch = as_record_batch([{"a": 1}, {"b": "x", "a": None}])
    assert batch.to_pydict() == {"a": [1, None], "b": [None, "x"]}
    assert as_record_batch(ArrowRows(batch)) is batch


@pytest.mark.parametrize(
    ("records", "why"),
    [
        (["text"], "a row of a batch is a mapping, but this is of type str"),
        ([{}], "needs at least one field"),
        ([{1: 2}], "the name of a column is text, but 1 is of type int"),
        ([{"a": 1}, {"a": "x"}], "the field 'a' doesn't fit into one column"),
        ([{"a": object()}], "the field 'a' doesn't fit"),
    ],
)
def test_what_is_no_row(records, why):
    with pytest.raises(ValueError, match=why):
        as_record_batch(records)


DAY, NOON = dt.datetime(2024, 1, 31), dt.datetime(2024, 1, 31, 12, 0, 0, 5)
XY = [{"x": 1, "y": 2}]
X = pa.struct([("x", pa.int64())])


@pytest.mark.parametrize(
    ("value", "kind", "why"),
    [
        (XY[0], X, "it has no place for the field 'y'"),
        (XY, pa.list_(X), "it has no place for the field 'y'"),
        ({"x": XY}, pa.struct([("x", pa.list_(X))]), "it has no place for the field 'y'"),
        ({"k": NOON}, pa.map_(pa.string(), pa.date32()), "has a time of day"),
        (NOON, pa.date32(), "has a time of day"),
        (NOON, pa.timestamp("s"), "is finer than s"),
        (NOON.time(), pa.time32("ms"), "is finer than ms"),
        (dt.timedelta(microseconds=5), pa.duration("s"), "is finer than s"),
        (decimal.Decimal("1.5"), pa.int64(), ""),
    ],
)
def test_nothing_is_left_out_in_silence(value, kind, why):
    with pytest.raises(ValueError, match=rf"the field 'f' doesn't fit into {re.escape(str(kind))}: .*{why}"):
        as_record_batch([{"f": None}, {"f": value}], pa.schema([("f", kind)]))


def test_what_loses_nothing_fits():
    kinds = {
        "d": pa.date32(),
        "t": pa.timestamp("s"),
        "x": pa.struct([("x", pa.int8()), ("y", pa.int8())]),
        "n": pa.int8(),
    }
    found = as_record_batch([{"d": DAY, "t": DAY, "x": {"x": 1}, "n": decimal.Decimal(2)}], pa.schema(kinds))
    assert found.to_pylist() == [{"d": DAY.date(), "t": DAY, "x": {"x": 1, "y": None}, "n": 2}]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array(XY), X),
        (pa.array([XY]), pa.list_(X)),
        (pa.array([NOON]), pa.date32()),
        (
            pa.array([[("k", XY[0])]], pa.map_(pa.string(), pa.struct([("x", pa.int64()), ("y", pa.int64())]))),
            pa.map_(pa.string(), X),
        ),
    ],
    ids=str,
)
def test_nothing_is_left_out_of_columns_in_silence(column, kind):
    with pytest.raises(ValueError, match=r"the column 'f' is .* doesn't fit: "):
        as_record_batch(rows(f=column), pa.schema([("f", kind)]))


SORTS = {
    "text": pa.array(["1"]),
    "few": pa.array(["1"]).dictionary_encode(),
    "truth": pa.array([True]),
    "int": pa.array([1]),
    "float": pa.array([1.0]),
    "decimal": pa.array([decimal.Decimal(1)]),
    "list": pa.array([["1"]]),
    "numbers": pa.array([[1]]),
    "struct": pa.array([{"x": "1"}]),
    "other": pa.array([{"x": 1}]),
    "null": pa.nulls(1),
}


@pytest.mark.parametrize("column", SORTS.values(), ids=SORTS)
def test_columns_fit_where_their_rows_do(column):
    """Whether rows come in columns depends on the frame, so it mustn't matter."""
    for kind in (other.type for name, other in SORTS.items() if name not in ("few", "null")):
        schema = pa.schema([("f", kind)])
        found = batch_or_refusal(rows(f=column), schema)
        by_rows = batch_or_refusal(rows(f=column).to_list(), schema)
        assert found == by_rows or type(found) is type(by_rows) is str, kind


def test_a_map_fits_into_a_narrower_one():
    column = pa.array([[("j", 5000)], [("k", 1)]], pa.map_(pa.string(), pa.int64()))
    schema = pa.schema([("f", pa.map_(pa.string(), pa.int8()))])
    assert as_record_batch(rows(f=column)[1:], schema).to_pylist() == [{"f": [("k", 1)]}]


def test_a_field_that_is_null_everywhere_is_not_missed():
    column = pa.array([[{"x": 1, "y": 2}], [{"x": 3, "y": None}], None])
    schema = pa.schema([("f", pa.list_(X))])
    assert as_record_batch(rows(f=column)[1:], schema).to_pylist() == [{"f": [{"x": 3}]}, {"f": None}]


def batch_or_refusal(records, schema):
    try:
        return as_record_batch(records, schema)
    except ValueError as error:
        return str(error)


VALUES = st.sampled_from([None, True, 1, 2**60, 0.5, "a", "\ud800", [1], {"x": 1}])
DICTS = st.dictionaries(st.sampled_from(["a", "b", "c", 1]), VALUES, max_size=3)
ALIKE = st.lists(st.fixed_dictionaries({"a": VALUES, "b": VALUES}), min_size=1, max_size=3)
SCHEMA = pa.schema([("b", pa.float64()), ("a", pa.int64())])


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.one_of(ALIKE, st.lists(DICTS, min_size=1, max_size=3)), st.sampled_from([None, SCHEMA]))
def test_dicts_with_the_same_fields_become_what_any_mappings_become(records, schema):
    """Only dicts with the same fields are taken the quick way."""
    assert batch_or_refusal(records, schema) == batch_or_refusal(list(map(MappingProxyType, records)), schema)


def test_a_schema_decides():
    schema = pa.schema([("b", pa.float64()), ("a", pa.int8())])
    assert as_record_batch([{"a": 1, "b": 2}], schema).to_pydict() == {"b": [2.0], "a": [1]}
    assert as_record_batch(rows(a=[1], b=[2], c=[3]), schema).to_pydict() == {"b": [2.0], "a": [1]}
    with pytest.raises(ValueError, match="the column 'a' is int8, and int64 doesn't fit"):
        as_record_batch(rows(a=[300], b=[0]), schema)
    with pytest.raises(ValueError, match="there is no column 'b'"):
        as_record_batch(rows(a=[1]), schema)
    with pytest.raises(ValueError, match="the field 'a' doesn't fit into int8"):
        as_record_batch([{"a": 1.5, "b": 1}], schema)
    with pytest.raises(ValueError, match="the field 'l' doesn't fit into list<"):
        as_record_batch([{"l": [1.5]}], pa.schema([("l", pa.list_(pa.int64()))]))
    assert as_record_batch([{"l": [2.0, None]}], pa.schema([("l", pa.list_(pa.int64()))])).to_pydict() == {
        "l": [[2, None]]
    }
