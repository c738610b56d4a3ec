from __future__ import annotations

import pytest

from stagerunner.errors import ConfigError


def mistake(planned, **ends):
    with pytest.raises(ConfigError) as caught:
        planned(**ends)
    [mistake] = caught.value.mistakes
    return mistake


def test_a_source_with_options_in_full(planned):
    source = planned(source={"use": "ticks", "with": {"every": 3}, "on_error": "skip"}).source
    assert (source.use, source.options, source.settings.on_error) == ("ticks", {"every": 3}, "skip")
    assert source.provider == "./parts.py"


def test_a_source_out_of_reach_is_a_mistake_at_its_path(planned):
    wrong = mistake(planned, source={"use": "lines", "with": {"path": "gone.txt"}})
    assert (wrong.code, wrong.message, wrong.mark.line) == ("source-check", "there is no file gone.txt", 2)


def test_a_bare_word_may_have_been_meant_as_a_name(planned):
    assert mistake(planned, source="tiks").fix == "did you mean 'ticks'?"


def test_a_sink_out_of_reach_is_a_mistake(planned):
    wrong = mistake(planned, sink="no/out.txt")
    assert (wrong.code, wrong.message, wrong.mark.line) == ("sink-check", "there is no such folder", 8)


def test_a_class_of_another_form_is_no_end(planned, folder):
    (folder / "my.py").write_text("class Empty: ...\ndef plain(): ...\n")
    assert "has no splits and no read and no identity" in mistake(planned, source={"use": "./my.py:Empty"}).message
    assert "a source is a class with splits" in mistake(planned, source="./my.py:plain").message
    assert "class Empty has no encode" in mistake(planned, sink="./my.py:Empty").message


def test_an_undecorated_generator_is_a_source_and_its_arguments_are_options(planned, folder):
    (folder / "my.py").write_text("def count(start: int, step: int = 1):\n    yield start\n")
    source = planned(source={"use": "./my.py:count", "with": {"start": 4}}).source
    assert source.options == {"start": 4}


def test_an_error_of_the_plugins_own_says_where(planned, folder):
    text = (folder / "parts.py").read_text()
    (folder / "my.py").write_text(text.replace("raise FileNotFoundError(", "1 / 0, ("))
    wrong = mistake(planned, source={"use": "./my.py:Lines", "with": {"path": "gone.txt"}})
    assert wrong.message.startswith("ZeroDivisionError: ")
    assert "my.py:" in wrong.message
