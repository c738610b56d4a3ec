"""Chains in which some parts take record batches and others take records, on both engines."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

pa_csv.read_csv(pa.BufferReader(b"a\n1\n"))  # its first call makes a pipe that the process keeps

PARTS = """
import pyarrow as pa, pyarrow.compute as pc
from stagerunner import Drop

@stage.arrow
def squared(batch):
    count("rows", batch.num_rows)
    return batch.set_column(0, "n", pc.multiply(batch.column("n"), batch.column("n")))

@stage.arrow
def even(batch):
    mask = pc.equal(pc.bit_wise_and(batch.column("n"), 1), 0)
    return batch.filter(mask), pc.indices_nonzero(mask)

@stage.arrow
def twice(batch):
    indexes = [at for at in range(batch.num_rows) for _ in range(2)]
    return batch.take(pa.array(indexes, pa.int64())), indexes

@stage.arrow
def fussy(batch):
    if any(n % 13 == 4 for n in batch.column("n").to_pylist()):
        raise ValueError("one of them will not do")
    return batch

@stage
def plus(record):
    return {**record, "n": record["n"] + 1}

@stage.batch
def listed(records):
    return [{**record, "n": record["n"] * 3} for record in records]

@stage
async def asked(record):
    return {**record, "n": record["n"] + 2}

@stage.arrow
class Kept:
    def __init__(self):
        self.batches = []
    def process_batch(self, batch):
        self.batches.append(batch)
        return batch.slice(0, 0), []
    def flush(self):
        yield {"n": [n for batch in self.batches for n in batch.column("n").to_pylist()]}

@stage.arrow
class Sum:
    def __init__(self):
        self.sum = 0
    def process_batch(self, batch):
        self.sum += pc.sum(batch.column("n")).as_py() or 0
        return batch
    def flush(self):
        yield pa.RecordBatch.from_pydict({"n": [self.sum, 0], "s": ["sum", "end"]})
    def snapshot(self):
        return self.sum
    def restore(self, data):
        self.sum = data
"""


@pytest.fixture
def numbers(project):
    project.plugin(PARTS)
    table = pa.table({"n": range(300), "s": [f"s{n % 5}" for n in range(300)]})
    pq.write_table(table, project / "in.parquet", row_group_size=70)
    return str(project / "in.parquet")


CHAINS = [
    ["squared", "even"],
    ["squared", "plus", "even", "listed", "twice"],
    [{"use": "fussy", "on_error": "dead_letter"}, "twice", {"use": "fussy", "on_error": "skip", "when": "n > 100"}],
    [{"use": "squared", "when": "n % 3 == 0", "workers": 2}, "asked", {"use": "even", "workers": 3}],
    ["even", "sum", {"use": "squared", "when": "s != 'end'"}],
    ["twice", {"use": "take", "with": {"n": 77}}, "even"],
    [],
]


def outcome(project, chain, source, engine, frame, **keys):
    run = {"engine": engine, "frame": frame}
    letters = project / "letters.jsonl"
    results = project.results(*chain, source=source, run=run, dead_letter=str(letters), **keys)
    records = list(results)
    assert results.summary.balanced
    ledger = [
        (s.name, s.taken, s.created, s.out, s.filtered, s.skipped, s.dead, s.counters) for s in results.summary.stages
    ]
    stopped = any(isinstance(stage, dict) and stage["use"] == "take" for stage in chain)
    return records, None if stopped else (letters.read_text() if letters.exists() else "", ledger)


@pytest.mark.parametrize(
    "chain", CHAINS, ids=lambda chain: "-".join(s if isinstance(s, str) else s["use"] for s in chain)
)
def test_every_engine_gives_the_same(chain, numbers, project):
    inline = outcome(project, chain, numbers, "inline", 7)
    assert len(inline[0]) > 30
    assert outcome(project, chain, numbers, "inline", "auto") == inline
    assert outcome(project, chain, numbers, "process", 40) == inline


FREE = ["squared", "even", "twice", "fussy", "plus", "listed", "asked", "same"]


@st.composite
def stages(draw):
    """A stage of batches or of records, with its settings."""
    use = draw(st.sampled_from([*FREE, "sum"]))
    stage = {"use": use, "on_error": draw(st.sampled_from(["skip", "dead_letter"]))}
    if draw(st.integers(0, 3)) == 0:
        stage["when"] = draw(st.sampled_from(["n % 3 == 0", "n > 100", "s == 's1'"]))
    return stage if use == "sum" else stage | {"workers": draw(st.integers(1, 2))}


def written(project, chain, source, engine, frame, sink):
    """The bytes of each part, the dead letters and the ledger of a run into parts."""
    folder, letters = project / f"{sink}-{engine}", project / "letters.jsonl"
    summary = project.execute(
        *chain,
        source=source,
        run={"engine": engine, "frame": frame},
        sink={"use": sink, "with": {"path": str(folder), "rows": 50, "group": 20}},
        dead_letter=str(letters),
    )
    assert summary.balanced
    ledger = [(s.name, s.taken, s.created, s.out, s.filtered, s.skipped, s.dead, s.counters) for s in summary.stages]
    return [path.read_bytes() for path in sorted(folder.glob("part-*"))], letters.read_bytes(), ledger


@settings(
    max_examples=5,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    chain=st.lists(stages(), min_size=1, max_size=4),
    frames=st.tuples(st.integers(10, 90), st.one_of(st.just("auto"), st.integers(10, 90))),
    sink=st.sampled_from(["parquet", "arrow"]),
)
def test_any_chain_writes_the_same_parts_in_every_engine(chain, frames, sink, numbers, project):
    inline = written(project, chain, numbers, "inline", frames[0], sink)
    assert written(project, chain, numbers, "process", frames[1], sink) == inline
    assert written(project, chain, numbers, "threads", frames[1], sink) == inline


def test_rows_that_come_as_lines_of_json_become_batches(project):
    project.plugin(PARTS)
    project.write("in.jsonl", "".join(f'{{"n": {n}}}\n' for n in range(50)))
    assert list(project.results("squared", "even", source=str(project / "in.jsonl"))) == [
        {"n": n * n} for n in range(0, 50, 2)
    ]


def test_dropped_rows_are_written_down(numbers, project):
    project.results("even", source=numbers, dropped=str(project / "dropped.jsonl")).summary
    list(project.results("even", source=numbers, dropped=str(project / "dropped.jsonl")))
    lines = [json.loads(line) for line in (project / "dropped.jsonl").read_text().splitlines()]
    assert [line["record"]["n"] for line in lines] == list(range(1, 300, 2))
    assert lines[0]["origin"]["number"] == 1


def test_large_batches_lie_in_shared_memory(project):
    project.plugin(PARTS)
    count = 400_000
    pq.write_table(pa.table({"n": pa.array(range(count), pa.int64())}), project / "in.parquet")
    sink = {"use": "parquet", "with": {"path": str(project / "out.parquet")}}
    summary = project.execute("squared", "even", source=str(project / "in.parquet"), sink=sink)
    assert summary.records["out"] == count // 2
    assert pq.read_table(project / "out.parquet").column("n").to_pylist() == [n * n for n in range(0, count, 2)]


def test_a_batch_that_a_stage_keeps_stays_as_it_was(project):
    """Its memory is shared: as long as the stage has it, no other frame may lie there."""
    project.plugin(PARTS)
    pq.write_table(pa.table({"n": pa.array(range(300_000), pa.int64())}), project / "in.parquet")
    found = project.results("squared", "kept", source=str(project / "in.parquet"), run={"frame": 20_000})
    assert list(found) == [{"n": [n * n for n in range(300_000)]}]


def test_a_record_that_does_not_fit_is_a_dead_letter(project):
    project.plugin(PARTS)
    project.write("in.jsonl", '{"n": 1}\n{"n": "x"}\n{"n": 3}\n{"m": 4}\n')
    sink = {"use": "parquet", "with": {"path": str(project / "out.parquet")}, "on_error": "dead_letter"}
    project.execute("same", source=str(project / "in.jsonl"), sink=sink, dead_letter=str(project / "letters.jsonl"))
    assert pq.read_table(project / "out.parquet").to_pylist() == [{"n": 1}, {"n": 3}]
    letters = [json.loads(line) for line in (project / "letters.jsonl").read_text().splitlines()]
    assert [letter["record"] for letter in letters] == [{"n": "x"}, {"m": 4}]


@pytest.mark.parametrize(
    ("stage", "why"),
    [
        ({"use": "squared", "batch": 10}, "takes Arrow batches as they come"),
        ({"use": "squared", "memo": True}, "results are kept record by record"),
        ({"use": "squared", "concurrency": 2}, "is not async"),
    ],
)
def test_settings_that_batches_have_no_use_for(stage, why, numbers, project):
    done = project.cli("check", project.config(stage, source=numbers))
    assert done.returncode == 2
    assert why in done.stderr.decode()


def test_rows_of_csv_become_batches_of_texts_and_keep_their_lines(project):
    project.plugin(
        PARTS
        + """
@stage.arrow
def numbered(batch):
    assert batch.schema.types == [pa.string(), pa.string()]
    return batch.set_column(0, "n", batch.column("n").cast(pa.int64()))
"""
    )
    bad = {7: "x,s2\n", 30: "1,2,3\n", 41: '"1"2,s\n'}
    project.write("in.csv", "n,s\n" + "".join(bad.get(n, f"{n},s{n % 5}\n") for n in range(60)))
    source = {"use": "csv", "with": {"path": str(project / "in.csv")}, "on_error": "dead_letter"}
    chain = [{"use": "numbered", "on_error": "dead_letter"}, "squared"]
    seen = [outcome(project, chain, source, *how) for how in (("inline", 7), ("process", "auto"), ("threads", 40))]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0] == [{"n": n * n, "s": f"s{n % 5}"} for n in range(60) if n not in bad]
    letters = [json.loads(line) for line in (project / "letters.jsonl").read_text().splitlines()]
    assert [(letter["stage"], letter["origin"]["line"]) for letter in letters] == [
        ("numbered", 9), ("source", 32), ("source", 43)
    ]  # fmt: skip


def test_csv_goes_to_parquet_as_texts(project):
    project.write("in.csv", "a,b\n" + "".join(f"{n},{n % 3 or ''}\n" for n in range(5000)))
    summary = project.execute(source=str(project / "in.csv"), sink=str(project / "out.parquet"))
    assert summary.records["out"] == 5000
    assert pq.read_table(project / "out.parquet").to_pylist() == [
        {"a": str(n), "b": str(n % 3 or "")} for n in range(5000)
    ]


def test_no_text_of_csv_is_taken_for_a_number_however_its_rows_come(project):
    project.write("in.csv", "a\n1\n2,x\n3\n")
    source = {"use": "csv", "with": {"path": str(project / "in.csv")}, "on_error": "skip"}
    sink = {
        "use": "parquet",
        "with": {"path": str(project / "out.parquet"), "schema": {"a": "int64"}},
        "on_error": "skip",
    }
    for frame in (1, 3):
        summary = project.execute(source=source, sink=sink, run={"frame": frame, "engine": "inline"})
        assert (summary.records["out"], summary.records["skipped"]) == (0, 3)
    summary = project.execute({"use": "convert", "with": {"types": {"a": "int"}}}, source=source, sink=sink)
    assert pq.read_table(project / "out.parquet").to_pylist() == [{"a": 1}, {"a": 3}]
