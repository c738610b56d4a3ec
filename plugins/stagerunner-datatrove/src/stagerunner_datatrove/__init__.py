"""Filters, formatters and extractors of datatrove as stages.

The parts are named by string, so that listing them doesn't import datatrove, which takes a second.
"""

from __future__ import annotations

from typing import Any

from stagerunner import hookimpl, part


@hookimpl
def stagerunner_stages() -> list[Any]:
    """The stages that this package offers."""
    return [
        part(
            "datatrove",
            "stagerunner_datatrove.stages:Datatrove",
            summary="Apply a filter, formatter or extractor of datatrove to each document",
        ),
        part(
            "datatrove.batch",
            "stagerunner_datatrove.stages:DatatroveBatch",
            summary="Apply a filter of datatrove to lists of documents",
        ),
    ]
