"""Tables that nobody here wrote: read, written as Parquet and Arrow, and compared with what Python's and pyarrow's own
readers find. The package vega_datasets brings pandas along, but its files are read without importing it, so CI
installs it alone."""

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv
from pyarrow import feather

from stagerunner import ArrowRows, Want, as_record_batch
from stagerunner_parts.sinks.arrow import Arrow as ArrowSink
from stagerunner_parts.sinks.parquet import Parquet as ParquetSink
from stagerunner_parts.sources.arrow import Arrow
from stagerunner_parts.sources.csv import Csv
from stagerunner_parts.sources.json import Json
from stagerunner_parts.sources.parquet import Parquet

FOUND = find_spec("vega_datasets")
if FOUND is None or FOUND.origin is None:
    pytest.skip("vega_datasets is not installed: pip install --no-deps vega_datasets", allow_module_level=True)
DATA = Path(FOUND.origin).parent / "_data"
TABLES, DOCUMENTS = sorted(DATA.glob("*.csv")), sorted(DATA.glob("*.json"))


def records_of(source, records=1000):
    source.check()
    return [record for split in source.splits(None, Want(records=records)) for record in source.read(split)]


def goes_round(records, folder):
    """Written as Parquet and Arrow in lists of any length, they come back as they were."""
    batch = as_record_batch(records)
    for sink, source in (
        (ParquetSink(path=folder / "out.parquet", group=500), Parquet(path=folder / "out.parquet")),
        (ArrowSink(path=folder / "out.arrow", group=500), Arrow(path=folder / "out.arrow")),
    ):
        sink.expect(sink.columns_of(ArrowRows(batch)))
        sink.open(None)
        for start in range(0, batch.num_rows, 333):
            sink.write(sink.encode(ArrowRows(batch.slice(start, 333))))
        sink.commit(None)
        sink.finish()
        assert records_of(source, 77) == batch.to_pylist()
    assert pq.read_table(folder / "out.parquet").equals(pa.Table.from_batches([batch]))
    assert feather.read_table(folder / "out.arrow").equals(pa.Table.from_batches([batch]))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_table_of_texts(path, tmp_path):
    records = records_of(Csv(path=path))
    with path.open(newline="") as file:
        assert records == list(csv.DictReader(file))
    texts = arrow_csv.ConvertOptions(column_types=dict.fromkeys(records[0], pa.string()), strings_can_be_null=False)
    assert records == arrow_csv.read_csv(path, convert_options=texts).to_pylist()
    goes_round(records, tmp_path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_of_records(path, tmp_path):
    records = records_of(Json(path=path))
    assert records == json.loads(path.read_text())
    goes_round(records, tmp_path)
