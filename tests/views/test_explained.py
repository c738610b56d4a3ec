from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stagerunner.catalog import Resolved
from stagerunner.parts.base import Part
from stagerunner.views.explained import Explained, default_text, explain


class Sink:
    """Write it."""

    keeps = "truncate"
    encode = open = write = position = commit = finish = abort = None


def shout(text: str, *, times: int, loud: bool = True) -> Iterator[str]:
    """Say it louder.

    times: how often
    """
    yield text


def numbers(*, stop: int = 3) -> Iterator[int]:
    """Count."""
    yield from range(stop)


def explained(kind: Any, found: Any) -> Explained:
    return explain(kind, found.__name__, Resolved(Part(kind, "x", "m:x", "A summary"), found, "geo 1.2"))


def test_a_stage_is_explained_by_form_and_options():
    told = explained("stage", shout)
    assert told.form == ("one record at a time", "none, one or many records out of each", "safe with many workers")
    assert [(o.name, o.takes, o.wants, o.help) for o in told.options] == [
        ("times", "whole number", "required", "how often"),
        ("loud", "true or false", "true", ""),
    ]
    assert told.place.rpartition(":")[0].endswith("test_explained.py")


def test_the_example_leaves_required_options_open():
    assert list(explained("stage", shout).example()) == ["- use: shout", "  with: {times: …}"]
    assert list(explained("source", numbers).example()) == ["source: numbers"]


def test_a_default_is_written_as_in_a_config():
    assert default_text(2**28, "size") == "256MiB"
    assert default_text(300.0, "duration") == "300s"
    assert [default_text(value) for value in (None, True, "a", "", 2**28)] == ["", "true", "a", '""', "268435456"]


def test_sources_and_sinks_say_whether_a_run_can_be_resumed():
    assert explained("source", numbers).form == ("a stream: can't be read again",)
    assert explained("sink", Sink).form == ("a stopped run can be resumed",)


def test_what_can_not_be_one_says_why():
    assert explained("sink", shout).form == ("it can't be a sink: a sink is a class",)
