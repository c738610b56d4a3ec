"""The events of a run. Plugins get them through the `stagerunner_…` event hooks, and the views get them too."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

FATES = ("out", "filtered", "skipped", "dead", "not_processed")
"""The possible fates of a record. not_processed: only in a run that ended early."""


class RunStarted(Struct, frozen=True):
    """The plan is made and the processes are about to start. `stages` are names in order."""

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
    """A worker died. `how` is like "SIGKILL" or "exit status 3"."""

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
    """The ledger and clocks of one stage. Clocks are seconds, summed over its workers.

    group: stages with the same number share workers; 0 for a stage that never started. The first stage of a group has
    the clock of waiting, the last one those of encoding, decoding and sending. cpu: CPU time of the workers, in the
    first stage of a group; 0 if it isn't known. The other clocks also run while a worker sleeps. paused: how long all
    its workers paused because it raised `RetryLater`; not a sum.
    consumes: it builds its results from several records (as a sum does), so a record without a result was consumed.
    hits: records whose results came from its memo. recalled: how much of its counters these have counted again.
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
    cpu: float = 0.0
    hits: int = 0
    paused: float = 0.0
    recalled: dict[str, int] = field(default_factory=dict)


class SinkTotals(Struct, frozen=True):
    """The line of one sink where a chain branches: taken = written + passed + skipped + dead + not processed.

    passed: records that its `when` passed over. output: where it writes.
    """

    name: str
    taken: int = 0
    written: int = 0
    passed: int = 0
    skipped: int = 0
    dead: int = 0
    not_processed: int = 0
    output: str = ""


class Progress(Struct, frozen=True):
    """How far the run is.

    bytes_total: None if the source doesn't know its size. limit: source records to read at most.
    earlier, bytes_earlier: what was taken before a resume; seconds count from there. starting: see Summary.
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
    sinks: tuple[SinkTotals, ...] = ()
    starting: float = 0.0

    @property
    def start(self) -> Progress:
        """The progress when this run was started or resumed."""
        taken, size = self.earlier, self.bytes_earlier
        return Progress(0.0, taken, 0, 0, size, self.bytes_total, (), taken, size, self.limit)

    @property
    def share(self) -> float | None:
        """The share that is done, from 0 to 1, by bytes or by the limit, whichever ends first; None if unknown."""
        shares = [self.bytes_done / self.bytes_total] if self.bytes_total else []
        shares += [self.taken / self.limit] if self.limit else []
        return min(1.0, max(shares)) if shares else None


class Output(Struct, frozen=True):
    """A line that a plugin printed or logged in a worker."""

    stage: str
    worker: int
    text: str


class Notice(Struct, frozen=True):
    """A sentence of the runner for the user to read now ("… is discarded", "finishing 1,204 records …").

    warning: something that was asked for won't be had, so it is shown with `--progress none` too.
    """

    text: str
    warning: bool = False


class Fusion(Struct, frozen=True):
    """The decision about neighbours that could share workers.

    parts: the names of stages that share workers, part by part; one part: all share. work: each stage's seconds per
    record, part by part. hop: seconds per record between two workers. All are measured before the decision; zeros if
    nothing was measured.
    """

    parts: tuple[tuple[str, ...], ...]
    work: tuple[tuple[float, ...], ...]
    hop: float


class Summary(Struct, frozen=True):
    """The result of a run. ok: exit code 0.

    records: in, created, out, filtered, skipped, dead, not_processed over the whole run; the ledger, with `stages`.
    fusions: the decisions in order. output: where the results are, once they are complete. dead_letter, dropped: the
    files of dead letters and of dropped records, if there are any. messages: what the user should know, one sentence
    each. earlier: those of the records in that were taken before a resume; seconds count from there.
    sinks: if the chain branches, the sinks; then `records` ends at their door, and each sink has a line of its own.
    starting: how many of the seconds no worker could begin a record, since some had not been set up yet. reading: after
    how many of them the last record of the source was sent; 0 if it wasn't.
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
    dropped: str = ""
    messages: tuple[str, ...] = ()
    fusions: tuple[Fusion, ...] = ()
    earlier: int = 0
    sinks: tuple[SinkTotals, ...] = ()
    starting: float = 0.0
    reading: float = 0.0

    def __repr__(self) -> str:
        """Short, because a notebook shows it; `as_json` has everything."""
        counts = (f"{number} {fate.replace('_', ' ')}" for fate, number in self.records.items() if number)
        return f"<Summary {self.name}: exit code {self.exit_code} after {self.seconds:.1f} s · {' · '.join(counts)}>"

    @property
    def letters(self) -> int:
        """All dead letters, those of the sinks included."""
        return self.records["dead"] + sum(sink.dead for sink in self.sinks)

    @property
    def balanced(self) -> bool:
        r = self.records
        return r["in"] + r["created"] == sum(r[fate] for fate in FATES)

    def as_json(self) -> dict[str, Any]:
        """The JSON of `--summary`, format 1."""
        return {
            "format": 1,
            "ok": self.ok,
            "exit": self.exit_code,
            "seconds": round(self.seconds, 6),
            **({"starting": round(self.starting, 6)} if self.starting else {}),
            "records": dict(self.records),
            "restarts": self.restarts,
            **({"dropped": self.dropped} if self.dropped else {}),
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
                    "seconds": {
                        "work": round(stage.work, 6),
                        "codec": round(stage.codec, 6),
                        "wait": round(stage.wait, 6),
                        "block": round(stage.block, 6),
                    },
                    **({"hits": stage.hits} if stage.hits else {}),
                    **({"group": stage.group} if stage.group else {}),
                    **({"counters": _rounded(stage.counters)} if stage.counters else {}),
                    **({"recalled": _rounded(stage.recalled)} if stage.recalled else {}),
                }
                for stage in self.stages
            ],
            **({"sinks": [_sink(sink) for sink in self.sinks]} if self.sinks else {}),
        }


def _sink(sink: SinkTotals) -> dict[str, Any]:
    return {
        "name": sink.name,
        "in": sink.taken,
        "written": sink.written,
        "passed": sink.passed,
        "skipped": sink.skipped,
        "dead": sink.dead,
        "not_processed": sink.not_processed,
        "output": sink.output,
    }


def _rounded(counters: dict[str, int]) -> dict[str, float]:
    """Counters without the last digits of sums of fractions, which depend on how the records were divided."""
    return {name: round(number, 9) if isinstance(number, float) else number for name, number in counters.items()}
