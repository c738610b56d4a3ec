from __future__ import annotations

import io
import sys

from stagerunner.cli.streams import Streams


def test_each_stream_decides_on_colour_by_itself(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("CLICOLOR_FORCE", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert (Streams().out().color, Streams().err().color) == (True, False)
    assert Streams(color="never").out().color is False


def test_a_stream_that_was_closed_before_we_began_takes_everything(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    Streams().err().line("lost")


def test_secrets_are_masked_from_then_on(capsys):
    streams = Streams()
    streams.conceal(["hunter2"])
    streams.err().line("it is hunter2")
    print("so it is: hunter2", file=sys.stderr)
    streams.restore()
    print("hunter2", file=sys.stderr)
    assert capsys.readouterr().err == "it is ***\nso it is: ***\nhunter2\n"
