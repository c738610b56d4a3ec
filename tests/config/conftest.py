from __future__ import annotations

import pytest

from stagerunner.config.read import read_config
from stagerunner.config.yaml12 import read_yaml

HEAD = "version: 1\nstages: []\n"


@pytest.fixture
def root():
    """The nodes of a text that is right."""

    def root(text: str):
        node, mistakes = read_yaml(text, "f.yaml")
        assert mistakes == []
        return node

    return root


@pytest.fixture
def config():
    """The config of a text that is right."""

    def config(text: str, **over):
        read = read_config(text + "\n", **over)
        assert read.mistakes == ()
        return read

    return config


@pytest.fixture
def wrong():
    """What is wrong with a text: "line:column path: message | fix", one string for each mistake."""

    def wrong(text: str, **over):
        return [
            f"{m.mark.line}:{m.mark.column} {m.path}: {m.message}" + (f" | {m.fix}" if m.fix else "")
            for m in read_config(text + "\n", **over).mistakes
        ]

    return wrong
