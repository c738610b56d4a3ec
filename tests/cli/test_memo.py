from __future__ import annotations

import json

import pytest

from stagerunner.memo import store as module
from stagerunner.memo.store import Store


@pytest.fixture
def kept(folder, monkeypatch):
    """A memo with three results: two old ones of `ask`, a new one of `read`."""
    store = Store(str(folder / "kept.memo"))
    now = module.time()
    for age, stage, version in ((9e6, "ask", b"1" * 8), (9e6, "ask", b"2" * 8), (0, "read", b"3" * 8)):
        monkeypatch.setattr(module, "time", lambda age=age: now - age)
        store.put(stage.encode() + version, stage, version, b"value")
    store.close()
    return "kept.memo"


def held(invoke, path):
    return json.loads(invoke("memo", "show", path, "--json").stdout)["results"]


def test_what_it_holds_is_listed_by_stage_and_version(invoke, kept):
    shown = invoke("memo", "show", kept)
    assert [line.split()[:3] for line in shown.stdout.splitlines()] == [
        ["stage", "version", "results"],
        ["ask", "31313131", "1"],
        ["ask", "32323232", "1"],
        ["read", "33333333", "1"],
    ]
    assert shown.stderr.startswith("3 results, ")


def test_the_version_that_the_last_run_looked_for_is_marked(invoke, kept, folder):
    module.prepare(str(folder / kept), {"ask": b"1" * 8, "read": b"4" * 8})
    assert [one["present"] for one in held(invoke, kept)] == [True, False, False]
    assert [line.endswith("yes") for line in invoke("memo", "show", kept).stdout.splitlines()[1:]] == [
        True,
        False,
        False,
    ]


def test_json_has_the_same(invoke, kept):
    first = held(invoke, kept)[0]
    assert (first["stage"], first["results"], first["bytes"]) == ("ask", 1, 9)


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        (["--older-than", "30d"], ["read"]),
        (["--older-than", "30d", "--stage", "read"], ["ask", "ask", "read"]),
        (["--stage", "read"], ["ask", "ask"]),
        (["--all"], []),
    ],
)
def test_what_is_pruned_is_gone(invoke, kept, flags, left):
    pruned = invoke("memo", "prune", kept, *flags)
    assert pruned.exit_code == 0
    assert pruned.stderr.startswith(f"removed {3 - len(left)} result")
    assert [one["stage"] for one in held(invoke, kept)] == left


def test_nothing_is_pruned_unless_it_is_said_what(invoke, kept):
    refused = invoke("memo", "prune", kept)
    assert refused.exception.exit_code == 2
    assert "--older-than 30d" in str(refused.exception)
    assert len(held(invoke, kept)) == 3
    assert "needs a unit" in str(invoke("memo", "prune", kept, "--older-than", "30").exception)


@pytest.mark.parametrize(("name", "why"), [("nothing", "no such file"), ("parts.py", "not a database")])
def test_what_is_no_memo_is_refused(invoke, folder, name, why):
    for verb in (["show", name], ["prune", name, "--all"]):
        refused = invoke("memo", *verb)
        assert refused.exception.exit_code == 2
        assert why in str(refused.exception)
