from __future__ import annotations

from stagerunner.config.nodes import Scalar
from stagerunner.config.wording import did_you_mean, hidden, in_words, shortened
from stagerunner.config.yaml12 import read_yaml
from stagerunner.errors import Mark


def named(text):
    return in_words(read_yaml(text, "f")[0])


def test_a_node_is_called_what_it_is():
    assert named("ip") == "the text 'ip'"
    assert named("'4'") == "the text '4'"
    assert named("4") == "the number 4"
    assert named("true") == "true"
    assert named("null") == "nothing"
    assert named("[a]") == "a list"
    assert named("{a: b}") == "a mapping"


def test_a_filled_in_value_names_its_variable():
    scalar = Scalar("ip", "ip", Mark("f"), written="${vars.x}")
    assert in_words(scalar) == "the text 'ip' (from ${vars.x})"


def test_a_secret_is_never_quoted():
    scalar = Scalar("hunter2", "hunter2", Mark("f"), written="${secret:PASSWORD}", secret=True)
    assert hidden(scalar)
    assert in_words(scalar) == "the value of ${secret:PASSWORD}"


def test_long_texts_are_cut():
    assert shortened("x" * 100) == "x" * 39 + "…"
    assert len(named("x" * 100)) < 60


def test_the_nearest_choice_is_named_if_any_is_near():
    assert did_you_mean("wokers", ["workers", "batch"]) == "did you mean 'workers'?"
    assert did_you_mean("Workers", ["workers"]) == "did you mean 'workers'?"
    assert did_you_mean("zzz", ["workers", "batch"]) == ""


def test_behind_a_hundred_mistakes_no_search_is_made():
    assert did_you_mean("wokers", ["workers"], after=100) == ""
