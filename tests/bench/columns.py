"""The work of job L: Parquet → compute → filter → Parquet, as scripts. As stages it is in `column_stages`.

usage: python columns.py CONTENDER FOLDER      (a contender of SCRIPTS; the last line tells rows and seconds)
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cluster
from column_stages import LEAST, compute, keep
from measure import CORES, Outcome, tell

OUT = "out of {}.parquet"
"""What a contender writes, in the folder of in.parquet: a file, or a folder of files."""


def pyarrow_loop(source: str, sink: str) -> None:
    import pyarrow.parquet as pq

    writer = None
    for batch in pq.ParquetFile(source).iter_batches():
        found, _ = keep(compute(batch))
        writer = writer or pq.ParquetWriter(sink, found.schema)
        writer.write_batch(found)
    if writer is not None:
        writer.close()


def polars(source: str, sink: str) -> None:
    import polars as pl

    total = pl.col("price") * pl.col("number") + pl.col("fee")
    pl.scan_parquet(source).with_columns(total=total).filter(pl.col("total") > LEAST).sink_parquet(
        sink, compression="snappy"
    )


def duckdb(source: str, sink: str) -> None:
    import duckdb

    query = f"SELECT * FROM (SELECT *, price * number + fee AS total FROM '{source}') WHERE total > {LEAST}"
    duckdb.sql(f"COPY ({query}) TO '{sink}' (FORMAT parquet, COMPRESSION snappy)")


def daft(source: str, sink: str) -> None:
    """Expressions; what is computed and kept never becomes a Python object."""
    import daft as library

    column = library.col
    total = column("price") * column("number") + column("fee")
    found = library.read_parquet(source).with_column("total", total).where(column("total") > LEAST)
    found.write_parquet(folder_for(sink), compression="snappy")


def ray_data(source: str, sink: str) -> None:
    """Batches as Arrow tables, not copied; one function, so that a block is one task."""
    import pyarrow.compute as pc

    def computed(table: Any) -> Any:
        total = pc.add(pc.multiply(table["price"], table["number"]), table["fee"])
        return table.append_column("total", total).filter(pc.greater(total, LEAST))

    with cluster.ray_data(Path(source).parent) as data:
        read = data.read_parquet(source, override_num_blocks=2 * CORES)
        found = read.map_batches(computed, batch_size=None, batch_format="pyarrow", zero_copy_batch=True)
        found.write_parquet(folder_for(sink))


def folder_for(sink: str) -> str:
    """A library that writes a folder of files finds an empty one."""
    shutil.rmtree(sink, ignore_errors=True)
    return sink


PYARROW = "pyarrow loop"
SCRIPTS: dict[str, tuple[str, Callable[[str, str], None]]] = {
    PYARROW: ("pyarrow", pyarrow_loop),
    "polars": ("polars", polars),
    "duckdb": ("duckdb", duckdb),
    "Daft": ("daft", daft),
    "Ray Data": ("ray", ray_data),
}
"""Each with the distribution that it needs."""


def make(path: Path, rows: int) -> None:
    """A file of so many orders."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    dice = np.random.default_rng(1)
    customers = np.array([f"customer {number}" for number in range(9973)])
    table = pa.table(
        {
            "id": pa.array(np.arange(rows)),
            "customer": pa.array(customers[dice.integers(0, len(customers), rows)]),
            "price": pa.array(dice.integers(100, 99900, rows) / 100),
            "number": pa.array(dice.integers(1, 5, rows)),
            "fee": pa.array(dice.integers(0, 500, rows) / 100),
        }
    )
    pq.write_table(table, path)


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    began = time.perf_counter()
    SCRIPTS[sys.argv[1]][1](str(folder / "in.parquet"), str(folder / OUT.format(sys.argv[1])))
    tell(Outcome(int(sys.argv[3]), time.perf_counter() - began))
