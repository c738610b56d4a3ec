"""The stages of job L, of batches and of records. A worker imports this and nothing else of the bench."""

from __future__ import annotations

from typing import Any

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
