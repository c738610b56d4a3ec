from __future__ import annotations

import json

import pytest

from stagerunner import errors
from stagerunner.errors import Mark, Mistake
from stagerunner.views.errors import code_of, mistake_github, mistake_json, print_error

MISTAKE = errors.Mistake("unknown-key", "unknown key 'x'", errors.Mark("a.yaml", 2, 1, "x: 1"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.StageFailed("parse failed: KeyError: 'status'"), "error[stage-failed]: parse failed: KeyError"),
        (errors.UsageError("no"), "error[usage]: no\n"),
        (errors.OutputBusy("out.jsonl is taken"), "error[output-busy]: out.jsonl is taken\n"),
        (errors.Interrupted("stopped by SIGINT", 2), "interrupted: stopped by SIGINT\n"),
        (errors.ConfigError([MISTAKE]), "error[unknown-key]: unknown key 'x'\n --> a.yaml:2:1"),
    ],
)
def test_an_error_is_printed_once_with_its_code(console, stream, error, text):
    print_error(error, console)
    assert stream.getvalue().startswith(text)


def test_for_a_reader_that_has_left_nothing_is_printed(console, stream):
    print_error(errors.ReaderGone("gone"), console)
    assert stream.getvalue() == ""


def test_our_own_fault_asks_for_a_report(console, stream):
    print_error(errors.InternalError("KeyError: 3"), console)
    assert "please report it" in stream.getvalue()


def test_as_json_a_config_error_lists_its_mistakes(console, stream):
    print_error(errors.ConfigError([MISTAKE]), console, json=True)
    told = json.loads(stream.getvalue())
    assert (told["event"], told["exit"], told["mistakes"][0]["line"]) == ("error", 2, 2)


def test_every_error_of_the_tree_has_a_code():
    for name in dir(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.StagerunnerError) and kind is not errors.StagerunnerError:
            assert code_of(kind.__new__(kind)) != "failed"


ESCAPED = Mistake("unknown-key", "50% wrong:\nall", Mark("a,b.yaml", 7, 5, "wrkers: 4"), "stages[1].wrkers", "fix it")


def test_json_has_place_path_and_fix():
    assert mistake_json(ESCAPED) == {
        "code": "unknown-key",
        "message": "50% wrong:\nall",
        "file": "a,b.yaml",
        "line": 7,
        "column": 5,
        "path": "stages[1].wrkers",
        "fix": "fix it",
    }


def test_githubs_line_is_escaped():
    assert mistake_github(ESCAPED) == (
        "::error file=a%2Cb.yaml,line=7,col=5,title=unknown-key::50%25 wrong:%0Aall; fix it"
    )
