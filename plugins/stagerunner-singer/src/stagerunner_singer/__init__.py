"""Singer taps as sources, and Singer targets as sinks."""

from __future__ import annotations

from typing import Any

from stagerunner import hookimpl, part


@hookimpl
def stagerunner_sources() -> list[Any]:
    """The sources that this package offers."""
    return [part("singer", "stagerunner_singer.tap:Tap", summary="Run a Singer tap and give its records")]


@hookimpl
def stagerunner_sinks() -> list[Any]:
    """The sinks that this package offers."""
    return [part("singer", "stagerunner_singer.target:Target", summary="Hand records to a Singer target")]
