"""What all tests share: the option `--full`, and the table of what was proved."""

from __future__ import annotations

import pytest

pytest_plugins = ["support.proofs"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long form of every proof")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the long form of a proof is asked for."""
    return bool(request.config.getoption("--full"))
