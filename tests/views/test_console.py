from __future__ import annotations

import io
import os

import pytest

from stagerunner.views.console import Console, use_color


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colored"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "", "TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
def test_a_terminal_gets_colours_unless_the_environment_says_no(environment: dict[str, str], colored: bool):
    assert use_color(Terminal(), "auto", environment) is colored


@pytest.mark.parametrize(("environment", "colored"), [({}, False), ({"CLICOLOR_FORCE": "1"}, True)])
def test_a_pipe_gets_none_unless_forced(environment: dict[str, str], colored: bool):
    assert use_color(io.StringIO(), "auto", environment) is colored


def test_the_flag_wins_over_everything():
    assert use_color(io.StringIO(), "always", {"NO_COLOR": "1"})
    assert not use_color(Terminal(), "never", {"FORCE_COLOR": "1"})


def test_styles_are_written_only_in_colour(stream):
    Console(stream, color=False).line(("bad", "oh"), " no")
    Console(stream, color=True).line(("bad", "oh"), " no")
    assert stream.getvalue() == "oh no\n\x1b[1;31moh\x1b[0m no\n"


def test_secrets_are_masked_in_lines_and_in_json(stream):
    console = Console(stream, secrets=["hunter2", 'a"b'])
    console.line("password hunter2")
    console.line(console.json({"hunter2": ['a"b', 3]}))
    assert stream.getvalue() == 'password ***\n{"***": ["***", 3]}\n'


def test_a_short_secret_leaves_numbers_and_our_own_keys_as_they_are(stream):
    console = Console(stream, secrets=["5", "ex"])
    console.line(console.json({"exit": 0.075, "told": "ex 5", "odd": OSError("5")}))
    assert stream.getvalue() == '{"exit": 0.075, "told": "*** ***", "odd": "***"}\n'


def test_what_a_terminal_would_act_upon_is_made_visible(console, stream):
    console.line("a\x1b[2Jb\tc")
    assert "\x1b" not in stream.getvalue()
    assert "\t" not in stream.getvalue()


def test_a_stream_that_knows_ascii_only_gets_ascii():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(stream).line("lines ─▶ parse ×2 é")
    assert stream.buffer.getvalue() == b"lines -> parse x2 \\xe9\n"


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_line_is_lost_in_silence_only_where_it_may_be():
    Console(Broken(), losable=True).line("anything")
    with pytest.raises(BrokenPipeError):
        Console(Broken()).line("anything")


def test_where_its_descriptor_was_closed_standard_error_gets_the_line_and_nothing_waits(capfd):
    number = os.dup(2)
    stream = open(number, "w", closefd=False)
    os.close(number)

    Console(stream, losable=True).line("told")
    stream.close()  # what still waited would be tried once more

    assert capfd.readouterr().err == "told\n"
    os.close(number)


def test_where_the_stream_was_closed_standard_error_gets_the_line(capfd):
    stream = io.StringIO()
    stream.close()

    Console(stream, losable=True).line("told")

    assert capfd.readouterr().err == "told\n"
