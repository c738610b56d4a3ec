"""The examples of docs/formats.md and docs/databases.md give what stands there; the table is that of the parts."""

import re
from pathlib import Path

import pytest

import stagerunner
import stagerunner_parts

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "formats.md").read_text()
BOTH = PAGE + (DOCS / "databases.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", BOTH, re.DOTALL | re.MULTILINE))
FILE = re.compile(r"^`([\w./-]+)`, ([^\n]*):\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = [name for name, text in SECTIONS.items() if FILE.search(text)]


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_its_result(tmp_path, monkeypatch, name, engine):
    files = FILE.findall(SECTIONS[name])
    expected = {file: text for file, what, text in files if what == "the result"}
    for file, _, text in files:
        if file not in expected:
            (tmp_path / file).write_text(text)
    monkeypatch.chdir(tmp_path)

    for config in sorted(tmp_path.glob("*.yaml")):
        stagerunner.run(config.name, engine=engine)

    assert expected
    assert {file: (tmp_path / file).read_text() for file in expected} == expected


def rows(page):
    lines = (line for line in page.splitlines() if line.startswith("| `."))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_table_of_suffixes_is_that_of_the_parts():
    written = {
        (column, suffix, cells[column].split("`")[1])
        for cells in rows(PAGE)
        for suffix in re.findall(r"`(.*?)`", cells[0])
        for column in (1, 2)
        if not cells[column].startswith("none")
    }
    offered = {1: stagerunner_parts.stagerunner_sources(), 2: stagerunner_parts.stagerunner_sinks()}
    assert written == {
        (column, suffix, part.name) for column, parts in offered.items() for part in parts for suffix in part.suffixes
    }
