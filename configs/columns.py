"""Stages that take Arrow record batches: whole columns at once, instead of one record after the other."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from stagerunner import stage


@stage.arrow
def each(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Add the price of one piece."""
    price = pc.divide(batch.column("total"), pc.cast(batch.column("quantity"), pa.float64()))
    return batch.append_column("each", pc.round(price, 2))


@stage.arrow
def at_least(batch: pa.RecordBatch, *, price: float) -> tuple[pa.RecordBatch, pa.Array]:
    """Keep the orders with at least this price of one piece. The indexes say which rows they are."""
    mask = pc.greater_equal(batch.column("each"), price)
    return batch.filter(mask), pc.indices_nonzero(mask)
