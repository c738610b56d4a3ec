from __future__ import annotations

import json

from stagerunner.events import Notice, Output, Progress, RecordFailed, WorkerFailed, WorkerReady
from stagerunner.views.log import JsonLog, TextLog


def said(log, *events) -> list[str]:
    lines = [line for event in events for line in log.lines(event)] + list(log.rest())
    return ["".join(piece if isinstance(piece, str) else piece[1] for piece in line) for line in lines]


FAILED = RecordFailed("parse", "ValueError", "no", "dead_letter", "access.log, byte 1042")


def test_a_printed_line_names_its_worker_where_there_are_several():
    log = TextLog({"hide": 4, "parse": 1})
    assert said(log, Output("hide", 1, "a"), Output("parse", 0, "b")) == ["[hide/2] a", "[parse] b"]


def test_the_first_failed_records_are_shown_and_the_others_counted():
    assert said(TextLog({}), *[FAILED] * 40) == [
        *["parse: dead letter: ValueError: no (access.log, byte 1042)"] * 3,
        "parse: … and 37 more in the dead letters",
    ]


def test_a_failure_that_ends_the_run_is_left_to_its_error():
    assert said(TextLog({}), RecordFailed("parse", "ValueError", "no", "fail", "")) == []


def test_without_failures_only_what_plugins_print_is_shown():
    log = TextLog({}, failures=False)
    assert said(log, Notice("x"), FAILED, WorkerFailed("a", 0, 1, "SIGKILL"), Output("a", 0, "b")) == ["[a] b"]


def test_warnings_are_shown_without_failures_too():
    notices = Notice("x"), Notice("no memo", warning=True)
    assert said(TextLog({}, failures=False, warnings=True), *notices) == ["warning: no memo"]
    assert said(TextLog({}, failures=False), *notices) == []


def test_workers_are_shown_when_verbose():
    ready, died = WorkerReady("a", 0, 12), WorkerFailed("a", 0, 12, "SIGKILL")
    assert said(TextLog({}), ready, died) == ["a: ended by SIGKILL (pid 12)"]
    assert said(TextLog({}, verbose=True), ready) == ["a: ready (pid 12)"]


def test_json_has_every_event_but_progress(console):
    lines = said(JsonLog(console), FAILED, Progress(1.0, 1, 1, 0, 1, None, ()))
    assert [json.loads(line)["event"] for line in lines] == ["record-failed"]
    assert json.loads(lines[0])["where"] == "access.log, byte 1042"
