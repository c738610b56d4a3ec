"""Every config is run on every engine, with one worker and with several, and gives what is kept in expected/.

`python tests/configs/test_configs.py` writes expected/ anew; read the difference before it is kept.
"""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest

from stagerunner.api import Request, prepare

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
EXPECTED = Path(__file__).parent / "expected"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
SUFFIXES = {
    "keep-results": ".jsonl",
    "follow-log": ".jsonl",
    "visits": ".csv",
    "old-and-new": ".csv",
    "spreadsheet": ".tsv",
    "json-document": ".csv",
    "in-batches": ".csv",
    "access-log": ".jsonl",
    "ask-a-service": ".jsonl",
    "ask-over-http": ".jsonl",
    "revenue": ".csv",
    "to-parquet": ".jsonl",
}
READS_STDIN = {"stdin-stdout": "data/access.log"}
HANDS_TO_A_DATABASE = {"orders-to-sqlite"}
FILES = {"by-country": "{country}.csv"}
WRITES_A_FOLDER = {"one-file-each", *FILES}
ENGINES = [("inline", 1), ("threads", 2), ("process", 1), ("process", 2), ("process", 3)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of configs/, so that nothing is written into the real one."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(CONFIGS, copy / "configs", ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@contextmanager
def country_server():
    """The service of ask-a-service.yaml and ask-over-http.yaml, and its URL where they look for it."""
    command = [sys.executable, CONFIGS / "data" / "country_server.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        Thread(target=process.stdout.read, daemon=True).start()
        before = os.environ.get("COUNTRY_URL")
        os.environ["COUNTRY_URL"] = url
        try:
            yield
        finally:
            process.kill()
            os.environ.pop("COUNTRY_URL") if before is None else os.environ.update(COUNTRY_URL=before)


@pytest.fixture(scope="module")
def service():
    with country_server():
        yield


def without_state(name, folder):
    """The names of a config's stages that may have any number of workers."""
    stages = prepare(folder / "configs" / f"{name}.yaml").plan.stages
    return [stage.name for stage in stages if not stage.work.form.state]


def run(name, folder, out, engine, workers):
    """What a config gives: name of an expected file → its text. Everything is written into the folder `out`."""
    file, sink = folder / "configs" / f"{name}.yaml", out / f"{name}{SUFFIXES.get(name, '.txt')}"
    letters = out / f"{name}.failed.jsonl"
    sets = {f"stages.{stage}.workers": workers for stage in without_state(name, folder)}
    if "dead_letter:" in file.read_text():
        sets["dead_letter"] = str(letters)
    branches = branches_of(name, folder, out)
    sets |= {f"sinks.{sink}.with.path": str(path) for sink, path in branches.items()}
    keeps_its_sink = name in HANDS_TO_A_DATABASE | WRITES_A_FOLDER
    if keeps_its_sink:
        sets["sink.with.path"] = str(sink / FILES.get(name, ""))
    request = Request(
        sets=sets,
        source=str(folder / "configs" / READS_STDIN[name]) if name in READS_STDIN else None,
        sink=None if keeps_its_sink or branches else str(sink),
        engine=engine,
    )
    summary = prepare(file, request).execute()
    assert summary.balanced
    given = {path.name: content(name, path) for path in branches.values() or (sink,)}
    return given | ({letters.name: stable(letters.read_text(), folder)} if letters.exists() else {})


def branches_of(name, folder, out):
    """Where each of several sinks writes; nothing for a config with one."""
    plan = prepare(folder / "configs" / f"{name}.yaml").plan
    suffixes = {sink.name: sink.options["path"].suffix for sink in plan.sinks if plan.branches}
    return {sink: out / f"{name}.{sink}{suffix}" for sink, suffix in suffixes.items()}


def content(name, sink):
    """The text of a file; the rows of a database, the names and texts of the files in a folder, one after another."""
    if name in HANDS_TO_A_DATABASE:
        return rows(sink)
    if name in WRITES_A_FOLDER:
        files = (path for path in sorted(sink.rglob("*")) if path.is_file() and path.name[0] != ".")
        return "".join(f"{path.relative_to(sink)}: {path.read_text()}" for path in files)
    return sink.read_text()


def rows(database):
    base = sqlite3.connect(database)
    try:
        return "".join(f"{row}\n" for row in base.execute("SELECT * FROM orders ORDER BY rowid"))
    finally:
        base.close()


def stable(letters, folder):
    """Dead letters without what differs between two machines or two versions: the checkout's path, lines of code."""
    lines = [json.loads(line) | {"frames": []} for line in letters.replace(f"{folder}/", "").splitlines()]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def expected(name):
    return {path.name: path.read_text() for path in EXPECTED.iterdir() if path.name.partition(".")[0] == name}


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_a_config_gives_what_is_expected(name, engine, workers, checkout, service, tmp_path):
    assert run(name, checkout, tmp_path, engine, workers) == expected(name)


def test_no_config_is_without_an_expectation():
    assert sorted({path.name.partition(".")[0] for path in EXPECTED.iterdir()}) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_config_begins_by_saying_what_it_shows_and_how_to_run_it(name):
    lines = (CONFIGS / f"{name}.yaml").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert any(line.startswith(f"#   stagerunner run configs/{name}.yaml") for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_its_comment_runs_from_the_checkout(name, checkout, service):
    lines = (checkout / "configs" / f"{name}.yaml").read_text().splitlines()
    for line in (line for line in lines if line.startswith("#   stagerunner ")):
        command = line.removeprefix("#   stagerunner ")
        done = in_a_shell(f"{shlex.quote(sys.executable)} -m stagerunner {command}", checkout)
        assert done.returncode == (3 if (EXPECTED / f"{name}.failed.jsonl").exists() else 0), done.stderr
        assert "error[" not in done.stderr


def test_it_runs_from_the_folder_of_the_configs_as_well(checkout):
    done = in_a_shell(f"{shlex.quote(sys.executable)} -m stagerunner run word-count.yaml", checkout / "configs")
    assert done.stdout == expected("word-count")["word-count.txt"]


def in_a_shell(command, folder):
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60)


if __name__ == "__main__":
    with country_server():
        for name in NAMES:
            with TemporaryDirectory() as out:
                for file, text in run(name, ROOT, Path(out), "inline", 1).items():
                    (EXPECTED / file).write_text(text)
