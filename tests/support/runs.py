"""Fixtures of tests that run chains or hold checks against many examples."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.leaks import nothing_left
from support.project import Project

from stagerunner.wire.metrics import MetricsPage, create

EXAMPLES = 500
FULL = 75_000
"""Examples of each proof by examples."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """No test leaves a process, a descriptor or a thread behind."""
    with nothing_left():
        yield


@pytest.fixture
def page() -> Iterator[MetricsPage]:
    """Metrics with five slots."""
    fd = create(5)
    page = MetricsPage(fd, 5)
    yield page
    page.close()
    os.close(fd)


@pytest.fixture
def prove(full, proved):
    """Hold a check against many examples, and state how many."""

    def run(check, *strategies):
        ran = itertools.count()

        @settings(max_examples=FULL if full else EXAMPLES, deadline=None, derandomize=True)
        @given(st.tuples(*strategies))
        def counted(drawn):
            next(ran)
            check(*drawn)

        counted()
        proved(examples=next(ran))

    return run
