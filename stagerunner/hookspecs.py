"""All hooks. A plugin marks its functions with `stagerunner.hookimpl`.

Hooks for what a plugin offers are called once, when it is registered; event hooks are called during a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy
from msgspec import Struct

from stagerunner.parts.hooks import PROJECT

if TYPE_CHECKING:
    from stagerunner import events
    from stagerunner.parts.base import Part

hookspec = pluggy.HookspecMarker(PROJECT)


class EngineSpec(Struct, frozen=True):
    """An engine: `run.engine` names it, `target` is "module:Class", imported when it is chosen.

    The class's keyword-only arguments are the engine's options, with their types; see engines.base.Engine for the rest.
    resources: it places workers by `resources`, or has the devices at hand. in_process: stages run in the parent, so
    they need not be importable elsewhere. pythons: workers may run in another Python (the setting `python`).
    kills: a stage that kills its worker costs a restart, not the run.
    hard_timeouts: a call over its `timeout` is ended, whatever it does; `max_memory` likewise.
    ahead: workers begin a frame while earlier ones are open, so async calls and lists go across frames.
    """

    name: str
    target: str
    summary: str = ""
    resources: bool = False
    in_process: bool = False
    pythons: bool = False
    kills: bool = False
    hard_timeouts: bool = False
    ahead: bool = False


class Problem(Struct, frozen=True):
    """Why an engine can't run a plan, as its `check` says it.

    stage: the name of the stage at fault. place: which of its settings, or, without a stage, which option of the
    engine: keys, as ("resources", "gpu"). fix: what to do.
    """

    message: str
    stage: str = ""
    place: tuple[str, ...] = ()
    fix: str = ""


class CommandSpec(Struct, frozen=True):
    """A command: `target` is "module:command", a click command, imported when it is called."""

    name: str
    target: str
    summary: str = ""


class ViewSpec(Struct, frozen=True):
    """A view: `--progress` names it, `target` is "module:Class"."""

    name: str
    target: str
    summary: str = ""


@hookspec
def stagerunner_stages() -> Iterable[Part | Any]:  # type: ignore[empty-body]
    """The stages a plugin offers: decorated functions and classes, or `part(…)` records."""


@hookspec
def stagerunner_sources() -> Iterable[Part | Any]:  # type: ignore[empty-body]
    """The sources it offers."""


@hookspec
def stagerunner_sinks() -> Iterable[Part | Any]:  # type: ignore[empty-body]
    """The sinks it offers."""


@hookspec
def stagerunner_engines() -> Iterable[EngineSpec]:  # type: ignore[empty-body]
    """The engines it offers."""


@hookspec
def stagerunner_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]
    """The commands it adds to the command line."""


@hookspec
def stagerunner_views() -> Iterable[ViewSpec]:  # type: ignore[empty-body]
    """The views it offers."""


@hookspec
def stagerunner_run_started(event: events.RunStarted) -> None:
    """A run is about to start its processes."""


@hookspec
def stagerunner_worker_ready(event: events.WorkerReady) -> None:
    """A worker is set up."""


@hookspec
def stagerunner_worker_failed(event: events.WorkerFailed) -> None:
    """A worker died."""


@hookspec
def stagerunner_record_failed(event: events.RecordFailed) -> None:
    """A record could not be processed."""


@hookspec
def stagerunner_checkpoint(event: events.Checkpoint) -> None:
    """Everything up to here is in the sink and the journal."""


@hookspec
def stagerunner_run_finished(event: events.Summary) -> None:
    """The run is over, successful or not."""


@hookspec
def stagerunner_worker_started(stage: str, worker: int) -> None:
    """In each worker, after its stage was imported and before its setup."""


@hookspec
def stagerunner_worker_stopping(stage: str, worker: int) -> None:
    """In each worker that ends regularly, after its stage was closed."""
