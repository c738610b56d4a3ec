import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner import ArrowRows
from stagerunner_parts.sinks.arrow import Arrow

TABLE = pa.table({"n": range(100), "s": [f"s{n % 7}" for n in range(100)], "z": pa.nulls(100)})


def batches(size):
    """The table with dictionaries that differ from batch to batch."""
    for batch in TABLE.to_batches(max_chunksize=size):
        encoded = batch.column("s").dictionary_encode()
        yield ArrowRows(batch.append_column("d", encoded))


def write(path, size, **options):
    sink = Arrow(path=path, **options)
    sink.check()
    sink.open(None)
    for rows in batches(size):
        sink.write(sink.encode(rows))
        sink.commit(None)
    sink.finish()


@pytest.mark.parametrize("size", [3, 40, 100])
@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("name", ["out.arrow", "out.feather", "out.arrows", "out"])
def test_all_rows_with_their_types(name, compression, size, tmp_path):
    path = tmp_path / name
    write(path, size, group=30, compression=compression, **({"rows": 64} if name == "out" else {}))
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    assert [file.name for file in files] == (["part-00000.arrow", "part-00001.arrow"] if name == "out" else [name])
    opening = pa.ipc.open_stream if name == "out.arrows" else pa.ipc.open_file
    found = pa.concat_tables([opening(pa.OSFile(str(file))).read_all() for file in files])
    assert found.select(["n", "s", "z"]) == TABLE
    assert pa.types.is_dictionary(found.schema.field("d").type)
    assert found.column("d").to_pylist() == TABLE.column("s").to_pylist()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("name", ["out.arrow", "out.arrows"])
def test_the_bytes_do_not_depend_on_how_the_rows_came(name, tmp_path):
    written = []
    for size in (3, 40, 100):
        sink = Arrow(path=tmp_path / name, group=30)
        sink.open(None)
        for batch in TABLE.to_batches(max_chunksize=size):
            sink.write(sink.encode(ArrowRows(batch)))
        sink.commit(None)
        sink.finish()
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1] == written[2]
