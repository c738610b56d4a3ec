"""Worker specs, for tests that need no plan."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from stagerunner.evaluate.work import EndSpec, Work
from stagerunner.parts.forming import form_of
from stagerunner.wire.spec import WorkerSpec

MODULE = "offered_by_the_chain_tests"


def offered(found: Any) -> str:
    """A target under which this process can import a function or class of a test."""
    module = sys.modules.setdefault(MODULE, types.ModuleType(MODULE))
    setattr(module, found.__name__, found)
    return f"{MODULE}:{found.__name__}"


def work(found: Callable[..., Any], index: int = 0, **settings: Any) -> Work:
    return Work(index, found.__name__, offered(found), form_of(found), **settings)


def spec_for(*stages: Any, **settings: Any) -> WorkerSpec:
    """The spec of a single worker with these stages; a stage is a function, a class, or its Work."""
    works = [stage if isinstance(stage, Work) else work(stage, index) for index, stage in enumerate(stages)]
    told = {
        "epoch": 1,
        "number": 0,
        "width": 1,
        "names": tuple(one.name for one in works),
        "works": tuple(works),
        "inbound": (0,),
        "outbound": (0,),
        "upstream": 1,
        "downstream": 1,
        "slots": tuple(range(max(1, len(works)))),
        "slot_count": max(1, len(works)),
        "places": max([one.concurrency for one in works if one.form.awaited], default=1),
        "ends": len(works),
        "first": True,
        "source": EndSpec(),
    }
    return WorkerSpec(**told | settings)
