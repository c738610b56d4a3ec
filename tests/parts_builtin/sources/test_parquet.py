import datetime as dt
import decimal

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.parquet as pq

from stagerunner import ArrowRows, Origin, Want
from stagerunner_parts.columnar.predicate import Predicate
from stagerunner_parts.sources.parquet import Parquet


def table(number=100, start=0):
    return pa.table({"n": range(start, start + number), "s": [f"s{n % 7}" for n in range(start, start + number)]})


@pytest.fixture
def wrote(tmp_path):
    def write(name="a.parquet", content=None, **options):
        path = tmp_path / name
        pq.write_table(table() if content is None else content, path, **options)
        return path

    return write


def numbers(source, want, after=None):
    return [row["n"] for split in source.splits(after, want) for row in source.read(split)]


@pytest.mark.parametrize("rows", [1, 7, 30, 1000])
@pytest.mark.parametrize("group", [1, 10, 33, 1000])
def test_rows_in_order_however_they_are_cut(rows, group, wrote):
    source = Parquet(path=wrote(row_group_size=group))
    source.check()
    assert numbers(source, Want(records=rows)) == list(range(100))
    for split in source.splits(None, Want(records=rows)):
        got = source.read(split)
        assert isinstance(got, ArrowRows)
        assert split.most == len(got)
        assert numbers(source, Want(records=13), split.position) == list(range(got[-1]["n"] + 1, 100))
    assert source.size() == pytest.approx(sum(split.size for split in source.splits(None, Want(records=rows))), abs=100)


def test_large_splits_end_at_round_numbers(wrote):
    path = wrote(content=table(10_000))
    source = Parquet(path=path)
    ends = [split.position[1] for split in source.splits([str(path), 5], Want(records=1500))]
    assert ends == [*range(1024, 10_000, 1024), 10_000]
    assert next(source.splits(None, Want(records=1500, exact=True))).most == 1500


def test_several_files(wrote, tmp_path):
    wrote("1.parquet", table(5))
    wrote("2.parquet", table(5, 5))
    source = Parquet(path=tmp_path / "*.parquet")
    assert numbers(source, Want(records=3)) == list(range(10))
    *_, last = source.splits(None, Want(records=3))
    assert source.locate(last, 1) == Origin(str(tmp_path / "2.parquet"), None, 4)
    assert [one["path"] for one in source.identity()] == [str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")]


def test_splits_may_be_read_in_any_order(wrote):
    source = Parquet(path=wrote(row_group_size=20))
    splits = list(source.splits(None, Want(records=9)))
    found = {split.position[1]: [row["n"] for row in source.read(split)] for split in [*splits[::2], *splits[::-1]]}
    assert [n for end in sorted(found) for n in found[end]] == list(range(100))


def test_columns_are_chosen(wrote):
    source = Parquet(path=wrote(), columns=["s"])
    assert source.read(next(source.splits(None, Want(records=1)))).to_list() == [{"s": "s0"}]
    with pytest.raises(ValueError, match="there is no column 'x'; there are n, s"):
        Parquet(path=wrote(), columns=["x"]).check()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n >= 95", range(95, 100)),
        ("95 <= n", range(95, 100)),
        ("10 < n < 13 or n == 50", [11, 12, 50]),
        ("s in ['s1', 's2'] and n < 10", [1, 2, 8, 9]),
        ("s == 'nowhere'", []),
        ("n != 0 and n < 3", [1, 2]),
    ],
)
@pytest.mark.parametrize("group", [4, 1000])
def test_a_filter(text, expected, group, wrote):
    source = Parquet(path=wrote(row_group_size=group), filter=Predicate(text), columns=["n"])
    source.check()
    assert numbers(source, Want(records=7)) == list(expected)


def test_row_groups_without_a_match_are_not_read(wrote):
    source = Parquet(path=wrote(row_group_size=10), filter=Predicate("n > 45 and n < 52"))
    splits = list(source.splits(None, Want(records=1000)))
    assert [split.most for split in splits] == [20]
    assert numbers(source, Want(records=4)) == list(range(46, 52))
    assert source.locate(splits[0], 2).number == 48


def test_a_filter_that_does_not_fit(wrote):
    with pytest.raises(ValueError, match="`filter` needs a column 'x'"):
        Parquet(path=wrote(), filter=Predicate("x > 1")).check()
    with pytest.raises(ValueError, match="`filter` can't compare 'n', which is int64, with 'ten'"):
        Parquet(path=wrote(), filter=Predicate("n > 'ten'")).check()


def test_a_date_is_compared_with_a_text(wrote):
    days = pa.table({"day": [dt.date(2024, 1, day) for day in range(1, 31)], "n": range(1, 31)})
    source = Parquet(path=wrote(content=days, row_group_size=5), filter=Predicate("day >= '2024-01-28'"))
    source.check()
    assert numbers(source, Want()) == [28, 29, 30]


def test_files_with_other_columns(wrote, tmp_path):
    wrote("1.parquet", pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}))
    wrote("2.parquet", pa.table({"c": [True], "a": pa.array([2**40], pa.int64())}))
    source = Parquet(path=tmp_path / "*.parquet")
    source.check()
    assert [row for split in source.splits(None, Want()) for row in source.read(split)] == [
        {"a": 1, "b": "x", "c": None},
        {"a": 2**40, "b": None, "c": True},
    ]
    filtered = Parquet(path=tmp_path / "*.parquet", filter=Predicate("b == 'x'"), columns=["a"])
    assert [row for split in filtered.splits(None, Want()) for row in filtered.read(split)] == [{"a": 1}]
    wrote("2.parquet", pa.table({"a": pa.array([0.5])}))
    wrote("3.parquet", pa.table({"a": pa.array([1, 2**60 + 1])}))
    lossy = Parquet(path=[tmp_path / "2.parquet", tmp_path / "3.parquet"])
    with pytest.raises(
        ValueError, match=r"'a' is int64 in .*3\.parquet, and double with the other files, which doesn't"
    ):
        list(map(lossy.read, lossy.splits(None, Want())))
    wrote("3.parquet", pa.table({"a": ["text"]}))
    with pytest.raises(ValueError, match=r"3\.parquet has other columns than .*1\.parquet"):
        Parquet(path=tmp_path / "*.parquet").check()


def test_a_file_that_is_none(wrote, tmp_path):
    whole = wrote().read_bytes()
    for name, content in {"empty": b"", "cut": whole[:-20], "text": b"hello" * 100}.items():
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}.parquet can't be read as Parquet: "):
            Parquet(path=path).check()


def test_a_damaged_file_is_named(wrote):
    path = wrote(content=table(10_000), compression="snappy")
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes(300) + whole[600:])
    source = Parquet(path=path)
    with pytest.raises(ValueError, match=r"a\.parquet is damaged near row 0: "):
        numbers(source, Want(records=1000))


def test_two_columns_of_one_name(wrote):
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", "b"])
    path = wrote(content=twice)
    with pytest.raises(ValueError, match=r"a\.parquet has two columns 'a', and a record only one; leave them out with"):
        Parquet(path=path).check()
    source = Parquet(path=path, columns=["b"])
    source.check()
    assert [row for split in source.splits(None, Want()) for row in source.read(split)] == [{"b": 3}]


def test_a_file_that_is_compressed_as_a_whole(tmp_path):
    with pytest.raises(ValueError, match="compressed as a whole"):
        Parquet(path=tmp_path / "a.parquet.gz").check()


def test_a_file_without_rows(wrote):
    source = Parquet(path=wrote(content=table(0)))
    source.check()
    assert list(source.splits(None, Want())) == []
    assert source.size() == 0


def test_another_file_of_that_name_is_refused(wrote):
    source = Parquet(path=wrote())
    splits = list(source.splits(None, Want(records=10)))
    wrote("b.parquet", table(50)).replace(wrote())
    with pytest.raises(OSError, match="was replaced"):
        source.read(splits[0])


def test_types_survive(wrote):
    content = pa.table(
        {
            "nested": [{"x": [{"y": 1}]}, None],
            "dictionary": pa.array(["u", None]).dictionary_encode(),
            "decimal": [decimal.Decimal("1.50"), None],
            "zoned": pa.array([1, None], pa.timestamp("us", "Europe/Zurich")),
            "nothing": pa.nulls(2),
        }
    )
    source = Parquet(path=wrote(content=content))
    found = [source.read(split).batch for split in source.splits(None, Want(records=1))]
    assert pa.Table.from_batches(found) == content
