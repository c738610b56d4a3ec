from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner.catalog import load_catalog
from stagerunner.errors import ConfigError
from stagerunner.plan import make_plan


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("in.jsonl", "jsonl"),
        ("in.jsonl.gz", "jsonl"),
        ("in.txt", "lines"),
        ("in.txt.xz", "lines"),
        ("in", "lines"),
        ("logs/*.jsonl.bz2", "jsonl"),
        ("./jsonl", "lines"),
        ("IN.JSONL", "jsonl"),
        ("In.Jsonl.GZ", "jsonl"),
    ],
)
def test_a_path_chooses_its_part_by_suffix(planned, folder, text, name):
    (folder / "logs").mkdir()
    if "*" not in text:
        (folder / text).write_text("")
    source = planned(source=text).source
    assert (source.use, source.options) == (name, {"path": folder / text})
    assert source.shown == {"path": text}


def test_a_bare_name_is_that_part(planned):
    assert planned(source="ticks").source.part.name == "ticks"


@pytest.mark.parametrize("source", ["-", None])
def test_without_a_source_standard_input_is_read_by_lines(planned, source):
    planned_source = planned(source=source).source
    assert (planned_source.use, planned_source.options) == ("lines", {"path": Path("-")})


@pytest.mark.parametrize("sink", ["-", "stdout", None])
def test_without_a_sink_results_go_to_standard_output(planned, sink):
    planned_sink = planned(sink=sink).sink
    assert (planned_sink.use, planned_sink.options) == ("stdout", {})


def test_an_address_is_no_path(planned):
    assert planned(source="./parts.py:ticks").source.use == "./parts.py:ticks"


def test_a_suffix_that_two_parts_take_is_a_mistake(config, folder):
    (folder / "more.py").write_text(
        "from stagerunner import source\n@source(suffixes=('.jsonl',))\ndef other():\n    yield 1\n"
    )
    catalog = load_catalog(plugins=[(f"{name}.py", None, folder) for name in ("parts", "more")], installed=False)
    with pytest.raises(ConfigError, match=r"chain.yaml:2:5: 'in.jsonl' could be jsonl or other"):
        make_plan(config(source="in.jsonl"), catalog)
