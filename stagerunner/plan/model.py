"""The plan: everything that an engine needs, completely checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from stagerunner.config.model import Run, Settings
from stagerunner.evaluate.work import Work
from stagerunner.hookspecs import EngineSpec
from stagerunner.parts.base import Part
from stagerunner.parts.hooks import PROJECT
from stagerunner.parts.stage import Form
from stagerunner.plan.engines import BUILT_IN
from stagerunner.plan.targets import COMPRESSED

if TYPE_CHECKING:  # it loads OpenSSL, and few chains have a memo
    from stagerunner.memo.behind import Behind


class Shard(Struct, frozen=True):
    """One of `of` runs that together do the work of one; the first has the number 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def beside(self, path: Path) -> Path:
        """The name of this shard's part of a file. It keeps the suffixes, which say the format and the compression."""
        suffix = path.suffix
        if suffix.lower() in COMPRESSED:
            suffix = path.with_suffix("").suffix + suffix
        return path.with_name(f"{path.name.removesuffix(suffix)}.shard-{self.number}-of-{self.of}{suffix}")


class PlannedPart(Struct, frozen=True):
    """A source or sink, resolved.

    options: checked and converted. shown: what may be printed of them. filled: for each variable in them, its text and
    whether it must stay hidden. provider: the plugin it comes from. parts: those of a source that is a list.
    """

    use: str
    name: str
    part: Part
    options: dict[str, Any]
    settings: Settings
    shown: dict[str, Any] = field(default_factory=dict)
    provider: str = ""
    filled: dict[str, tuple[str, bool]] = field(default_factory=dict)
    parts: tuple[PlannedPart, ...] = ()

    @property
    def refuses_records(self) -> bool:
        """Whether it is a sink that says which records it refuses, and the run goes on without them."""
        return self.settings.on_error != "fail" and hasattr(self.part.found, "write_or_refuse")


class Python(Struct, frozen=True):
    """Another Python that a stage's workers run in.

    path: as it is written. executable: the program. lacks: what sources and sinks of ours need there. code: file or
    distribution → what tells its content. behind: what a memo depends on; a text says why that can't be told.
    """

    path: str
    executable: str
    version: tuple[int, ...] = ()
    lacks: tuple[str, ...] = ()
    code: dict[str, str] = field(default_factory=dict)
    behind: Behind | str | None = None


class Elsewhere(Struct, frozen=True):
    """A stage's part in another Python. found: a class with the same options, which stands for it here."""

    part: Part
    found: Any
    provider: str
    form: Form
    python: Python


class PlannedStage(Struct, frozen=True):
    """A stage, resolved. work: what its workers need to know. devices: those of all its workers, in their order.
    python: another Python that they run in. The other fields are those of PlannedPart.
    """

    use: str
    work: Work
    settings: Settings
    part: Part
    shown: dict[str, Any] = field(default_factory=dict)
    provider: str = ""
    filled: dict[str, tuple[str, bool]] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    python: Python | None = None

    @property
    def name(self) -> str:
        return self.work.name

    @property
    def executable(self) -> str:
        """The program of the Python that its workers run in; "" for ours."""
        return "" if self.python is None else self.python.executable

    @property
    def gpus(self) -> int:
        """Devices of each worker."""
        return self.settings.resources.gpu if self.settings.resources else 0

    @property
    def works_ahead(self) -> bool:
        """Whether its workers begin a frame while earlier ones are open."""
        return self.work.works_ahead

    @property
    def places(self) -> int:
        """Records that can be in progress at once."""
        return self.settings.workers * (self.work.concurrency if self.work.form.awaited else 1)


class Plan(Struct, frozen=True):
    """What is to run.

    source: None if the caller gives the records. sinks: none if the caller takes the results.
    files: module name → path of the plugin files that workers must be able to import.
    own: the files that define the chain: its config, plugins, and the modules that they import.
    started_hooks, stopping_hooks: "module:function", called in each worker.
    engine: what runs it. engine_options: what stands under `with` of `run.engine`, checked.
    replay: the source is a file of dead letters. shard: the one of several runs that this is.
    secrets: values to mask in all output. masked: the same, and the values of `${env:…}`.
    notes: what `check` says besides mistakes.
    """

    name: str
    stages: tuple[PlannedStage, ...]
    source: PlannedPart | None = None
    sinks: tuple[PlannedPart, ...] = ()
    dead_letter: Path | None = None
    dropped: Path | None = None
    run: Run = field(default_factory=Run)
    engine: EngineSpec = BUILT_IN["process"]
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
    shard: Shard | None = None

    def __repr__(self) -> str:
        """Without options, which may hold secrets."""
        return f"<Plan {self.name}: {' → '.join(stage.name for stage in self.stages) or 'copy'}>"

    @property
    def sources(self) -> tuple[PlannedPart, ...]:
        """The source; its parts if it is a list; nothing if the caller gives the records."""
        return () if self.source is None else self.source.parts or (self.source,)

    @property
    def letters(self) -> tuple[tuple[str, Path, str], ...]:
        """The files of dead letters and dropped records: the key of a run's position in it, its path, what it holds."""
        both = (("letters", self.dead_letter, "dead letters"), ("dropped", self.dropped, "dropped records"))
        return tuple((key, path, what) for key, path, what in both if path is not None)

    @property
    def branches(self) -> bool:
        """Whether the last worker asks each sink whether it wants a record: there are several, or one has a `when`."""
        return len(self.sinks) > 1 or any(sink.settings.when for sink in self.sinks)

    @property
    def our_packages(self) -> tuple[str, ...]:
        """The packages of the built-in parts that the chain uses."""
        return tuple(sorted({module.partition(".")[0] for module in self.our_modules}))

    @property
    def columnar(self) -> bool:
        """Whether records lie in columns all the way: the source gives them so, and every stage takes them so."""
        found = None if self.source is None else self.source.part.found
        given = getattr(found, "batches", False) is True or (self.stages and hasattr(found, "rows"))
        return bool(given) and all(stage.work.form.arrow for stage in self.stages)

    @property
    def our_modules(self) -> list[str]:
        """The modules of the built-in parts that the chain uses."""
        parts: list[PlannedPart | PlannedStage] = [*self.sources, *self.stages, *self.sinks]
        return sorted({part.part.target.partition(":")[0] for part in parts if part.provider.startswith(f"{PROJECT} ")})
