"""Files that nobody here wrote: those with which pyarrow tests itself, and what DuckDB makes of its own test types."""

from pathlib import Path

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.feather as feather
import pyarrow.parquet as pq

from stagerunner import Want
from stagerunner_parts.sinks.arrow import Arrow as ArrowSink
from stagerunner_parts.sinks.parquet import Parquet as ParquetSink
from stagerunner_parts.sources.arrow import Arrow
from stagerunner_parts.sources.parquet import Parquet

DATA = Path(pa.__file__).parent / "tests" / "data"
FILES = sorted([*DATA.rglob("*.parquet"), *DATA.rglob("*.feather")])


def read(path):
    """The table as pyarrow reads it, and our batches of it."""
    source = Arrow(path=path) if path.suffix == ".feather" else Parquet(path=path)
    source.check()
    batches = [source.read(split) for split in source.splits(None, Want(records=7))]
    return feather.read_table(path) if path.suffix == ".feather" else pq.ParquetFile(path).read(), batches


def written(sink, batches):
    sink.open(None)
    for rows in batches:
        sink.write(sink.encode(rows))
    sink.commit(None)
    sink.finish()


def goes_round(path, folder):
    table, batches = read(path)
    assert pa.Table.from_batches([rows.batch for rows in batches], table.schema).equals(table)
    assert [row for rows in batches for row in rows] == [row for rows in batches for row in rows.to_list()]
    written(ParquetSink(path=folder / "out.parquet"), batches)
    assert pq.ParquetFile(folder / "out.parquet").read().equals(table)
    written(ArrowSink(path=folder / "out.arrow"), batches)
    assert feather.read_table(folder / "out.arrow").equals(table)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_pyarrow_goes_round(path, tmp_path):
    goes_round(path, tmp_path)


def test_a_file_of_duckdb_goes_round(tmp_path):
    duckdb = needs.module("duckdb", "stagerunner[duckdb]")
    path = tmp_path / "types.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE types AS SELECT range n, range::DECIMAL(9, 2) / 4 p, 'k' || range % 3 k, [range, NULL] l, "
            "{'a': range, 'b': [{'c': 'x'}]} s, MAP {'m': range} m, TIMESTAMPTZ '2024-01-01 00:00:00Z' + "
            "to_days(range::INT) z, DATE '2024-01-01' + range::INT d, gen_random_uuid() u, NULL::INT e FROM range(200)"
        )
        connection.execute(f"COPY types TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 64)")
    goes_round(path, tmp_path)
