from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagerunner.config.nodes import Mapping, Scalar, Sequence
from stagerunner.errors import ConfigError, Mark
from stagerunner.plan import make_plan
from stagerunner.plan.values import shown

MARK = Mark("chain.yaml", 3, 5)


def test_options_are_shown_as_they_were_written_and_secrets_are_not(config):
    words = (
        Scalar("7", 7, MARK),
        Scalar("today", "today", MARK, written="${vars.day}"),
        Scalar("hunter2", "hunter2", MARK, written="${secret:SALT}", secret=True),
        Scalar("hunter2", "hunter2", MARK, secret=True),
    )
    key = Scalar("words", "words", MARK)
    options = Mapping(((key, Sequence((*words, Mapping(((key, words[0]),), MARK)), MARK)),), MARK)
    whole = config("shout")
    part = replace(whole.stages[0], options=options)
    assert shown(part, whole) == {"words": [7, "${vars.day}", "${secret:SALT}", "***", {"words": 7}]}


def test_a_part_without_options_shows_none(config):
    whole = config("shout")
    assert shown(whole.stages[0], whole) == {}


def test_an_option_that_cannot_be_sent_to_a_worker_is_a_mistake(config, catalog, folder):
    (folder / "my.py").write_text(
        "class Query:\n"
        "    def __init__(self, text): self.call = lambda: text\n"
        "    @classmethod\n"
        "    def parse(cls, text): return cls(text)\n"
        "def ask(record, *, query: Query): return record\n"
    )
    with pytest.raises(ConfigError, match=r"chain.yaml:3:5: query can't be sent to a worker"):
        make_plan(config({"use": "./my.py:ask", "with": {"query": "a"}}), catalog)


def test_hints_that_say_nothing_are_a_mistake(config, catalog, folder):
    (folder / "my.py").write_text(
        "from __future__ import annotations\ndef ask(record, *, query: Nowhere): return record\n"
    )
    with pytest.raises(ConfigError, match=r"the options of './my.py:ask' are unclear"):
        make_plan(config("./my.py:ask"), catalog)
