"""What observers are told: plugins through the `stagerunner_…` event hooks, and the views."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

FATES = ("out", "filtered", "skipped", "dead", "not_processed")
"""What may become of a record that came in or was created. not_processed: only in a run that ended early."""


class RunStarted(Struct, frozen=True):
    """The plan is whole and the processes are about to start. `stages` are names in order."""

    name: str
    stages: tuple[str, ...]
    engine: str


class WorkerReady(Struct, frozen=True):
    """A worker has imported and set up its stage."""

    stage: str
    worker: int
    pid: int
    epoch: int = 1


class WorkerFailed(Struct, frozen=True):
    """A worker ended before its time. `how` reads like "SIGKILL" or "exit status 3"."""

    stage: str
    worker: int
    pid: int
    how: str
    epoch: int = 1


class RecordFailed(Struct, frozen=True):
    """A record could not be processed. `record` is its text, cut to a readable length."""

    stage: str
    type: str
    message: str
    policy: str
    where: str
    record: str = ""


class Checkpoint(Struct, frozen=True):
    """Everything up to here is in the sink and in the journal. `records` were delivered so far."""

    records: int
    position: Any = None


class StageTotals(Struct, frozen=True):
    """One stage's books and clocks. Clocks are seconds summed over its workers.

    group: stages with the same number share their workers; 0 for a stage that was never started. Of such a group the
    first stage has the clocks of what it waits for, the last one those of encoding, decoding and handing on.
    consumes: what it gives is made of what it keeps or takes apart: a record of which nothing came was consumed.
    """

    name: str
    workers: int = 1
    taken: int = 0
    created: int = 0
    out: int = 0
    filtered: int = 0
    skipped: int = 0
    dead: int = 0
    not_processed: int = 0
    work: float = 0.0
    codec: float = 0.0
    wait: float = 0.0
    block: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    group: int = 0
    consumes: bool = False


class Progress(Struct, frozen=True):
    """How far the run is. `bytes_total` is None where the source doesn't know its size; `limit` are the source records
    that are to be read at most. earlier, bytes_earlier: what a resumed run had taken before; seconds count from there.
    """

    seconds: float
    taken: int
    out: int
    failed: int
    bytes_done: int
    bytes_total: int | None
    stages: tuple[StageTotals, ...]
    earlier: int = 0
    bytes_earlier: int = 0
    limit: int | None = None

    @property
    def start(self) -> Progress:
        """What it was when this life of the run began."""
        taken, size = self.earlier, self.bytes_earlier
        return Progress(0.0, taken, 0, 0, size, self.bytes_total, (), taken, size, self.limit)

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1, by bytes or by the limit, whichever ends it first; None if nobody knows."""
        shares = [self.bytes_done / self.bytes_total] if self.bytes_total else []
        shares += [self.taken / self.limit] if self.limit else []
        return min(1.0, max(shares)) if shares else None


class Output(Struct, frozen=True):
    """A line a plugin printed or logged, in a worker."""

    stage: str
    worker: int
    text: str


class Notice(Struct, frozen=True):
    """A sentence of the runner's own that a person should read now ("… is discarded", "finishing 1,204 records …")."""

    text: str


class Fusion(Struct, frozen=True):
    """Neighbours that could share their workers, and what became of it.

    parts: the stages' names, by the workers they have in the end; one part: they share them all. work: seconds that
    each stage worked on a record, part by part. hop: seconds a record would take, or takes, between two workers.
    Measured when it was decided; all zeros where nothing was.
    """

    parts: tuple[tuple[str, ...], ...]
    work: tuple[tuple[float, ...], ...]
    hop: float


class Summary(Struct, frozen=True):
    """What a run came to. `records` and `stages` hold the ledger of DESIGN's P8; `ok` means exit 0.

    records: in, created, out, filtered, skipped, dead, not_processed over the whole run. fusions: as they were decided.
    output: where the results are, once they are whole. dead_letter: the file of the dead letters, if there are any.
    messages: what a person should know, one sentence each. earlier: of the records in, those that were taken before
    the run was resumed; seconds count from there.
    """

    name: str
    ok: bool
    exit_code: int
    seconds: float
    records: dict[str, int]
    stages: tuple[StageTotals, ...]
    restarts: int = 0
    limit: str = ""
    output: str = ""
    dead_letter: str = ""
    messages: tuple[str, ...] = ()
    fusions: tuple[Fusion, ...] = ()
    earlier: int = 0

    @property
    def balanced(self) -> bool:
        r = self.records
        return r["in"] + r["created"] == sum(r[fate] for fate in FATES)

    def as_json(self) -> dict[str, Any]:
        """The form of `--summary`: format 1."""
        return {
            "format": 1,
            "ok": self.ok,
            "exit": self.exit_code,
            "seconds": round(self.seconds, 6),
            "records": dict(self.records),
            "restarts": self.restarts,
            "stages": [
                {
                    "name": stage.name,
                    "in": stage.taken,
                    "created": stage.created,
                    "out": stage.out,
                    "filtered": stage.filtered,
                    "skipped": stage.skipped,
                    "dead": stage.dead,
                    "not_processed": stage.not_processed,
                    "workers": stage.workers,
                    **({"group": stage.group} if stage.group else {}),
                    **({"counters": stage.counters} if stage.counters else {}),
                }
                for stage in self.stages
            ],
        }
