"""Parquet to Parquet survives kill -9 of the run at a named point, and --resume: all parts are the same bytes."""

from __future__ import annotations

import pytest
from chaos_support.case import PARTS, Case
from chaos_support.oracle import calm, done, exact, left_over
from chaos_support.running import RESUME, Run
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.parquet as pq

COLUMNS = PARTS.with_name("columns.py")
RUN = {"frame": 4, "checkpoint": "1ms", "window": "8KiB"}
POINTS = ["accept:3", "deliver:20", "sink written:5", "commit:4", "finishing:1", "rename:1"]


@pytest.fixture
def case(tmp_path):
    def make(*stages, deed=""):
        folder = tmp_path / "case"
        source = {"use": "parquet", "with": {"path": str(folder / "in.parquet"), "columns": ["value", "deed"]}}
        chain = [stage if isinstance(stage, dict) else {"use": stage} for stage in stages]
        made = Case(folder, chain, [], "parquet", RUN, {"source": source}, COLUMNS).write()
        records = [{"value": n, "deed": deed if n == 77 else "", "other": n} for n in range(200)]
        pq.write_table(pa.Table.from_pylist(records), folder / "in.parquet", row_group_size=30)
        return made

    return make


def rows(output):
    return [row for part in output.values() for row in pq.read_table(pa.BufferReader(part)).to_pylist()]


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_dies_and_is_resumed(point, case):
    chain = case("squared", {"use": "some", "workers": 2}, "told")
    expected = chain.expected()
    values = [n for n in range(200) for _ in range(0 if n % 11 == 3 else 1 + (n % 7 == 2))]
    assert rows(expected.output) == [{"value": n, "deed": "", "squared": n * n, "told": f"row {n}"} for n in values]
    log = chain.folder / "died"
    with Run(chain, STAGERUNNER_KILL_AT=point, STAGERUNNER_KILL_LOG=str(log)) as run:
        assert run.wait() == -9, run.said
    calm(run)
    left_over(chain)
    with Run(chain, *RESUME) as again:
        done(chain, again, expected)


def test_a_row_that_kills_is_found_and_becomes_a_dead_letter(case):
    chain = case("squared", {"use": "deadly", "with": {"harmless": False}, "on_error": "dead_letter"}, deed="kill")
    expected = chain.expected()
    assert [record for _, _, record in expected.letters] == [{"value": 77, "deed": "kill", "squared": 77 * 77}]
    with Run(chain) as run:
        assert run.wait() == 3, run.said
    calm(run)
    exact(chain, expected)
