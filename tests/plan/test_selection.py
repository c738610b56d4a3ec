from __future__ import annotations

import pytest

from stagerunner.errors import Mistake
from stagerunner.plan.selection import selected


@pytest.fixture
def stages(config):
    return config("a", "b", "c", "d").stages


@pytest.mark.parametrize(
    ("only", "names"),
    [(None, "abcd"), ("b", "b"), ("b..c", "bc"), ("b..", "bcd"), ("..b", "ab"), ("..", "abcd"), ("d..d", "d")],
)
def test_a_range_of_stages(stages, only, names):
    assert "".join(stage.name for stage in selected(stages, only)) == names


@pytest.mark.parametrize(
    ("only", "message", "column"),
    [
        ("b..x", "no stage of this chain is named 'x'", 4),
        ("x..b", "no stage of this chain is named 'x'", 1),
        ("x", "no stage of this chain is named 'x'", 1),
        ("", "no stage of this chain is named ''", 1),
        ("c..b", "'c' comes after 'b'", 1),
    ],
)
def test_a_range_that_is_none(stages, only, message, column):
    mistake = selected(stages, only)
    assert isinstance(mistake, Mistake)
    assert (mistake.message, mistake.mark.column) == (message, column)
