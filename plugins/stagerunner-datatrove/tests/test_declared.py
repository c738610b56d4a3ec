"""The source of datatrove says the same as its import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from stagerunner_datatrove.declared import takes
from stagerunner_datatrove.steps import PACKAGES

NAMES = [
    *("C4QualityFilter", "GopherQualityFilter", "GopherRepetitionFilter", "FineWebQualityFilter", "LanguageFilter"),
    *("RegexFilter", "URLFilter", "LambdaFilter", "PIIFormatter", "Trafilatura"),
]

CHECKED = """
import sys
from stagerunner_datatrove.stages import Datatrove
Datatrove(step="C4QualityFilter", options={"min_num_sentences": 3}).check({})
print("datatrove.data" in sys.modules, "numpy" in sys.modules)
"""


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """What the imported class takes."""
    step = next(getattr(package, name) for package in map(import_module, PACKAGES) if hasattr(package, name))
    return dict(inspect.signature(step).parameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_takes_the_options_of_its_constructor_and_no_others(name):
    known = [each for each in parameters(name).values() if each.kind == each.POSITIONAL_OR_KEYWORD]
    any_name = len(known) < len(parameters(name))  # **kwargs
    needed = {each.name for each in known if each.default is each.empty}
    assert takes(name, needed, PACKAGES)
    assert takes(name, {each.name for each in known}, PACKAGES)
    assert takes(name, {*needed, "no such option"}, PACKAGES) is any_name
    assert all(not takes(name, needed - {one}, PACKAGES) for one in needed)


@pytest.mark.parametrize("name", ["NoSuchFilter", "datatrove.pipeline.filters:RegexFilter", "BaseFilter"])
def test_what_the_source_does_not_show_is_not_known(name):
    assert not takes(name, set(), PACKAGES)


def test_a_check_of_a_known_step_imports_nothing_of_datatrove():
    ran = subprocess.run([sys.executable, "-c", CHECKED], capture_output=True, text=True, check=True)
    assert ran.stdout == "False False\n"
