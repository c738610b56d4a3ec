"""The engine `ray`: a chain's workers as actors of a Ray cluster. Importing this package imports no Ray."""

from __future__ import annotations

from collections.abc import Iterable

from stagerunner import hookimpl
from stagerunner.hookspecs import EngineSpec
from stagerunner_ray.session import session

__version__ = "0.1.0"
__all__ = ["session", "stagerunner_engines"]


@hookimpl
def stagerunner_engines() -> Iterable[EngineSpec]:
    """The engine of this plugin."""
    return [
        EngineSpec(
            "ray",
            "stagerunner_ray.engine:RayEngine",
            "one actor of a Ray cluster for each worker",
            resources=True,
            kills=True,
            hard_timeouts=True,
            ahead=True,
        )
    ]
