from __future__ import annotations

import pytest

from stagerunner.catalog import Catalog, Problem
from stagerunner.cli.catalogs import usable_catalog, warn
from stagerunner.cli.streams import Streams
from stagerunner.errors import ConfigError


def test_a_plugin_that_was_asked_for_has_to_load(folder):
    with pytest.raises(ConfigError, match="no file"):
        usable_catalog(["./nowhere.py"])


def test_a_plugin_can_be_kept_out(folder):
    assert usable_catalog(["no:stagerunner_parts"]).entries == {}


def test_problems_of_others_are_warnings(capsys):
    warn(Catalog(manager=None, problems=(Problem("geo 1.2", "could not be imported"),)), Streams())
    assert capsys.readouterr().err == "warning: geo 1.2: could not be imported\n"
