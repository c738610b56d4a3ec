"""The plugin file of runs over Parquet files that are killed: stages of Arrow batches, and one that kills."""

from __future__ import annotations

import os
import signal

import pyarrow as pa
import pyarrow.compute as pc

from stagerunner import Reject, stage


@stage.arrow
def squared(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.append_column("squared", pc.multiply(batch.column("value"), batch.column("value")))


@stage.arrow
def some(batch: pa.RecordBatch):
    """None of some rows, two of others."""
    values = batch.column("value").to_pylist()
    indexes = [at for at, value in enumerate(values) for _ in range(0 if value % 11 == 3 else 1 + (value % 7 == 2))]
    return batch.take(pa.array(indexes, pa.int64())), indexes


@stage.arrow
def deadly(batch: pa.RecordBatch, *, harmless: bool = True) -> pa.RecordBatch:
    """One row kills each worker that gets it."""
    if "kill" in batch.column("deed").to_pylist():
        if harmless:
            raise Reject("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    return batch


@stage
def told(record):
    return {**record, "told": f"row {record['value']}"}
