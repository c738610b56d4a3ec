"""The engine gives what every engine gives."""

from __future__ import annotations

import pytest

from stagerunner.testing.engines import CASES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_engine_conforms(case, cluster, tmp_path):
    case.check("ray", tmp_path)
