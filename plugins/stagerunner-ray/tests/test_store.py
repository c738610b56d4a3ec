"""More data than the object store holds goes through it."""

from __future__ import annotations

import stagerunner

PARTS = """
from stagerunner import stage

@stage
def widen(record):
    return bytes(2_000_000)

@stage
def size(record):
    return len(record)
"""
CHAIN = """
version: 1
plugins: [./parts.py]
source: {use: range, with: {stop: 80}}
stages: [widen, size]
sink: out.jsonl
run: {engine: ray, window: 16MiB}
"""


def test_twice_as_much_as_the_object_store_holds(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "chain.yaml").write_text(CHAIN)
    summary = stagerunner.run("chain.yaml")

    sizes = [int(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sum(sizes) == 80 * 2_000_000 >= 1.9 * cluster * 2**20
    assert (len(sizes), summary.restarts) == (80, 0)
