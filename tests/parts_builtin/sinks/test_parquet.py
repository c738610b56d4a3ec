import threading

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.parquet as pq

from stagerunner import ArrowRows
from stagerunner_parts.columnar.encoding import Part
from stagerunner_parts.columnar.types import ColumnType
from stagerunner_parts.sinks.parquet import Parquet

opened = []


@pytest.fixture(autouse=True)
def all_closed():
    yield
    while opened:
        opened.pop().abort()


def frame(*numbers):
    return [{"n": number, "s": f"s{number}"} for number in numbers]


def columns(*numbers):
    return ArrowRows(pa.RecordBatch.from_pylist(frame(*numbers)))


def made(path, *frames, position=None, left=None, **options):
    """A sink to which these frames were written, each committed."""
    sink = Parquet(path=path, **options)
    sink.check()
    sink.left(left)
    opened.append(sink)
    sink.open(position)
    for one in frames:
        written(sink, one)
    return sink


def written(sink, one):
    encoder = Parquet(path=sink.path, schema=sink.schema, extras=sink.extras, missing=sink.missing)
    if sink.columns() is not None:
        encoder.expect(sink.columns())
    data = encoder.encode(one)
    assert sink.fits(data)
    sink.write(memoryview(data))
    sink.commit(None)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_columns_that_repeat_themselves_have_dictionaries_and_others_not(tmp_path):
    rows = [{"unique": n, "same": n % 3, "in": {"unique": f"inside {n}"}, "few": f"{n % 50}"} for n in range(1000)]

    sink = made(tmp_path / "out.parquet", rows[:7], rows[7:], group=400)
    sink.finish()

    group = pq.ParquetFile(tmp_path / "out.parquet").metadata.row_group(1)
    columns = [group.column(number) for number in range(group.num_columns)]
    assert {one.path_in_schema: one.has_dictionary_page for one in columns} == {
        "unique": False,
        "same": True,
        "in.unique": True,  # columns in columns aren't looked at
        "few": True,
    }
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == rows


def test_a_file_of_rows_and_batches(tmp_path):
    path = tmp_path / "out.parquet"
    sink = made(path, frame(1), columns(2, 3), frame(4))
    assert not path.exists()
    sink.finish()
    assert pq.read_table(path).to_pylist() == frame(1, 2, 3, 4)
    assert files(tmp_path) == ["out.parquet"]
    sink.finish()


def cuts(numbers, size):
    return [columns(*numbers[at : at + size]) for at in range(0, len(numbers), size)]


@pytest.mark.parametrize("size", [1, 3, 10, 100])
def test_parts_do_not_depend_on_how_the_rows_came(size, tmp_path):
    made(tmp_path / "out", *cuts(range(100), size), rows=30, group=8).finish()
    assert files(tmp_path) == [f"out/part-0000{n}.parquet" for n in range(4)]
    parts = [pq.ParquetFile(path) for path in sorted((tmp_path / "out").iterdir())]
    assert [part.metadata.num_rows for part in parts] == [30, 30, 30, 10]
    assert [part.metadata.row_group(0).num_rows for part in parts] == [8] * 4
    assert [row for part in parts for row in part.read().to_pylist()] == frame(*range(100))
    made(tmp_path / "whole", columns(*range(100)), rows=30, group=8).finish()
    for part in range(4):
        name = f"part-0000{part}.parquet"
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_parts_end_with_the_row_group_that_reaches_their_bytes(tmp_path):
    made(tmp_path / "out", *cuts(range(100), 7), group=10, bytes=1).finish()
    assert len(files(tmp_path)) == 10


@pytest.mark.parametrize("stop", range(1, 14))
def test_a_resume_goes_on_at_the_last_commit(stop, tmp_path):
    expected, frames = tmp_path / "expected", cuts(range(40), 3)
    made(expected, *frames, rows=10, group=4).finish()
    sink = made(tmp_path / "out", *frames[:stop], rows=10, group=4)
    position = sink.position()
    for late in frames[stop : stop + 4]:  # written, and not committed
        encoder = Parquet(path=sink.path)
        encoder.expect(sink.columns())
        sink.write(encoder.encode(late))
    sink.abort()
    made(tmp_path / "out", *frames[stop:], position=position, left=position, rows=10, group=4).finish()
    for path in expected.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert len(files(tmp_path / "out")) == 4
    assert not (tmp_path / "out.partial").exists()


def test_the_commit_before_the_last_can_be_gone_back_to(tmp_path):
    frames = cuts(range(40), 6)
    sink = made(tmp_path / "out", *frames[:1], rows=10)
    before = sink.position()
    written(sink, frames[1])
    assert sink.position()["part"] == before["part"] + 1
    sink.abort()  # the journal's row of the last commit was never written
    made(tmp_path / "out", *frames[1:], position=before, rows=10).finish()
    assert pq.read_table(tmp_path / "out").to_pylist() == frame(*range(40))


def test_a_commit_waits_until_the_parts_before_it_are_whole(tmp_path, monkeypatch):
    gate, complete = threading.Event(), Part.complete
    monkeypatch.setattr(Part, "complete", lambda part: (gate.wait(), complete(part)))
    opener = threading.Timer(0.05, gate.set)
    opener.start()
    made(tmp_path / "out", columns(1, 2, 3), rows=2)
    assert (tmp_path / "out.partial" / "part-00000.parquet").exists()
    opener.join()


def test_what_the_thread_fails_with_ends_the_run(tmp_path, monkeypatch):
    def full(part, pieces, schema):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Part, "group", full)
    with pytest.raises(OSError, match="No space left"):
        made(tmp_path / "out", columns(1, 2, 3), rows=2)


def test_old_parts_are_replaced_and_other_files_stay(tmp_path):
    made(tmp_path / "out", columns(*range(9)), rows=2).finish()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    made(tmp_path / "out", columns(1, 2, 3), rows=2).finish()
    assert files(tmp_path / "out") == ["notes.txt", "part-00000.parquet", "part-00001.parquet"]
    with pytest.raises(FileExistsError, match="mode `new`"):
        Parquet(path=tmp_path / "out", mode="new").check_new()


def test_parts_are_added_to_those_that_are_there(tmp_path):
    for start in (0, 10):
        made(tmp_path / "out", columns(*range(start, start + 5)), rows=2, mode="append").finish()
    assert files(tmp_path) == [f"out/part-0000{n}.parquet" for n in range(6)]
    assert pq.read_table(tmp_path / "out").to_pylist() == frame(*range(5), *range(10, 15))
    with pytest.raises(ValueError, match="no column for 'z'"):
        made(tmp_path / "out", [{"n": 1, "s": "x", "z": 1}], mode="append")
    opened.pop().abort()
    with pytest.raises(ValueError, match="other columns than `schema` says"):
        made(tmp_path / "out", schema={"n": ColumnType("int8")}, mode="append")
    with pytest.raises(ValueError, match="name a folder"):
        Parquet(path=tmp_path / "one.parquet", mode="append").check()


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_added_parts_get_the_same_numbers_after_a_kill(moved, tmp_path):
    made(tmp_path / "out", columns(0, 1, 2), rows=2, mode="append").finish()
    sink = made(tmp_path / "out", columns(3, 4), columns(5, 6, 7), rows=2, mode="append")
    position = sink.position()
    sink.abort()
    for part in range(moved):  # as far as the end of that run has got
        (tmp_path / "out.partial" / f"part-0000{part}.parquet").rename(
            tmp_path / "out" / f"part-0000{part + 2}.parquet"
        )
    again = Parquet(path=tmp_path / "out", rows=2, mode="append")
    again.left(position)
    again.finish()
    assert files(tmp_path) == [f"out/part-0000{n}.parquet" for n in range(5)]
    assert pq.read_table(tmp_path / "out").to_pylist() == frame(*range(8))


def test_an_end_that_was_cut_short_is_made_up_for(tmp_path):
    sink = made(tmp_path / "out", columns(1, 2, 3), rows=2)
    position = sink.position()
    sink.abort()
    for _ in range(2):
        again = Parquet(path=tmp_path / "out", rows=2)
        again.left(position)
        again.finish()
        assert files(tmp_path) == ["out/part-00000.parquet", "out/part-00001.parquet"]


def test_a_record_that_does_not_fit(tmp_path):
    sink = made(tmp_path / "out.parquet", frame(1))
    encoder = Parquet(path=sink.path)
    encoder.expect(sink.columns())
    for record, why in (
        ({"n": "x", "s": "y"}, "the field 'n' doesn't fit into int64.*the first record decides"),
        ({"n": 1}, "the record lacks 's'"),
        ({"n": 1, "s": "y", "t": 1}, "there is no column for 't'"),
        ("text", "mapping"),
    ):
        with pytest.raises((ValueError, TypeError, AttributeError), match=why):
            encoder.encode([record])
    with pytest.raises(ValueError, match="the field 'n' doesn't fit into int64"):
        encoder.encode(ArrowRows(pa.RecordBatch.from_pydict({"n": ["x"], "s": ["y"]})))


def test_data_for_other_columns_is_noticed(tmp_path):
    sink = made(tmp_path / "out.parquet", frame(1))
    other = Parquet(path=sink.path).encode([{"z": 1}])
    assert not sink.fits(other)
    with pytest.raises(ValueError, match="other columns"):
        sink.write(other)


def test_a_schema_and_what_is_missing(tmp_path):
    schema = {"n": ColumnType("float32"), "t": ColumnType("timestamp[us, UTC]"), "l": ColumnType("list<string>")}
    made(
        tmp_path / "out.parquet",
        frame(1),
        columns(2),
        schema=schema,
        extras="ignore",
        missing="fill",
        compression="zstd",
    ).finish()
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.schema.types == [pa.float32(), pa.timestamp("us", "UTC"), pa.list_(pa.string())]
    assert found.to_pylist() == [{"n": 1.0, "t": None, "l": None}, {"n": 2.0, "t": None, "l": None}]


def test_nothing_at_all(tmp_path):
    made(tmp_path / "out.parquet").finish()
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0
    made(tmp_path / "out").finish()
    assert files(tmp_path / "out") == []
    made(tmp_path / "typed", schema={"n": ColumnType("decimal(10, 2)")}).finish()
    assert pq.read_table(tmp_path / "typed").schema == pa.schema([("n", pa.decimal128(10, 2))])


def test_a_partial_folder_of_others_is_left_alone(tmp_path):
    (tmp_path / "out.parquet.partial").mkdir()
    (tmp_path / "out.parquet.partial" / "mine").touch()
    with pytest.raises(FileExistsError, match="in the way"):
        made(tmp_path / "out.parquet")


def test_a_second_run_is_refused(tmp_path):
    sink = made(tmp_path / "out.parquet", frame(1))
    with pytest.raises(BlockingIOError):
        made(tmp_path / "out.parquet", left=sink.position())
    sink.abort()


def test_what_can_not_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"a single file's name ends in \.parquet"):
        Parquet(path=tmp_path / "file").check()
    with pytest.raises(ValueError, match="a field can be part of a path in the sinks"):
        Parquet(path=tmp_path / "{n}.parquet").check()
    with pytest.raises(ValueError, match=r"compressed inside; leave \.gz out"):
        Parquet(path=tmp_path / "out.parquet.gz").check()
    with pytest.raises(ValueError, match="is one file; parts need a folder"):
        Parquet(path=tmp_path / "out.parquet", rows=5).check()
