from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from support.runs import project

from stagerunner.events import StageTotals, Summary
from stagerunner.views.console import Console

__all__ = ["console", "project", "stream", "summary"]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(stream: io.StringIO) -> Console:
    return Console(stream)


@pytest.fixture
def summary() -> Callable[..., Summary]:
    """A summary whose ledger balances unless its arguments differ."""

    def make(*stages: StageTotals, exit_code: int = 0, seconds: float = 10.0, **changes: object) -> Summary:
        records = {"in": 10, "created": 0, "out": 10, "filtered": 0, "skipped": 0, "dead": 0, "not_processed": 0}
        records |= changes.pop("records", {})
        return Summary("logs", exit_code == 0, exit_code, seconds, records, tuple(stages), **changes)

    return make
