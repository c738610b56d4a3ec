"""The work of job L: Parquet → compute → filter → Parquet. As stages of batches and of records, and as scripts.

usage: python columns.py CONTENDER FOLDER      (a contender of SCRIPTS; the last line tells rows and seconds)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import Outcome, tell

from stagerunner import stage

LEAST = 900.0
"""Rows with less than this are left out: about half of them."""


@stage.arrow
def compute(batch: Any) -> Any:
    import pyarrow.compute as pc  # late, as below: the other contenders don't need it

    return batch.append_column("total", pc.add(pc.multiply(batch["price"], batch["number"]), batch["fee"]))


@stage.arrow
def keep(batch: Any) -> Any:
    import pyarrow.compute as pc

    mask = pc.greater(batch["total"], LEAST)
    return batch.filter(mask), pc.indices_nonzero(mask)


@stage
def compute_row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "total": row["price"] * row["number"] + row["fee"]}


@stage
def keep_row(row: dict[str, Any]) -> dict[str, Any] | None:
    return row if row["total"] > LEAST else None


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


SCRIPTS: dict[str, Callable[[str, str], None]] = {"pyarrow loop": pyarrow_loop, "polars": polars, "duckdb": duckdb}


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
    SCRIPTS[sys.argv[1]](str(folder / "in.parquet"), str(folder / "out.parquet"))
    tell(Outcome(int(sys.argv[3]), time.perf_counter() - began))
