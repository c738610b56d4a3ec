from __future__ import annotations

import pytest

from stagerunner import errors
from stagerunner.errors import ConfigError, Interrupted, Mark, Mistake, RunFailed, StageFailed, StagerunnerError

CODES = {
    "ConfigError": 2,
    "UsageError": 2,
    "RunFailed": 1,
    "StageFailed": 1,
    "SetupFailed": 1,
    "WorkerDied": 1,
    "OutputBusy": 73,
    "Stopped": 75,
    "ReaderGone": 141,
    "InternalError": 70,
}


@pytest.mark.parametrize("name", CODES)
def test_every_error_knows_its_exit_code(name):
    assert getattr(errors, name).exit_code == CODES[name]
    assert issubclass(getattr(errors, name), StagerunnerError)


def test_the_picture_in_the_docstring_shows_every_error():
    ours = [name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, Exception)]
    assert not [name for name in ours if name not in errors.__doc__]


def test_an_interruption_ends_in_128_and_the_signal():
    assert Interrupted("stopped", 15).exit_code == 143


def test_mistakes_stand_in_order_of_lines():
    later, sooner = (
        Mistake("x", f"on line {line}", Mark("a.yaml", line, 3), fix=fix) for line, fix in ((9, ""), (2, "mend it"))
    )

    assert str(ConfigError([later, sooner])) == "a.yaml:2:3: on line 2; mend it\na.yaml:9:3: on line 9"


def test_a_refusal_is_none_of_our_own_errors():
    assert not issubclass(errors.Reject, StagerunnerError)


def test_a_failed_stage_keeps_its_failure():
    assert StageFailed("no").failure is None
    assert isinstance(StageFailed("no"), RunFailed)
