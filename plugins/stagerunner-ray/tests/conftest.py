"""One local cluster for all tests that run chains in this process."""

from __future__ import annotations

import pytest

from stagerunner_ray import session


@pytest.fixture(scope="session")
def cluster():
    with session():
        yield
