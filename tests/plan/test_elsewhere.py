"""A stage with `python`: what the plan asks the other Python, and what it makes of the answer."""

from __future__ import annotations

import subprocess

import pytest

from stagerunner.config.nodes import Scalar
from stagerunner.errors import ConfigError, Mark
from stagerunner.evaluate.describing import ANSWER, DescribedOption, Description, packed
from stagerunner.interpreters import TOO_OLD
from stagerunner.parts.stage import Form
from stagerunner.plan import elsewhere

TIMES = DescribedOption("times", False, packed(int), packed(1), "int")
KIND = DescribedOption("kind", True, None, None, "Kind")


def described(*options, lacks=()):
    return Description((3, 12, 1), lacks, Form(), None, False, "Say it louder.", options, {"parts.py": "1"})


@pytest.fixture
def answers(monkeypatch, folder):
    """Have the Python in the folder `venv` end like this, without a process."""
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").touch()

    def answers(found=None, *, before=b"", errors=b"", status=0):
        ended = subprocess.CompletedProcess(
            [], status, b"" if found is None else before + ANSWER + packed(found), errors
        )
        monkeypatch.setattr(elsewhere.subprocess, "run", lambda *_, **__: ended)

    return answers


def shout(python="venv", **more):
    return {"use": "shout", "python": Scalar(python, python, Mark("chain.yaml", 3, 5)), **more}


def mistake(planned, *stages, **ends):
    with pytest.raises(ConfigError) as caught:
        planned(*stages, **ends)
    (found,) = caught.value.mistakes
    return found.path, found.message, found.fix


def test_what_a_wrapper_prints_is_no_answer(planned, answers):
    answers(described(TIMES), before=b"Welcome!\n")
    (stage,) = planned(shout()).stages
    assert stage.python.version == (3, 12, 1)

    answers(before=b"Welcome!\n")
    path, message, _ = mistake(planned, shout())
    assert (path, "isn't a Python that can run stages" in message) == ("stages[0].python", True)


def test_options_are_those_that_the_other_python_describes(planned, answers):
    answers(described(TIMES))

    (stage,) = planned(shout(**{"with": {"times": 3}})).stages

    assert (stage.work.options, stage.python.version, stage.python.code) == (
        {"times": 3},
        (3, 12, 1),
        {"parts.py": "1"},
    )
    path, message, _ = mistake(planned, shout(**{"with": {"time": 3}}))
    assert (path, "there is no option 'time'" in message) == ("stages[0].with.time", True)


def test_the_default_of_an_option_need_not_be_known_here(planned, answers):
    answers(described(TIMES._replace(default=None)))
    assert planned(shout()).stages[0].work.options == {}


def test_the_type_of_an_option_has_to_be_known_here(planned, answers):
    answers(described(KIND))
    path, message, _ = mistake(planned, shout())
    assert (path, "type Kind, which only the other Python knows" in message) == ("stages[0].use", True)


@pytest.mark.parametrize(
    ("python", "why"),
    [
        ("nowhere", "there is no folder"),
        (".", "isn't a Python environment: there is no bin/python in it"),
        ("~nobody-of-that-name/venv", "isn't a folder"),
    ],
)
def test_the_folder_has_to_be_an_environment(planned, python, why):
    path, message, _ = mistake(planned, shout(python))
    assert (path, why in message) == ("stages[0].python", True), message


@pytest.mark.parametrize(
    ("ended", "path", "why"),
    [
        ({"errors": b"3.9\n", "status": TOO_OLD}, "python", "has Python 3.9"),
        ({"errors": b"Traceback\noops", "status": 1}, "python", "isn't a Python that can run stages: oops"),
        ({"status": 3}, "python", "it ended with 3 and said nothing"),
        ({"found": "ValueError: not here"}, "use", "can't be used in the Python of venv: ValueError: not here"),
    ],
)
def test_what_it_answers_instead_of_a_description_is_a_mistake(planned, answers, ended, path, why):
    answers(**ended)
    found, message, _ = mistake(planned, shout())
    assert (found, why in message) == (f"stages[0].{path}", True), message


def test_a_missing_module_has_to_be_installed_there(planned, answers):
    answers("ModuleNotFoundError: No module named 'spacy'")
    assert "bin/python -m pip install" in mistake(planned, shout())[2]


def test_an_import_that_takes_too_long_is_a_mistake(planned, answers, monkeypatch):
    def late(*_, timeout, **__):
        raise subprocess.TimeoutExpired([], timeout)

    monkeypatch.setattr(elsewhere.subprocess, "run", late)
    found = mistake(planned, shout(start_timeout=2.0))
    assert found[1:] == ("the Python in venv didn't import it within 2 s", "give it a longer `start_timeout`")
