from __future__ import annotations

import json

import pytest

from stagerunner.evaluate.failures import failure_of, retry
from stagerunner.evaluate.limits.pacing import Pause
from stagerunner.evaluate.wording import (
    LONGEST,
    MOST_CAUSES,
    MOST_FRAMES,
    causes_of,
    describe,
    failure_lines,
    frames_of,
    message_of,
    shown_frames,
    text_of,
    type_of,
)
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form
from stagerunner.records import CodeFrame


def caught(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def sinking(depth):
    return 1 / 0 if depth == 0 else sinking(depth - 1)


# Causes


def from_another():
    try:
        {}["x"]
    except KeyError as error:
        raise ValueError("bad line") from error


def while_handling():
    try:
        int("x")
    except ValueError:
        raise RuntimeError("and now this")


def from_none():
    try:
        int("x")
    except ValueError:
        raise RuntimeError("no more to say") from None


def in_a_group():
    raise ExceptionGroup("two", [caught(sinking, 1), KeyError("k")])


def in_a_circle():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    raise one


def test_a_cause_has_its_own_frames():
    (cause,) = causes_of(caught(from_another))

    assert (cause.how, cause.type, cause.message) == ("cause", "KeyError", "'x'")
    assert [(frame.file, frame.function) for frame in cause.frames] == [(__file__, "from_another")]


@pytest.mark.parametrize(
    ("raising", "found"),
    [
        (while_handling, [("context", "ValueError")]),
        (from_none, []),
        (in_a_group, [("member", "ZeroDivisionError"), ("member", "KeyError")]),
        (in_a_circle, [("cause", "ValueError")]),
    ],
)
def test_causes_contexts_and_members_are_found(raising, found):
    assert [(cause.how, cause.type) for cause in causes_of(caught(raising))] == found


def test_a_long_chain_of_causes_is_cut():
    error = ValueError(0)
    for number in range(50):
        error, error.__cause__ = ValueError(number), error

    assert len(causes_of(error)) == MOST_CAUSES


def test_causes_that_raise_are_left_out():
    class Shy(Exception):
        @property
        def __cause__(self):
            raise SystemExit

    assert causes_of(Shy()) == ()


def test_an_earlier_attempt_is_not_a_cause_of_a_later_one():
    def failing(record):
        raise ValueError("no")

    try:
        failing(1)
    except ValueError as error:
        found = retry(
            failing, lambda: 1, failure_of(error), Work(0, "s", "m:f", Form(), attempts=3, delay=0.0), Pause()
        )

    assert (found.attempts, found.causes) == (3, ())


def test_the_lines_of_a_failure_end_with_its_causes():
    error = caught(from_another)
    lines = failure_lines("ValueError", "bad line", frames_of(error.__traceback__), causes_of(error), ["  record: 'x'"])

    places = [line.partition(":")[0].strip() for line in lines]
    assert lines[0] == "ValueError: bad line"
    assert lines[1] == "  record: 'x'"
    assert "  caused by KeyError: 'x'" in lines
    assert places.count(__file__) == 3  # this file's caught and from_another, and the cause's line
    assert lines[-1].startswith(f"    {__file__}:")


# Messages


def test_notes_are_part_of_the_message():
    error = ValueError("bad")
    error.add_note("in line 3")

    assert message_of(error) == "bad\nin line 3"


def test_notes_that_are_not_text_are_left_out():
    error = ValueError("bad")
    error.__notes__ = [1, "two"]

    assert message_of(error) == "bad\ntwo"


def test_a_lone_surrogate_becomes_an_escape():
    assert message_of(ValueError("no \ud800")) == "no \\ud800"


def test_a_message_of_ten_megabytes_is_cut():
    message = message_of(ValueError("x" * 10_000_000))

    assert len(message) < LONGEST + 100
    assert message.endswith("… (10,000,000 characters in all)")


@pytest.mark.parametrize("given", [3, None, SystemExit])
def test_an_error_whose_str_fails_is_named(given):
    class Odd(Exception):
        def __str__(self):
            if given is SystemExit:
                raise given
            return given

    assert message_of(Odd()) == "<unprintable Odd>"


def test_a_class_may_lie_about_its_name():
    class Meta(type):
        @property
        def __name__(cls):
            raise RuntimeError

    class Odd(metaclass=Meta):
        pass

    assert type_of(Odd()) == "Odd"


def test_any_value_has_a_text():
    class Unprintable:
        def __repr__(self):
            raise SystemExit

    assert text_of(Unprintable()) == "<unprintable Unprintable>"
    assert len(text_of("x" * 5000)) == 1000


# Frames


def test_the_first_and_last_of_many_frames_are_kept():
    frames = frames_of(caught(sinking, 50).__traceback__)

    assert len(frames) == MOST_FRAMES
    assert [frame.function for frame in frames[:2]] == ["caught", "sinking"]


def test_frames_of_user_code_are_shown_before_those_of_libraries():
    frames = frames_of(caught(json.loads, "{").__traceback__)

    assert {frame.file for frame in shown_frames(frames)} == {__file__}
    assert any(frame.file == json.__file__ for frame in frames)


def test_frames_of_libraries_are_shown_if_there_are_no_others():
    library = (CodeFrame(json.__file__, 3, "loads"),)

    assert shown_frames(library) == library


# Fields

KEY = "pirce"


def looks_up_a_name(record):
    return record["pirce"]


def looks_up_a_variable(record):
    return record[KEY] + 1


def looks_inside(record):
    return record["item"]["pirce"]


def pops(record):
    return record.pop("pirce")


def renames(record):
    row = dict(record)
    return [
        row["pirce"],
    ]


@pytest.mark.parametrize("looking", [looks_up_a_name, looks_up_a_variable, looks_inside, pops, renames])
def test_a_missing_field_is_named_with_the_one_that_may_be_meant(looking):
    error = caught(looking, {"price": 1, "item": {"price": 2}})

    assert message_of(error) == "no field 'pirce'; did you mean 'price'?"


def test_if_no_field_is_near_all_are_listed():
    assert message_of(caught(looks_up_a_name, {"a": 1, "b": 2})) == "no field 'pirce'; the fields are a, b"


def looks_elsewhere(record):
    return PRICES[record["currency"]]


PRICES = {"eur": 1}


def asks_for_it(record):
    raise KeyError("pirce")


@pytest.mark.parametrize("looking", [looks_elsewhere, asks_for_it])
def test_other_key_errors_are_not_missing_fields(looking):
    error = caught(looking, {"currency": "eus", "price": 1})

    assert message_of(error) == str(error)


# Errors in words


def test_an_error_is_described_with_frames_of_user_code_only():
    def theirs():
        raise ValueError("no")

    try:
        theirs()
    except ValueError as error:
        head, *frames = describe(error).split("\n")

    assert head == "ValueError: no"
    assert frames[-1].endswith("in theirs")
    assert all("test_wording.py" in frame for frame in frames)


def test_an_error_without_a_text_is_described():
    class Mute(Exception):
        def __str__(self):
            raise SystemExit

    assert describe(Mute()) == "Mute: <unprintable Mute>"
