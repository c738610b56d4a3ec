"""The example of the README gives what it says."""

import json
import re
from pathlib import Path

from support import needs

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_its_chain_runs(place):
    needs.module("tap_jsonl", "./plugins/stagerunner-singer[test]")
    orders = [{"id": number, "paid": number % 2 == 0} for number in range(4)]
    (place.folder / "orders.jsonl").write_text("".join(json.dumps(order) + "\n" for order in orders))
    (chain,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (place.folder / "chain.yaml").write_text(chain)

    assert place.run().returncode == 0
    assert [order["id"] for order in place.out("paid.jsonl")] == [0, 2]
