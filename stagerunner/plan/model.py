"""The plan: everything an engine needs, and nothing that could still be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct, field

from stagerunner.config.model import Run, Settings
from stagerunner.evaluate.work import Work
from stagerunner.parts.base import Part
from stagerunner.parts.hooks import PROJECT


class PlannedPart(Struct, frozen=True):
    """A source or sink, resolved. `options` are checked and converted; `shown` is what may be printed of them; `filled`
    is what variables in them held, and whether it may be shown to nobody.
    """

    use: str
    name: str
    part: Part
    options: dict[str, Any]
    settings: Settings
    shown: dict[str, Any] = field(default_factory=dict)
    provider: str = ""
    filled: dict[str, tuple[str, bool]] = field(default_factory=dict)


class PlannedStage(Struct, frozen=True):
    """A stage, resolved: what the workers are told (`work`), how many there are, and where it came from."""

    use: str
    work: Work
    settings: Settings
    part: Part
    shown: dict[str, Any] = field(default_factory=dict)
    provider: str = ""
    filled: dict[str, tuple[str, bool]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.work.name

    @property
    def places(self) -> int:
        """Records that may be under way in it side by side."""
        return self.settings.workers * (self.work.concurrency if self.work.form.awaited else 1)


class Plan(Struct, frozen=True):
    """What is to run.

    source: None when records are given by the caller; sink: None when the caller takes the results.
    files: module name → path of the plugin files that workers must be able to import.
    own: the files that the chain itself is in: its config, plugins, and modules of their own.
    started_hooks, stopping_hooks: "module:function", called in each worker.
    engine_options: what stands under `with` of `run.engine`, checked.
    replay: the source is a file of dead letters.
    secrets: values to be masked in everything that goes out; masked: the same, and what `${env:…}` held.
    notes: what `check` tells besides mistakes.
    """

    name: str
    stages: tuple[PlannedStage, ...]
    source: PlannedPart | None = None
    sink: PlannedPart | None = None
    dead_letter: Path | None = None
    run: Run = field(default_factory=Run)
    engine_target: str = "stagerunner.engines.process.engine:ProcessEngine"
    engine_options: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    own: tuple[Path, ...] = ()
    started_hooks: tuple[str, ...] = ()
    stopping_hooks: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limit: int | None = None
    replay: bool = False

    def __repr__(self) -> str:
        """Without options, which may hold secrets."""
        return f"<Plan {self.name}: {' → '.join(stage.name for stage in self.stages) or 'copy'}>"

    @property
    def our_modules(self) -> list[str]:
        """The modules of those parts that come with this program."""
        parts = [part for part in (self.source, *self.stages, self.sink) if part is not None]
        return sorted({part.part.target.partition(":")[0] for part in parts if part.provider.startswith(f"{PROJECT} ")})
