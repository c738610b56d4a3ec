from __future__ import annotations

import json
import pdb
import sys
import traceback

import pytest

from stagerunner.evaluate import failures
from stagerunner.runtime.postmortem import PostMortem, users_place

OURS: dict[str, object] = {"__name__": "stagerunner.made_up"}
exec("def call(stage, record):\n    return stage(record)", OURS)


def stage(record):
    return inner(record)


def inner(record):
    return json.loads(record)


def stage_that_calls_ours(record):
    return OURS["call"](stage, record)


def raised(call, *arguments) -> BaseException:
    try:
        call(*arguments)
    except BaseException as error:
        return error.with_traceback(error.__traceback__.tb_next)  # without this function's own frame
    raise AssertionError("nothing was raised")


def functions(error: BaseException) -> list[str]:
    return [frame.f_code.co_name for frame, _ in traceback.walk_tb(users_place(error.__traceback__))]


def test_the_place_is_the_users_own_line_and_not_where_a_library_raised():
    assert functions(raised(OURS["call"], stage, "{")) == ["stage", "inner"]


def test_frames_of_ours_are_left_out_wherever_they_are():
    assert functions(raised(stage_that_calls_ours, "{")) == ["stage_that_calls_ours", "stage", "inner"]


def test_a_library_that_was_called_from_nowhere_else_is_the_place():
    assert functions(raised(OURS["call"], json.loads, "{"))[0] == "loads"


def test_where_no_code_of_the_users_was_there_is_no_place():
    assert users_place(raised(OURS["call"], len, 1).__traceback__) is None


class Debugger:
    """Stands for Pdb; at each stop its user types the next of these."""

    typed: list[str]
    stops: list[str]

    def __init__(self, nosigint: bool) -> None:
        assert nosigint, "a run keeps its own way with Ctrl-C"
        self.quitting = False

    def reset(self) -> None: ...

    def interaction(self, frame, place) -> None:
        *_, (last, _) = traceback.walk_tb(place)
        self.stops.append(last.f_code.co_name)
        self.quitting = self.typed.pop(0) == "q"


@pytest.fixture
def debugger(monkeypatch):
    monkeypatch.setattr(Debugger, "typed", [], raising=False)
    monkeypatch.setattr(Debugger, "stops", [], raising=False)
    monkeypatch.setattr(pdb, "Pdb", Debugger)
    return Debugger


def test_it_stops_at_each_exception_until_its_user_quits(debugger):
    said: list[str] = []
    debugger.typed += ["c", "q"]
    look = PostMortem(said.append)

    for record in ("{", "[", "]"):
        look(raised(stage, record))

    assert debugger.stops == ["inner", "inner"]
    assert said[0].startswith("JSONDecodeError: Expecting property name")
    assert len(said) == 4


def test_it_does_not_stop_where_no_code_of_the_users_is(debugger):
    PostMortem(pytest.fail)(raised(OURS["call"], len, 1))
    assert debugger.stops == []


def test_it_is_shown_what_stages_raise_only_while_it_watches(debugger):
    look = PostMortem(lambda line: None)
    debugger.typed += ["c"]

    with look.watching():
        failures.failure_of(raised(stage, "{"))
    failures.failure_of(raised(stage, "{"))

    assert debugger.stops == ["inner"]


def test_nobody_is_asked_where_standard_input_is_closed(debugger, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)

    with PostMortem(lambda line: None).watching():
        failures.failure_of(raised(stage, "{"))

    assert debugger.stops == []
