"""The example of the README gives what it says."""

import re
from decimal import Decimal
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_its_chain_runs(place, database):
    database("CREATE TABLE orders (id int PRIMARY KEY, price numeric, paid bool)")
    database("INSERT INTO orders VALUES (1, 2.5, true), (2, 9, false), (3, 1, true)")
    database("CREATE TABLE paid_orders (id int PRIMARY KEY, total numeric); INSERT INTO paid_orders VALUES (3, 0)")
    (chain,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (place.folder / "chain.yaml").write_text(chain)
    place.run()
    assert database("SELECT * FROM paid_orders ORDER BY id") == [(1, Decimal("5.0")), (3, Decimal(2))]
