"""A batch transform: lists in, lists out. Here a table is read once for each list, not once for each record."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from stagerunner import count, stage


@stage.batch
def add_vat(orders: list[dict[str, Any]], *, rates: Path) -> list[dict[str, Any]]:
    """Add the country's rate of value added tax, in percent; null where the table has none.

    rates: a CSV file with the columns country and percent.
    """
    with rates.open(newline="", encoding="utf-8") as file:
        percent = {row["country"]: int(row["percent"]) for row in csv.DictReader(file)}
    count("without a rate", sum(order["country"] not in percent for order in orders))
    return [{**order, "vat": percent.get(order["country"])} for order in orders]
