"""What the documents say is held against the code: every key and its default, every promise, every path and example."""

import inspect
import re
import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from msgspec.structs import replace

import stagerunner
from stagerunner.api import Request, load, prepare
from stagerunner.config import grammar, settings
from stagerunner.config.model import BatchSize, Run, Settings
from stagerunner.config.names import LISTS
from stagerunner.config.read import read_config
from stagerunner.errors import StageFailed, UsageError
from stagerunner.evaluate.conditions.expression import CALLS, Expression
from stagerunner.events import StageTotals, Summary
from stagerunner.plan import why_no_resume
from stagerunner.records import Failure

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CONFIG = (ROOT / "docs" / "config.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
PROMISES = (ROOT / "docs" / "promises.md").read_text()
TABLES = {
    "## Top level": [*grammar._TOP, *LISTS],
    "## A part": grammar._USE,
    "## Settings of a stage": settings.STAGE_SETTINGS,
    "### `batch`": settings.BATCH,
    "### `retry`": settings.RETRY,
    "### `resources`": settings.RESOURCES,
    "### `memo` as a mapping": settings.MEMO,
    "## `run`": settings.RUN,
    "### `run.engine` as a mapping": settings.ENGINE,
}


def section(page, heading):
    return page.partition(f"\n{heading}\n")[2].partition("\n#")[0]


def table(text):
    """The cells of each row of the first table, without the row of names."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[1:]]


def defaults(heading):
    rows = table(section(CONFIG, heading))
    return [(row[0].strip("`"), row[2].strip("`")) for row in rows if row[2].startswith("`")]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


FILTER = section(CONFIG, "## `filter` and its expressions")
STATES_OF_A_WORKER = ["work", "codec", "wait", "block"]


# config.md


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_described_and_no_other(heading):
    assert sorted(row[0].strip("`") for row in table(section(CONFIG, heading))) == sorted(TABLES[heading])


def test_the_settings_of_sources_and_sinks_are_named():
    text = " ".join(section(CONFIG, "## Settings of a stage").split())
    assert "A source and a sink take `name` and `on_error`, and a sink `when`. Others are mistakes there" in text
    assert sorted(settings.SOURCE_SETTINGS) == sorted(settings.SINK_SETTINGS) == ["name", "on_error", "retry", "when"]


@pytest.mark.parametrize(("key", "default"), defaults("## Settings of a stage"))
def test_a_default_of_a_stage_written_out_changes_nothing(key, default):
    config = read_config(f"version: 1\nstages: [{{use: copy, {key}: {default}}}]\n")
    assert not config.mistakes
    assert config.stages[0].settings == Settings()


@pytest.mark.parametrize(("key", "default"), defaults("### `batch`"))
def test_a_default_of_batch_written_out_changes_nothing(key, default):
    config = read_config(f"version: 1\nstages: [{{use: copy, batch: {{size: 9, {key}: {default}}}}}]\n")
    assert not config.mistakes
    assert config.stages[0].settings == Settings(batch=BatchSize(9))


@pytest.mark.parametrize(("key", "default"), defaults("### `retry`"))
def test_a_default_of_retry_written_out_changes_nothing(key, default):
    config = read_config(f"version: 1\nstages: [{{use: copy, retry: {{attempts: 1, {key}: {default}}}}}]\n")
    assert not config.mistakes
    assert config.stages[0].settings == Settings()


@pytest.mark.parametrize(("key", "default"), defaults("## `run`"))
def test_a_default_of_run_written_out_changes_nothing(key, default):
    config = read_config(f"version: 1\nstages: []\nrun: {{{key}: {default}}}\n")
    assert not config.mistakes
    assert replace(config.run, engine_mark=None) == Run()


def test_a_setting_without_a_default_in_the_page_has_none():
    silent = {row[0].strip("`") for row in table(section(CONFIG, "## Settings of a stage")) if row[2] == "none"}
    assert silent == {key for key in settings.STAGE_SETTINGS if getattr(Settings(), key, 0) in (None, (), "")}


@pytest.mark.parametrize("text", [*blocks(CONFIG, "yaml"), *blocks((ROOT / "docs" / "engines.md").read_text(), "yaml")])
def test_its_example_is_a_config(text):
    assert not read_config(text).mistakes


# services.md


@pytest.mark.parametrize("text", blocks((ROOT / "docs" / "services.md").read_text(), "yaml"))
def test_its_examples_are_checked_down_to_their_options(text, tmp_path):
    for name in ("people.jsonl", "reviews.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "out").mkdir()
    chain = tmp_path / "chain.yaml"
    chain.write_text(text)
    assert prepare(chain).plan.stages


# promises.md

PLUGIN = """
from stagerunner import source, stage

@source
def ticks():
    yield 1

@source
class Topic:
    def read(self, after): ...

@stage
class Remembering:
    def process(self, record: object) -> object: return record
    def snapshot(self): return None
    def restore(self, data): pass

@stage
class Forgetting:
    def process(self, record: object) -> object: return record
    def flush(self): yield from ()
"""
SOURCES = {
    "files, ranges, tables": "source: in.txt",
    "standard input": "source: '-'",
    "stream": "source: {use: ticks}",
    "stream with marks": "source: {use: topic}",
}
SINKS = {
    "file": "sink: out.jsonl",
    "database": "sink: {use: sqlite, with: {path: out.db, table: t}}",
    "Parquet, Arrow": "sink: out.parquet",
    "stdout, null": "sink: stdout",
}
STATES = {"none, or with snapshot": "remembering", "without snapshot": "forgetting"}
DEATHS = {
    "ends the run": "ends the run",
    "read again from its beginning": "exactly once, from the beginning",
    "loses and duplicates nothing": "exactly once",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("promises")
    (made / "plugin.py").write_text(PLUGIN)
    (made / "in.txt").write_text("a\n")
    return made


ALIKE = ["source: {use: sql, with: {path: in.db}}", "source: {use: range, with: {stop: 3}}"]


def worth(folder, source, sink, state):
    """The last two cells of the row of this source, sink and state."""
    file = folder / "chain.yaml"
    source, sink = SOURCES.get(source, source), SINKS.get(sink, sink)
    lines = ["version: 1", "plugins: [./plugin.py]", source, sink, f"stages: [{STATES[state]}]"]
    file.write_text("\n".join(lines) + "\n")
    plan = prepare(file).plan
    dies = next(words for telling, words in DEATHS.items() if telling in plan.notes[0])
    return [dies, "exactly once" if why_no_resume(plan) is None else "no"]


def test_the_table_is_that_of_the_code(folder):
    rows = [[*row, *worth(folder, *row)] for row in product(SOURCES, SINKS, STATES)]
    assert table(section(PROMISES, "## By source and sink")) == rows


@pytest.mark.parametrize("source", ALIKE)
def test_others_stand_in_the_same_row(folder, source):
    with closing(sqlite3.connect(folder / "in.db")) as base:
        base.execute("CREATE TABLE IF NOT EXISTS t (a)")
    for sink, state in product(SINKS, STATES):
        assert worth(folder, source, sink, state) == worth(folder, "files, ranges, tables", sink, state)


def test_what_can_not_be_resumed_is_refused(folder):
    with pytest.raises(UsageError, match="--resume is not possible"):
        prepare(folder / "chain.yaml", Request(resume=True)).execute()


def test_the_caller_of_the_python_api_is_promised_what_the_page_says(folder):
    text = f"version: 1\nsource: {folder}/in.txt\nstages: []\n"
    assert "what the caller took can't be taken back" in load(text).plan.notes[0]
    assert "what the caller took can't be taken back" in PROMISES


# plugins.md


@pytest.mark.parametrize("code", blocks((ROOT / "docs" / "plugins.md").read_text(), "python"))
def test_an_example_of_a_plugin_can_be_imported(code, tmp_path):
    (tmp_path / "example.py").write_text(code)
    (tmp_path / "chain.yaml").write_text("version: 1\nplugins: [./example.py]\nsource: '-'\nstages: []\n")
    assert not prepare(tmp_path / "chain.yaml").config.mistakes


def test_the_examples_of_a_source_and_a_sink_make_a_chain(tmp_path):
    codes = blocks((ROOT / "docs" / "plugins.md").read_text(), "python")
    for name in ("Squares", "Text"):
        (code,) = [code for code in codes if f"class {name}:" in code]
        (tmp_path / f"{name.lower()}.py").write_text(code)
    lines = [
        "version: 1",
        "plugins: [./squares.py, ./text.py]",
        "source: {use: squares, with: {stop: 5}}",
        "stages: []",
    ]
    (tmp_path / "chain.yaml").write_text("\n".join([*lines, "sink: out.text"]) + "\n")
    assert prepare(tmp_path / "chain.yaml").execute().records["out"] == 5
    assert (tmp_path / "out.text").read_text() == "0\n1\n4\n9\n16\n"


def test_the_example_of_a_stream_with_marks_is_resumed(tmp_path):
    codes = blocks((ROOT / "docs" / "plugins.md").read_text(), "python")
    (code,) = [code for code in codes if "class Spool:" in code]
    (tmp_path / "spool.py").write_text(code + "\n\n@stage\ndef number(text: str) -> int:\n    return int(text)\n")
    (tmp_path / "spool.py").write_text("from stagerunner import stage\n" + (tmp_path / "spool.py").read_text())
    lines = ["version: 1", "plugins: [./spool.py]", f"source: {{use: spool, with: {{folder: {tmp_path}}}}}"]
    (tmp_path / "chain.yaml").write_text("\n".join([*lines, "stages: [number]", "sink: out.jsonl"]) + "\n")
    (tmp_path / "1.txt").write_text("1\n2\n")
    (tmp_path / "2.txt").write_text("3\nfour\n")
    with pytest.raises(StageFailed):
        prepare(tmp_path / "chain.yaml").execute()

    (tmp_path / "2.txt").write_text("3\n4\n")
    assert prepare(tmp_path / "chain.yaml", Request(resume=True)).execute().records["out"] == 4
    assert (tmp_path / "out.jsonl").read_text() == "1\n2\n3\n4\n"


# expensive.md


def test_its_model_runs_on_devices_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    page = (ROOT / "docs" / "expensive.md").read_text()
    (code,) = [code for code in blocks(page, "python") if "class Embed" in code]
    (chain,) = [text for text in blocks(page, "yaml") if "use: embed" in text]
    (tmp_path / "my_stages.py").write_text(code)
    (tmp_path / "questions.jsonl").write_text('{"text": "why"}\n{"text": "where to"}\n')
    (tmp_path / "out").mkdir()
    (tmp_path / "chain.yaml").write_text(chain)
    prepared = prepare(tmp_path / "chain.yaml")
    assert prepared.plan.stages[0].devices == ("3", "5")
    prepared.execute()
    assert '"vector":[8.0]' in (tmp_path / "out" / "vectors.jsonl").read_text().replace(" ", "")


# api.md


def test_every_public_name_is_described():
    assert [name for name in stagerunner.__all__ if f"`{name}" not in API] == []


@pytest.mark.parametrize("code", blocks(API, "python"))
def test_an_example_of_the_api_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "__main__"})


def test_the_arguments_of_load_and_run_are_described():
    arguments = [row[0].strip("`") for row in table(section(API, "## `load`"))]
    assert arguments == list(inspect.signature(load).parameters)
    assert sorted([*arguments, "listener"]) == sorted(inspect.signature(stagerunner.run).parameters)


def test_all_that_a_summary_holds_is_described():
    text = section(API, "## `Summary`")
    assert [row[0].strip("`") for row in table(text)] == list(Summary.__struct_fields__)
    summary = stagerunner.run("version: 1\nsource: {use: range, with: {stop: 1}}\nstages: []\nsink: 'null'\n")
    named = {*re.findall(r"`(\w+)`", text), *STATES_OF_A_WORKER}
    assert set(summary.records) <= named
    assert set(StageTotals.__struct_fields__) <= named


def test_the_four_states_are_those_of_a_stage():
    assert [row[1].strip("`") for row in table(section(API, "### The four states"))] == STATES_OF_A_WORKER


@pytest.mark.parametrize("name", ["type", "message", "causes", "frames", "attempts", "record", "text"])
def test_what_a_failure_holds_is_described(name):
    assert name in Failure._fields
    assert f"`{name}`" in section(API, "## Errors")


# what parts do


def test_the_functions_of_filter_are_described():
    functions = FILTER.partition("| function |")[2]
    described = dict(re.findall(r"^\| `(\w+)\(([^)]*)\)` \|", functions, re.MULTILINE))
    assert {name: given.count(",") + 1 for name, given in described.items()} == {n: c for n, (c, _) in CALLS.items()}


def expressions():
    calls = re.findall(r"^\| `(\w+\([^`]*\))` \|", FILTER.partition("| function |")[2], re.MULTILINE)
    inline = re.findall(r"`where: ([^`']+)`", FILTER)
    told = ["len(record) > 3", 'request["method"]', "tags[0]", 'record["content-type"]', "200 <= status < 300"]
    assert all(f"`{text}`" in FILTER for text in told)
    return [*calls, *inline, *told, '["a", "b"]', "status is not None", "not status", "status // 2 % 3 * -1"]


@pytest.mark.parametrize("text", expressions())
def test_an_expression_of_the_page_is_one(text):
    fields = {"status": 204, "path": "/x", "request": {"method": "GET"}, "tags": ["a"], "content-type": "text"}
    Expression.parse(text)(
        {**fields, "text": "Ab", "item": "A", "start": "A", "end": "b", "pattern": "^A", "x": "12", "number": 1.25}
    )


def test_what_files_gives_is_what_the_page_says(tmp_path):
    (tmp_path / "one.txt").write_text("hello")
    (record,) = load(f"version: 1\nsource: {{use: files, with: {{path: {tmp_path}/*.txt}}}}\nstages: []\n").run()
    assert record == {"path": str(tmp_path / "one.txt"), "bytes": b"hello"}
    assert '`{"path": …, "bytes": …}`' in section(CONFIG, "## `files` and its records")


# every page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_exists(page):
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:stagerunner|plugins|configs|tests|docs|\.ci)/[\w./-]*)`", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []
