from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner.config.options import options_of, read_options
from stagerunner.config.yaml12 import read_yaml
from stagerunner.errors import Mark


@pytest.fixture
def read():
    """Reads a YAML mapping as the options of a function or class: the values and the mistakes."""

    def read(found, text: str):
        node, wrong = read_yaml(text, "f.yaml")
        assert wrong == []
        values, mistakes = read_options(
            options_of(found), node, mark=Mark("f.yaml", 7, 3), path="stages[0].with", base=lambda mark: Path("/base")
        )
        return values, mistakes

    return read


@pytest.fixture
def values(read):
    """The values of options that are right."""

    def values(found, text: str):
        got, mistakes = read(found, text)
        assert mistakes == []
        return got

    return values


@pytest.fixture
def wrong(read):
    """The one mistake in options that are wrong: its message and its fix."""

    def wrong(found, text: str):
        mistakes = read(found, text)[1]
        assert len(mistakes) == 1, mistakes
        return mistakes[0].message, mistakes[0].fix

    return wrong
