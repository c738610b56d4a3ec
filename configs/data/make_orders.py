"""Writes a shop's orders as CSV, the same ones every time.

usage: python make_orders.py [ROWS] > orders.csv      a few rows are malformed
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TextIO

SEED = 20260513
FIELDS = ["id", "ordered_at", "customer", "country", "item", "quantity", "total"]
CUSTOMERS = ["Amy Bell", "Bob Çelik", "Cem Demir", "Dana Eriksson", 'Eve "Evie" Fox', "Grün, Hans", "Ines Jørgensen"]
COUNTRIES = ["DE", "DE", "DE", "TR", "SE", "NO", "US", "FR"]
ITEMS = {"kettle": 2999, "lamp": 4550, "notebook, ruled": 349, 'monitor 27"': 18900, "pencil": 120}


def order(draw: random.Random, number: int) -> list[str]:
    """One order. `total` has two decimals; the customer may be unknown."""
    item, cents = draw.choice(list(ITEMS.items()))
    quantity = draw.choice([1, 1, 1, 2, 3, 10])
    day = date(2026, 4, 1) + timedelta(days=number // 5)
    customer = "" if draw.random() < 0.05 else draw.choice(CUSTOMERS)
    total = cents * quantity
    amount = f"{total // 100}.{total % 100:02}"
    return [str(1000 + number), day.isoformat(), customer, draw.choice(COUNTRIES), item, str(quantity), amount]


def spoilt(draw: random.Random, good: list[str]) -> list[str]:
    """Too few fields, too many, or a number that is none."""
    return draw.choice([good[:4], [*good, "gift"], [*good[:6], "n/a"]])


def orders(number: int) -> Iterator[list[str]]:
    draw = random.Random(SEED)
    for index in range(number):
        good = order(draw, index)
        yield spoilt(draw, good) if draw.random() < 0.03 else good


def write(out: TextIO, number: int) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(orders(number))


if __name__ == "__main__":
    write(sys.stdout, int(sys.argv[1]) if len(sys.argv) > 1 else 200)
