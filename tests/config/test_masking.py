from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest
from msgspec import json as msgspec_json

from stagerunner.config.masking import Mask, MaskedStream, printing_aside
from stagerunner.errors import RunFailed, StageFailed
from stagerunner.events import Output, StageTotals, Summary

ODD = [
    "back\\slash",
    "it's",
    'say "so"',
    "both ' and \"",
    "tab\tand\nline",
    "pässwörd",
    "日本語の秘密",
    "a/b?c&d=e f%",
    "\x1b[31m",
]


def test_a_secret_of_several_lines_is_masked_line_by_line():
    assert Mask(["first line\nsecond line"])("a second line") == "a ***"


def test_an_empty_secret_masks_nothing():
    assert Mask(["", " "])("a b") == "a b"
    assert not Mask(["", " "])


@pytest.mark.parametrize("secret", ODD)
@pytest.mark.parametrize(
    "write",
    [
        str,
        repr,
        ascii,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: msgspec_json.encode(text).decode(),
        lambda text: repr({"key": f"{text} ' \""}),
        lambda text: repr(text.encode()),
        lambda text: json.dumps(repr(text)),
        lambda text: repr(json.dumps(text)),
        lambda text: repr(repr(text)),
        lambda text: urlencode({"password": text}),
        lambda text: f"postgres://me:{quote(text, safe='')}@host/db",
        lambda text: quote_plus(text).lower() if text.islower() else quote(text),
        lambda text: " ".join(text.split()),
    ],
)
def test_a_secret_is_found_however_it_is_written(secret, write):
    words = [word for word in secret.replace("\n", " ").split() if len(word) > 3]
    shown = Mask([secret])(f"<{write(secret)}>")
    assert "***" in shown
    assert [word for word in words if word in shown] == []


def test_what_is_around_a_secret_stays():
    assert Mask(["a\\b"])(f"with {'a' + chr(92) + 'b'!r}, no") == "with '***', no"


def test_one_secret_that_begins_or_overlaps_another_leaves_nothing_of_it():
    mask = Mask(["hunter", "hunter2-long", "long-tail"])
    assert mask("hunter2-long") == "***"
    assert mask("hunter2-long-tail.") == "***."
    assert mask("a hunter's") == "a ***'s"


def test_a_secret_that_a_message_cuts_off_is_masked_as_far_as_it_stands_there():
    assert Mask(["correct horse battery staple"])("'correct horse batt…' is no number") == "'***…' is no number"
    assert Mask(["correct horse"])("that is corr… and others…") == "that is ***… and others…"


def test_a_short_secret_is_masked_in_texts_and_not_in_our_own_keys():
    assert Mask(["in"]).data({"in": "in 5", "counters": {"in it": 5}}) == {
        "in": "*** 5",
        "counters": {"in it": 5},
    }


def test_events_and_summaries_keep_their_shape():
    mask = Mask(["hunter2"])
    totals = StageTotals("a", 1, 5, counters={"hunter2": 2})
    summary = Summary("run", True, 0, 0.5, {"in": 5}, (totals,), output="/data/hunter2/out", messages=("hunter2",))
    masked = mask.data(summary)
    assert isinstance(masked, Summary)
    assert (masked.output, masked.messages, masked.stages[0].counters) == ("/data/***/out", ("***",), {"***": 2})
    assert (masked.records, masked.seconds, masked.stages[0].taken) == ({"in": 5}, 0.5, 5)
    assert mask.data(Output("a", 0, "hunter2")) == Output("a", 0, "***")
    assert mask.data([None, 2, Path("hunter2")]) == [None, 2, Path("hunter2")]


def test_an_error_of_ours_says_no_secret_and_neither_does_its_cause():
    with pytest.raises(RunFailed) as caught, Mask(["hunter2"]).errors():
        try:
            raise ValueError("hunter2")
        except ValueError as error:
            raise StageFailed(f"it failed: {error}") from error
    assert str(caught.value) == "it failed: ***"
    assert caught.value.__cause__ is None


def test_a_cause_that_says_no_secret_stays():
    with pytest.raises(RunFailed) as caught, Mask(["hunter2"]).errors():
        raise RunFailed("hunter2") from ValueError("of the user's")
    assert str(caught.value.__cause__) == "of the user's"


def test_an_error_that_is_not_ours_stays_as_it_is():
    with pytest.raises(LookupError, match="hunter2"), Mask(["hunter2"]).errors():
        raise LookupError("hunter2")


def test_a_masked_stream_is_the_stream_but_for_secrets():
    under = io.StringIO()
    stream = MaskedStream(under, Mask(["hunter2"]))
    print("is", "hunter2", file=stream)
    stream.writelines(["hunter2", "\n"])
    assert under.getvalue() == "is ***\n***\n"
    assert not stream.isatty()


def test_what_is_printed_aside_goes_to_standard_error_without_secrets(capsys):
    with printing_aside(["hunter2"]):
        print("out", "hunter2")
        print("err", "hunter2", file=sys.stderr)
    assert capsys.readouterr() == ("", "out ***\nerr ***\n")


def test_nothing_is_printed_where_there_is_no_standard_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with printing_aside(["hunter2"]):
        print("lost")
