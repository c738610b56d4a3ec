import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner import Origin, Want
from stagerunner_parts.columnar.predicate import Predicate
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
