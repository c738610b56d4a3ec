from __future__ import annotations

import json
import re
from types import SimpleNamespace

from stagerunner.events import Progress, StageTotals
from stagerunner.views.plain import Json, Plain, Silent, sentence

PLAN = SimpleNamespace(name="logs")


def at(seconds: float, taken: int = 0, *stages: StageTotals) -> Progress:
    return Progress(seconds, taken, taken // 2, 71, 0, None, stages)


def test_the_sentence_can_be_searched():
    now = at(10.0, 461_000, StageTotals("hide-people", work=9.8))
    assert sentence("logs", now, at(0)) == ("logs 0:10 in=461k out=230k rate=46.1k/s limit=hide-people(98%) err=71")


def test_a_line_every_ten_seconds_and_one_at_the_end(console, stream):
    view = Plain(console, PLAN)
    for second in range(1, 26):
        view.progress(at(second, second))
    view.close()
    assert re.findall(r"logs (\S+) in=(\d+)", stream.getvalue()) == [("0:10", "10"), ("0:20", "20"), ("0:25", "25")]


def test_the_first_rate_of_a_resumed_run_is_that_of_this_life(console, stream):
    view = Plain(console, PLAN)
    view.progress(Progress(10.0, 5000, 5000, 0, 0, None, (), earlier=4000))
    assert "in=5.00k out=5.00k rate=100/s" in stream.getvalue()


def test_a_run_of_less_than_ten_seconds_has_no_line(console, stream):
    view = Plain(console, PLAN)
    for second in range(1, 10):
        view.progress(at(second))
    view.close()
    assert stream.getvalue() == ""


def test_silence_has_no_last_line(console, stream):
    view = Plain(console, PLAN)
    view.progress(at(10))
    view.progress(at(11))
    view.close(silent=True)
    assert stream.getvalue().count("\n") == 1


def test_without_progress_there_is_nothing_to_say_at_the_end(console, stream):
    Plain(console, PLAN).close()
    assert stream.getvalue() == ""


def test_the_silent_view_writes_lines_alone(console, stream):
    view = Silent(console, PLAN)
    view.progress(at(20))
    view.line("hello")
    view.close()
    assert stream.getvalue() == "hello\n"


def test_each_progress_is_one_object(console, stream):
    view = Json(console, SimpleNamespace(name="logs"))
    view.progress(Progress(1.5, 10, 9, 1, 100, 200, (StageTotals("parse", taken=10),)))
    told = json.loads(stream.getvalue())
    assert (told["event"], told["in"], told["bytes_total"], told["stages"][0]["name"]) == (
        "progress",
        10,
        200,
        "parse",
    )
