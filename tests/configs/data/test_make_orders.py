import subprocess
import sys
from pathlib import Path

from stagerunner import Malformed, Want
from stagerunner_parts.sources.csv import Csv

DATA = Path(__file__).parents[3] / "configs" / "data"


def test_it_writes_the_orders_that_are_kept():
    made = subprocess.run([sys.executable, DATA / "make_orders.py"], capture_output=True, check=True)
    assert made.stdout == (DATA / "orders.csv").read_bytes()


def test_a_few_rows_are_malformed():
    source = Csv(path=DATA / "orders.csv")
    rows = [row for split in source.splits(None, Want()) for row in source.read(split)]
    assert len(rows) == 200
    assert sum(isinstance(row, Malformed) for row in rows) == 6
    assert sum(not isinstance(row, Malformed) and row["total"] == "n/a" for row in rows) == 1
