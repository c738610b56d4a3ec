"""The config: what the file says, checked as far as is possible without the plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from stagerunner.config.nodes import Mapping, Scalar
from stagerunner.errors import Mark, Mistake

OnError = Literal["fail", "skip", "dead_letter"]


class Retry(Struct, frozen=True):
    """`attempts` counts the first try; the n-th pause is min(delay * factor**(n-1), max), in seconds."""

    attempts: int = 1
    delay: float = 0.2
    factor: float = 2.0
    max: float = 30.0


class Resources(Struct, frozen=True):
    """What each worker of a stage needs: cores, devices, bytes. gpu_mark, path: where `gpu` stands."""

    cpu: float | None = None
    gpu: int = 0
    memory: int | None = None
    gpu_mark: Mark | None = None
    path: str = ""


class Memo(Struct, frozen=True):
    """Where results are kept (None: beside the output), for how many seconds (None: forever), in how many bytes.

    off: they aren't kept, although the stage has a memo by default.
    """

    path: Scalar | None = None
    ttl: float | None = None
    size: int | None = None
    off: bool = False


class BatchSize(Struct, frozen=True):
    """`batch`: records in a list, and seconds that a record waits for others to fill it."""

    size: int
    wait: float = 1.0


class Settings(Struct, frozen=True):
    """A part's settings, in records, seconds and bytes. None: not written, and there is no default.

    env: a value may hold variables.WORKER, which stands for the worker's number.
    when: the condition under which a record goes through the stage; "" if all do.
    budget: names of counters, and how far each may go. python: the folder of the environment its workers run in.
    """

    workers: int = 1
    batch: BatchSize | None = None
    concurrency: int = 16
    when: str = ""
    retry: Retry = field(default_factory=Retry)
    timeout: float | None = None
    rate: float | None = None
    memo: Memo | None = None
    budget: tuple[tuple[str, float], ...] = ()
    start_timeout: float = 60.0
    on_error: OnError = "fail"
    max_errors: int | None = None
    env: tuple[tuple[str, str], ...] = ()
    max_memory: int | None = None
    python: Scalar | None = None
    resources: Resources | None = None


class PartConfig(Struct, frozen=True):
    """A source, stage or sink as the file names it.

    use: the name, path or address written. name: unique among stages; the default, if none is written.
    options: the mapping under `with`. given: the settings that are written, with their marks.
    path: its place in the config ("stages[1]"). bare: it is a string, not a mapping.
    """

    use: Scalar
    name: str
    options: Mapping | None
    settings: Settings
    given: dict[str, Mark]
    mark: Mark
    path: str
    bare: bool = False

    @property
    def listed(self) -> bool:
        """Whether it stands in a list, as a stage does, and has a name that no other part has."""
        return self.path.endswith("]")


class Run(Struct, frozen=True):
    """The `run` mapping: frame in records (None: auto), sizes in bytes, times in seconds."""

    engine: str = "process"
    engine_options: Mapping | None = None
    engine_mark: Mark | None = None
    frame: int | None = None
    window: int = 64 * 2**20
    linger: float = 0.05
    grace: float = 10.0
    checkpoint: float = 1.0
    journal: str = "auto"
    journal_base: Path | None = None
    durability: Literal["process", "power"] = "process"
    fuse: Literal["off", "auto"] = "off"
    max_record: int = 16 * 2**20
    max_growth: int = 64 * 2**20


class Config(Struct, frozen=True):
    """A whole config.

    base: the folder that relative paths start from. root: the nodes, variables filled in.
    sources: the one of `source:`, or those of its list. sinks: the one of `sink:`, or those of `sinks:`. None of them
    if nothing is written.
    mistakes: everything found so far; the plan adds its own and raises them all at once.
    secrets: values that must not be shown anywhere. masked: the same, and those of `${env:…}`.
    bases: for nodes from the command line, their Mark.file → the folder that their paths start from.
    """

    file: str
    base: Path
    root: Mapping
    name: str
    description: str = ""
    plugins: tuple[Scalar, ...] = ()
    sources: tuple[PartConfig, ...] = ()
    stages: tuple[PartConfig, ...] = ()
    sinks: tuple[PartConfig, ...] = ()
    dead_letter: Scalar | None = None
    dropped: Scalar | None = None
    run: Run = field(default_factory=Run)
    secrets: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    bases: dict[str, Path] = field(default_factory=dict)

    @property
    def source(self) -> PartConfig | None:
        """The source, or the first part of it."""
        return next(iter(self.sources), None)

    def __repr__(self) -> str:
        """Without values, which may be secret."""
        return f"<Config {self.name}>"

    def base_of(self, mark: Mark) -> Path:
        """The folder that a path written at `mark` starts from."""
        return self.bases.get(mark.file, self.base)
