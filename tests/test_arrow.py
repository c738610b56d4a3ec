"""The examples of docs/arrow.md give what stands there."""

import json
import re
from pathlib import Path

import pytest
from support import needs

import stagerunner

pa = needs.module("pyarrow", "stagerunner[arrow]")
import pyarrow.parquet as pq

PAGE = (Path(__file__).parents[1] / "docs" / "arrow.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
FILE = re.compile(r"^`([\w./-]+)`, ([^\n]*):\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = [name for name, text in SECTIONS.items() if FILE.search(text)]


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_its_result(tmp_path, monkeypatch, name, engine):
    files = FILE.findall(SECTIONS[name])
    expected = {file: rows(text) for file, what, text in files if what == "the result"}
    for file, _, text in files:
        if file not in expected and file.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows(text)), tmp_path / file)
        elif file not in expected:
            (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)
    (config,) = tmp_path.glob("*.yaml")

    stagerunner.run(config.name, engine=engine)

    assert expected
    assert {file: pq.ParquetFile(file).read().to_pylist() for file in expected} == expected


def test_the_example_of_the_names_runs():
    (code,) = re.findall(r"```python\n(.*?)```", SECTIONS["Parts of your own"], re.DOTALL)
    exec(code, {})
