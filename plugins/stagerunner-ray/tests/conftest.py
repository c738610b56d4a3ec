"""One local cluster for all tests that run chains in this process; the fixture is the MiB of its object store."""

from __future__ import annotations

import pytest
from support.hearing import nobody_is_deaf

from stagerunner_ray import session

__all__ = ["cluster", "nobody_is_deaf"]

STORE = 80
"""MiB of the cluster's object store; Ray takes no less."""


@pytest.fixture(scope="session")
def cluster():
    with session(object_store=STORE):
        yield STORE
