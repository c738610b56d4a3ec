"""PostgreSQL as source and sink of stagerunner."""

from __future__ import annotations

from typing import Any

from stagerunner import hookimpl, part


@hookimpl
def stagerunner_sources() -> list[Any]:
    """The source `postgres`."""
    summary = "Read a table or query of PostgreSQL, one record per row, in one snapshot"
    return [part("postgres", "stagerunner_postgres.source:Postgres", summary=summary)]


@hookimpl
def stagerunner_sinks() -> list[Any]:
    """The sink `postgres`."""
    summary = "Write records as the rows of a table in PostgreSQL"
    return [part("postgres", "stagerunner_postgres.sink:Postgres", summary=summary)]
