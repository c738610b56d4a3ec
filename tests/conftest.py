"""What all tests share: the option `--full`, and the table of what was proved."""

from __future__ import annotations

import gc

import pytest
from support.hearing import nobody_is_deaf

__all__ = ["full", "nobody_is_deaf"]

pytest_plugins = ["support.proofs"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long form of every proof")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is there before the first test is no business of the collector's any more.

    Thousands of tests collect to see what they leave; each time, 0.11 s would go into looking at the tests themselves.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the long form of a proof is asked for."""
    return bool(request.config.getoption("--full"))
