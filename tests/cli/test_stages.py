from __future__ import annotations

import json

from stagerunner.catalog import load_catalog
from stagerunner.cli.stages import _option_rows, _rows
from stagerunner.errors import UsageError
from stagerunner.views.explained import Explained, ExplainedOption


def test_everything_on_offer_is_listed_by_kind(invoke):
    lines = invoke("stages").stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["Stages", "Sources", "Sinks"]
    assert any(line.split()[0] == "text.strip" and "stagerunner" in line for line in lines)


def test_the_suffixes_that_choose_a_part_are_listed(invoke, write):
    write("mine.py", "from stagerunner import source\n@source(suffixes=('.mine',))\ndef mine():\n    yield 1\n")
    lines = invoke("stages", "-p", "./mine.py").stdout.splitlines()
    words = [line.split() for line in lines]
    assert [line.count(".csv") for line in words if line[0] == "csv"] == [1, 1]
    assert any(line[:2] == ["mine", ".mine"] for line in words)
    assert "chosen by .csv, .tsv" in invoke("stages", "show", "csv").stdout


def test_json_has_the_same(invoke):
    told = json.loads(invoke("stages", "--json").stdout)
    assert told["format"] == 1
    strip = next(one for one in told["stages"] if one["name"] == "text.strip")
    assert set(strip) == {"name", "summary", "from", "target", "suffixes"}
    assert {"lines", "range"} <= {one["name"] for one in told["sources"]}


def test_a_plugin_of_the_call_is_listed_with_its_file(invoke, write):
    write("mine.py", "from stagerunner import stage\n@stage\ndef mine(r):\n    '''My own.'''\n    return r\n")
    assert any(
        "My own" in line and "./mine.py" in line for line in invoke("stages", "-p", "./mine.py").stdout.splitlines()
    )


def test_one_is_explained_with_its_options(invoke):
    page = invoke("stages", "show", "anonymize").stdout
    assert page.startswith("anonymize   ")
    assert "fields  list of text" in page
    assert "- use: anonymize" in page
    assert "anonymize.py:" in page


def test_a_name_of_several_kinds_is_explained_for_each(invoke):
    told = json.loads(invoke("stages", "show", "jsonl", "--json").stdout)
    assert [part["kind"] for part in told["parts"]] == ["source", "sink"]


def test_an_address_will_do(invoke):
    assert invoke("stages", "show", "./parts.py:leaky").stdout.startswith("./parts.py:leaky")


def test_an_unknown_one_is_answered_with_the_nearest(invoke):
    error = invoke("stages", "show", "anonymise").exception
    assert isinstance(error, UsageError)
    assert "did you mean 'anonymize'?" in str(error)


def test_an_address_that_leads_nowhere_is_a_usage_error(invoke):
    assert isinstance(invoke("stages", "show", "./parts.py:nothing").exception, UsageError)


def test_in_a_terminal_what_an_option_does_is_broken_into_lines():
    times = ExplainedOption("times", "whole number", "1", "how often it is said, before anything else is done", False)
    one = Explained("stage", "shout", "Shout.", "x 1.0", (), (times,), "x:shout", "x.py:1")
    assert list(_option_rows(one, 60)) == [
        "times  whole number  1  how often it is said, before",
        "                        anything else is done",
    ]
    (unbroken,) = _option_rows(one, None)
    assert unbroken.endswith("before anything else is done")
    assert list(_option_rows(one, 40)) == [unbroken]


def test_a_narrow_terminal_drops_who_provides_a_part():
    catalog = load_catalog()
    wide = _rows(catalog, "sink", None)
    narrow = _rows(catalog, "sink", max(map(len, wide)))
    assert "stagerunner 0." in wide[0]
    assert "stagerunner 0." not in "".join(narrow)
    assert ".arrow" in narrow[0]
