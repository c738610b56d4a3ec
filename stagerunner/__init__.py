"""stagerunner: a plugin-driven pipeline runner using pipe-linked stages.

Names are loaded when they are first used, so that importing the package, in a worker above all, costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stagerunner.api import Chain, Results, load, run
    from stagerunner.errors import (
        ConfigError,
        Drop,
        Reject,
        RetryLater,
        RunFailed,
        StageFailed,
        StagerunnerError,
        UsageError,
        WorkerDied,
    )
    from stagerunner.evaluate.arrow.rows import ArrowRows, as_record_batch
    from stagerunner.evaluate.conditions.expression import Expression, missing_field
    from stagerunner.evaluate.stage_api import count, empty, enough
    from stagerunner.events import Summary
    from stagerunner.parts.base import part
    from stagerunner.parts.hooks import hookimpl
    from stagerunner.parts.sink import sink
    from stagerunner.parts.source import Want, source
    from stagerunner.parts.stage import stage
    from stagerunner.parts.text_option import TextOption
    from stagerunner.records import Malformed, Mark, Origin, Split

_HOMES = {
    "ConfigError": "errors",
    "Drop": "errors",
    "Reject": "errors",
    "RetryLater": "errors",
    "RunFailed": "errors",
    "StageFailed": "errors",
    "StagerunnerError": "errors",
    "UsageError": "errors",
    "WorkerDied": "errors",
    "ArrowRows": "evaluate.arrow.rows",
    "as_record_batch": "evaluate.arrow.rows",
    "Expression": "evaluate.conditions.expression",
    "missing_field": "evaluate.conditions.expression",
    "count": "evaluate.stage_api",
    "enough": "evaluate.stage_api",
    "empty": "evaluate.stage_api",
    "Summary": "events",
    "part": "parts.base",
    "hookimpl": "parts.hooks",
    "sink": "parts.sink",
    "source": "parts.source",
    "Want": "parts.source",
    "stage": "parts.stage",
    "TextOption": "parts.text_option",
    "Malformed": "records",
    "Mark": "records",
    "Origin": "records",
    "Split": "records",
    "Chain": "api",
    "Results": "api",
    "load": "api",
    "run": "api",
}

__all__ = [
    "ArrowRows",
    "Chain",
    "ConfigError",
    "Drop",
    "Expression",
    "Malformed",
    "Mark",
    "Origin",
    "Reject",
    "Results",
    "RetryLater",
    "RunFailed",
    "Split",
    "StageFailed",
    "StagerunnerError",
    "Summary",
    "TextOption",
    "UsageError",
    "Want",
    "WorkerDied",
    "__version__",
    "as_record_batch",
    "count",
    "empty",
    "enough",
    "hookimpl",
    "load",
    "missing_field",
    "part",
    "run",
    "sink",
    "source",
    "stage",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stagerunner' has no attribute {name!r}")
    value = getattr(import_module(f"stagerunner.{home}"), name)
    globals()[name] = value
    return value
