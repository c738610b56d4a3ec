"""The examples of docs/stages.md: the stages give what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

import pytest

import stagerunner
from stagerunner.errors import StageFailed

PAGE = (Path(__file__).parents[1] / "docs" / "stages.md").read_text()
BLOCK = re.compile(r"(?:^`([\w.-]+)`, [^\n]*:\n\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECTION = re.compile(r"^## `([\w.]+)`\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)


class Example(NamedTuple):
    """Stages, the records that go in, and what comes: records as JSON lines, or the message of a failure."""

    section: str
    stages: str
    given: str
    gives: str
    fails: bool
    files: dict[str, str]


def examples() -> list[Example]:
    """The blocks of each section: files have a name before them; records are a pair of what goes in and what comes."""
    found = []
    for section, text in SECTION.findall(PAGE):
        files: dict[str, str] = {}
        stages, given = "", ""
        for name, language, block in BLOCK.findall(text):
            if name:
                files[name] = block
            elif language == "yaml":
                stages, given = block, ""
            elif given:
                found.append(Example(section, stages, given, block, language == "text", dict(files)))
                given = ""
            else:
                given = block
    return found


def records(lines: str) -> list[object]:
    return [json.loads(line) for line in lines.splitlines()]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.section)
def test_an_example_gives_what_the_page_says(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in example.files.items():
        (tmp_path / name).write_text(text)
    chain = stagerunner.load(f"version: 1\nstages:\n{indent(example.stages, '  ')}", engine="inline")

    if example.fails:
        with pytest.raises(StageFailed) as failed:
            list(chain.run(records(example.given)))
        assert example.gives.strip() in str(failed.value)
    else:
        got = list(chain.run(records(example.given)))
        assert [json.dumps(record) for record in got] == [json.dumps(record) for record in records(example.gives)]


def test_each_section_has_an_example():
    assert {section for section, _ in SECTION.findall(PAGE)} == {example.section for example in examples()}
