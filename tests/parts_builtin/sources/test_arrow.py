import pytest
from support import needs
from support.remote import Shelf

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner import Origin, Want
from stagerunner_parts.columnar.predicate import Predicate
from stagerunner_parts.remote.address import Address
from stagerunner_parts.sources.arrow import Arrow

TABLE = pa.table({"n": range(100), "s": pa.array([f"s{n % 7}" for n in range(100)]).dictionary_encode()})


@pytest.fixture(params=["file", "stream", "compressed"])
def path(request, tmp_path):
    path = tmp_path / "a.arrow"
    options = pa.ipc.IpcWriteOptions(compression="zstd" if request.param == "compressed" else None)
    new = pa.ipc.new_stream if request.param == "stream" else pa.ipc.new_file
    with new(path, TABLE.schema, options=options) as writer:
        writer.write_table(TABLE, max_chunksize=30)
    return path


@pytest.mark.parametrize("rows", [1, 7, 30, 1000])
def test_rows_in_order_however_they_are_cut(rows, path):
    source = Arrow(path=path)
    source.check()
    splits = list(source.splits(None, Want(records=rows)))
    assert pa.Table.from_batches([source.read(split).batch for split in splits]).to_pylist() == TABLE.to_pylist()
    again = [source.read(split).to_list() for split in splits[::-1]][::-1]
    assert [row for found in again for row in found] == TABLE.to_pylist()
    assert source.locate(splits[-1], 0) == Origin(str(path), None, splits[-1].data[1])


def test_columns_and_a_filter(path):
    source = Arrow(path=path, columns=["n"], filter=Predicate("s == 's3' and n > 80"))
    source.check()
    found = [row for split in source.splits(None, Want(records=9)) for row in source.read(split)]
    assert found == [{"n": 87}, {"n": 94}]


def test_a_file_that_is_none(path):
    whole = path.read_bytes()
    for content in (b"", b"hello" * 100, whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.arrow can't be read as Arrow: "):
            Arrow(path=path).check()


def texts(offsets, content):
    """A column of texts with these offsets into the bytes, sound or not."""
    offsets = pa.array(offsets, pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(content)])


def test_a_damaged_file_is_named_instead_of_killing_the_process(tmp_path):
    def source(*columns):
        batch = pa.record_batch(list(columns), names=list("ab"[: len(columns)]))
        with pa.ipc.new_file(tmp_path / "a.arrow", batch.schema) as writer:
            writer.write_batch(batch)
        return Arrow(path=tmp_path / "a.arrow")

    outside = pa.DictionaryArray.from_arrays(pa.array([0, 7]), pa.array(["u"]), safe=False)
    for column in (texts([0, 2**30, 2], b"ab"), outside):
        damaged = source(pa.array([1, 2]), column)
        with pytest.raises(ValueError, match=r"a\.arrow is damaged near row 0: "):
            damaged.read(next(damaged.splits(None, Want(records=9))))
    no_text = source(texts([0, 1, 2], b"a\xff"))
    assert no_text.read(next(no_text.splits(None, Want(records=9)))).to_list() == [{"a": "a"}, {"a": "\udcff"}]


@pytest.fixture
def shelf():
    """A server with a file of 6 MB, in three batches."""
    wide = pa.table({"n": range(30_000), "text": [f"{n:0>200}" for n in range(30_000)]})
    out = pa.BufferOutputStream()
    with pa.ipc.new_file(out, wide.schema) as writer:
        writer.write_table(wide, max_chunksize=10_000)
    with Shelf() as shelf:
        shelf.put("a.arrow", out.getvalue().to_pybytes())
        yield shelf


def at(shelf, **options):
    return Arrow(path=Address.parse(shelf.url("a.arrow")), **options)


def test_a_file_at_an_address_is_read_in_parts(shelf):
    ranges = []
    shelf.fault = lambda request: ranges.append(request.headers.get("range"))
    source = at(shelf, columns=["n"], filter=Predicate("n >= 25000"))
    source.check()
    bounds = [span.removeprefix("bytes=").split("-") for span in ranges if span is not None]
    assert sum(int(last) + 1 - int(first) for first, last in bounds) < 5000
    splits = list(source.splits(None, Want(records=4096)))
    worker = at(shelf, columns=["n"], filter=Predicate("n >= 25000"))
    assert [row["n"] for split in splits for row in worker.read(split)] == [*range(25_000, 30_000)]
    assert worker.locate(splits[-1], 3) == Origin(shelf.url("a.arrow"), None, splits[-1].data[1] + 3)


def test_a_file_at_an_address_that_changes_is_noticed(shelf):
    source = at(shelf)
    split = next(source.splits(None, Want(records=10)))
    shelf.put("a.arrow", shelf.files["a.arrow"] + b" ")
    with pytest.raises(OSError, match=r"a\.arrow has changed since the run began"):
        at(shelf).read(split)


def test_what_cannot_be_read_in_parts(shelf):
    whole = shelf.files["a.arrow"]
    shelf.put("a.arrow", whole[8:])
    with pytest.raises(ValueError, match=r"a\.arrow isn't an Arrow file; a stream can't be read in parts: download it"):
        at(shelf).check()
    shelf.put("a.arrow", whole[:5000])
    with pytest.raises(ValueError, match=r"a\.arrow can't be read as Arrow: "):
        at(shelf).check()
    shelf.put("a.arrow", b"ARR")
    with pytest.raises(ValueError, match=r"a\.arrow isn't an Arrow file"):
        at(shelf).check()
    shelf.put("a.arrow", whole)
    shelf.ranges = False
    with pytest.raises((ValueError, OSError), match=r"^http\S*a\.arrow can't be read in parts: "):
        at(shelf).check()
