"""Our own engines conform."""

from __future__ import annotations

import pytest

from stagerunner.plan.engines import BUILT_IN
from stagerunner.testing.engines import CASES

PAIRS = [
    pytest.param(case, spec.name, id=f"{spec.name}: {case}")
    for case in CASES
    for spec in BUILT_IN.values()
    if case.suits(spec) and spec.name not in ("inline", case.reference)
]


@pytest.mark.parametrize(("case", "engine"), PAIRS)
def test_an_engine_conforms(case, engine, tmp_path):
    case.check(engine, tmp_path)
