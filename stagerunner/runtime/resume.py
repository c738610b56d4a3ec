"""Start anew or resume: read the journal of an output, and check that it fits the plan.

lock ─▶ format ─▶ fingerprint ─▶ the sink's own row ─▶ truncate ─▶ seek
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import isfunction, signature
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.config.variables import as_written
from stagerunner.delivery.branches import ALL, Lead
from stagerunner.delivery.ledger import Ledger
from stagerunner.delivery.writers import calling, named
from stagerunner.errors import UsageError
from stagerunner.events import Notice
from stagerunner.guard import guard, head, plain, wrong
from stagerunner.inherited import here
from stagerunner.journal import HIDDEN, Entry, Journal, decode_snapshots, differences, not_a_journal
from stagerunner.parts.code import code_of
from stagerunner.parts.hooks import PROJECT
from stagerunner.plan import Plan, PlannedPart, PlannedStage, why_no_resume
from stagerunner.plan.model import Python
from stagerunner.plan.outputs import file_of, journal_path, used_by
from stagerunner.records import SOURCE
from stagerunner.runtime.opening import Resume

FORMAT = 5
"""Of the journal's row and fingerprint: 2 has what was not processed, 3 has the run's salt, 4 calls the counts
`ledger`, 5 may stand inside a split."""


class Beginning(Struct, frozen=True):
    """How a run begins. row: where it goes on; None to start anew. done: there is nothing left to do.

    hash_seed: of the run that is resumed. salt: random, the same for a run and all its resumes. leads: the sinks that
    are ahead of the row. claims: journals of further outputs, locked so that no other run writes there. resumable:
    `--resume` can go on from what this run commits.
    """

    journal: Journal | None = None
    row: dict[str, Any] | None = None
    hash_seed: str | None = None
    done: bool = False
    salt: str = ""
    leads: dict[int, Lead] = {}
    claims: tuple[Journal, ...] = ()
    resumable: bool = False


Sinks = Sequence[Any]
"""The parent's instances of all sinks."""


def begin(plan: Plan, source: Any, sinks: Sinks, resume: Resume, tell: Callable[[Any], None]) -> Beginning:
    """Lock the journal, read it and decide. source: the parent's instance, or None.

    Raises OutputBusy, and UsageError if `--resume` is not possible.
    """
    why = why_no_resume(plan, journal=resume.journal is not None)
    if resume.wanted and why is not None:
        raise UsageError(f"--resume is not possible, because {why}")
    path, others = _paths(plan, sinks, resume)
    if path is None:
        return Beginning()
    if used_by(plan, path):
        raise UsageError(f"the journal would overwrite {path}, a file of the run's; name another file")
    opened = [Journal(path, power=plan.run.durability == "power")]
    try:
        opened += map(Journal, others)
        decided = _decide(plan, source, sinks, resume, tell, opened[0])
        return replace(decided, claims=tuple(opened[1:]), resumable=why is None)
    except BaseException:
        for journal in opened:
            journal.close()
        raise


def _decide(
    plan: Plan, source: Any, sinks: Sinks, resume: Resume, tell: Callable[[Any], None], journal: Journal
) -> Beginning:
    entry = journal.read()
    if not resume.wanted:
        if entry is not None and entry.state != "done":
            _tell_what_is_left(plan, sinks, entry)
            tell(Notice("an unfinished run into this output is discarded; --resume would have continued it"))
        return Beginning(journal, salt=_salt())
    if entry is None or not _stands(entry, sinks):
        _refuse_existing(sinks)
        tell(Notice("there is nothing to resume from: starting anew"))
        return Beginning(journal, salt=_salt())
    _check_format(entry)
    salt: str = entry.fingerprint["salt"]
    now = fingerprint(plan, source, salt)
    _check_fingerprint(entry, now, resume)
    rows = {number: _readable(row, journal.path) for number, row in _rows(entry, sinks).items()}
    row = rows[max(rows)]
    if entry.state != "done" and row.get("finished"):
        _tell_what_is_left(plan, sinks, entry)
        for sink in sinks:
            with calling(sink, "finish"):
                sink.finish()
        journal.mark("done")
    elif entry.state != "done":
        if entry.fingerprint != now:  # forced: from now on the journal belongs to the changed chain
            journal.begin(now, entry.hash_seed, row)
        return Beginning(journal, row, entry.hash_seed, salt=salt, leads=_leads(rows, sinks))
    tell(Notice("the run is already finished; nothing to do"))
    return Beginning(journal, row, entry.hash_seed, done=True)


def _salt() -> str:
    return os.urandom(16).hex()


def _refuse_existing(sinks: Sinks) -> None:
    """Check sinks that must not overwrite, as the plan does for a fresh run. Raises UsageError."""
    for sink in sinks:
        try:
            getattr(sink, "check_new", lambda: None)()
        except OSError as error:
            raise UsageError(f"there is nothing to resume from, and {error}") from None


def _tell_what_is_left(plan: Plan, sinks: Sinks, entry: Entry) -> None:
    """Tell the sinks where the last run stood: each discards or finishes only an output that matches.

    A run into other sinks may have left the row; then it says nothing of these.
    """
    if entry.fingerprint.get("outputs") != _outputs(plan) or not sinks:
        return
    position = entry.row.get("sink")
    positions = [position] if not plan.branches else position or [None] * len(sinks)
    for sink, known in zip(sinks, positions, strict=True):
        if hasattr(sink, "left"):
            sink.left(known)


def _outputs(plan: Plan) -> list[str] | None:
    """The names of the sinks, where a row has the position of each."""
    return [sink.name for sink in plan.sinks] if plan.branches else None


def _stands(entry: Entry, sinks: Sinks) -> bool:
    """Whether there is anything to resume.

    Without a row the last run had only begun; a transaction sink's own row then belongs to an older run. If the
    finished output was deleted, run again.
    """
    return bool(entry.row) and (entry.state != "done" or all(map(_is_there, sinks)))


def targets(sinks: Sinks) -> Iterator[Path]:
    """The files that the sinks own. Raises RunFailed if a sink gives anything but a path."""
    return (target for sink in sinks if (target := file_of(sink, named(sink))) is not None)


def _is_there(sink: Any) -> bool:
    """Whether the finished output of a sink is still there, as far as it can tell."""
    exists = getattr(sink, "exists", None)
    if exists is None:
        target = file_of(sink, named(sink))
        return target is None or target.exists()
    with guard(f"the sink {named(sink)}", "exists"):
        return bool(exists())


def _readable(row: Any, path: Path) -> dict[str, Any]:
    """The row, checked. Raises UsageError if something is missing or has another type."""
    try:
        Ledger(len(row["order"]), sinks=1).restore(row["ledger"])
        decode_snapshots(row["snapshots"])
        for stage, count in row["failures"].items():
            int(stage) + count
        checked: dict[str, Any] = {
            "position": row["position"],
            "accepted": max(0, row["accepted"]),
            "sink": row["sink"],
            "stopped": row["stopped"],
        }
    except Exception as error:
        raise not_a_journal(path, f"its row has another shape: {head(error)}") from None
    return {**row, **checked}


def _rows(entry: Entry, sinks: Sinks) -> dict[int, dict[str, Any]]:
    """The rows by number of the sink: that of each transaction sink, if this run wrote it; else the journal's.

    The run goes on from the last one.
    """
    rows = {number: _row_of(sink, entry) for number, sink in enumerate(sinks) if sink.keeps == "transaction"}
    return rows or {0: entry.row}


def _row_of(sink: Any, entry: Entry) -> dict[str, Any]:
    with calling(sink, "last_row"):
        row: dict[str, Any] = sink.last_row() or entry.row
    if row.get("run") != entry.fingerprint["salt"]:
        raise UsageError(f"another run has written to {named(sink)} since: run without --resume to start anew")
    return row


def _leads(rows: dict[int, dict[str, Any]], sinks: Sinks) -> dict[int, Lead]:
    """The transaction sinks that are ahead of the last row, by number. They were committed before it, and the run was
    killed in between, or when it had not yet come as far again."""
    base = rows[max(rows)]
    leads = {}
    for number, row in rows.items() if len(sinks) > 1 else ():
        left = row.get("ahead", {}).get(str(number), 0)
        ahead = ALL if row["finished"] or left == ALL else _taken(row) - _taken(base) + left
        if ahead and not base["finished"]:
            leads[number] = Lead(row["sink"][number], ahead, _refused(row, base, str(number)))
    return leads


def _refused(row: dict[str, Any], base: dict[str, Any], number: str) -> dict[int, tuple[str, str]]:
    """Which records a sink has refused that are made again from the base on, and why."""
    begin = base.get("handed", {}).get(number, 0)
    return {int(at): (why[0], why[1]) for at, why in row.get("refused", {}).get(number, {}).items() if int(at) >= begin}


def _taken(row: dict[str, Any]) -> int:
    """The source records of which it has the results."""
    taken: int = next(counts[1] for counts in row["ledger"] if counts[0] == SOURCE)
    return taken


def _paths(plan: Plan, sinks: Sinks, resume: Resume) -> tuple[Path | None, list[Path]]:
    """The path of the journal, None for a run without one; and those of the journals that other outputs would have."""
    if resume.journal is not None:
        return here() / resume.journal, []
    if plan.run.journal not in ("auto", "off"):
        return (plan.run.journal_base or here()) / plan.run.journal, []
    found = () if plan.run.journal == "off" else (place for sink in sinks if (place := _kept_beside(sink)) is not None)
    paths = list(dict.fromkeys(map(journal_path, found)))
    return (paths[0], paths[1:]) if paths else (None, [])


def _kept_beside(sink: Any) -> Path | None:
    """The file that a sink owns, or what stands for it where the output is no file."""
    if (target := file_of(sink, named(sink))) is not None or not hasattr(sink, "beside"):
        return target
    with guard(f"the sink {named(sink)}", "beside"):
        found = sink.beside()
    if not isinstance(found, Path):
        raise wrong(f"the sink {named(sink)}", "beside", found, "a Path")
    return here() / found


def fingerprint(plan: Plan, source: Any, salt: str) -> dict[str, Any]:
    """What must be unchanged to resume: the source's identity, each part with its options, the values filled in, `env`,
    the limits that change results, and the plugins' code.

    salt: the run's own. Secrets are stored as salted digests, which can't be looked up.
    """
    hidden = _Hidden(salt, plan.masked)
    return {
        "format": FORMAT,
        "salt": salt,
        "source": {} if source is None else {**_source(plan, hidden), "identity": hidden.inside(_identity(source))},
        "stages": {stage.name: _of(stage, hidden) | _own_identity(stage, hidden) for stage in plan.stages},
        "order": [stage.name for stage in plan.stages],
        "sink": _of(plan.sinks[0], hidden) if plan.sinks and not plan.branches else {},
        **({"sinks": {sink.name: _of(sink, hidden) for sink in plan.sinks}} if plan.branches else {}),
        **({"outputs": _outputs(plan)} if plan.branches else {}),
        "dead_letter": "" if plan.dead_letter is None else hidden.text(os.path.realpath(plan.dead_letter)),
        **({} if plan.dropped is None else {"dropped": hidden.text(os.path.realpath(plan.dropped))}),
        "limit": plan.limit,
        **({} if plan.shard is None else {"shard": str(plan.shard)}),
        "run": {"max_record": plan.run.max_record, "max_growth": plan.run.max_growth},
    }


def _source(plan: Plan, hidden: _Hidden) -> dict[str, Any]:
    if plan.source is None or not plan.source.parts:
        return _of(plan.source, hidden)
    parts = {part.name: _of(part, hidden) for part in plan.sources}
    return {"parts": parts, "order": list(parts)}


def _identity(source: Any) -> Any:
    if not hasattr(source, "identity"):  # a resumable stream needs none
        return None
    with guard("the source", "identity"):
        identity = source.identity()
    return plain(identity, "the source", "identity")


def _own_identity(stage: PlannedStage, hidden: _Hidden) -> dict[str, Any]:
    """What the class of a stage says that results depend on besides its options, such as the content of a table."""
    method = getattr(stage.part.found, "identity", None)
    if not isinstance(stage.part.found, type) or not isfunction(method) or len(signature(method).parameters) > 1:
        return {}
    with guard(f"the stage '{stage.name}'", "identity"):
        identity = stage.part.found(**stage.work.options).identity()
    return {"identity": hidden.inside(plain(identity, f"the stage '{stage.name}'", "identity"))}


class _Hidden:
    """Replaces secrets by salted digests. values: the secrets."""

    def __init__(self, salt: str, values: Iterable[str]) -> None:
        self._salt = salt
        self._values = [value for value in values if value]

    def text(self, text: str, *, secret: bool = False) -> str:
        if not secret and not any(value in text for value in self._values):
            return text
        import hashlib  # it loads all of OpenSSL, and most chains have no secrets

        held = text.encode("utf-8", "surrogatepass")
        return HIDDEN + hashlib.blake2b(held, key=self._salt.encode(), digest_size=16).hexdigest()

    def inside(self, value: Any) -> Any:
        """Plain data, each text in it replaced by what `text` gives."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.inside(item) for key, item in value.items()}
        return [self.inside(item) for item in value] if isinstance(value, list) else value


def _of(part: PlannedPart | PlannedStage | None, hidden: _Hidden) -> dict[str, Any]:
    if part is None:
        return {}
    retry = part.settings.retry
    return {
        "use": part.use,
        "with": part.shown,
        "filled": {path: hidden.text(text, secret=secret) for path, (text, secret) in part.filled.items()},
        "env": {name: hidden.text(as_written(text)) for name, text in part.settings.env},
        "on_error": part.settings.on_error,
        "retry": [retry.attempts, retry.delay, retry.factor, retry.max],
        "code": _code(part),
        **(_python(part.python) if isinstance(part, PlannedStage) and part.python is not None else {}),
        **({"when": hidden.text(part.settings.when)} if part.settings.when else {}),
    }


def _python(python: Python) -> dict[str, Any]:
    return {"python": [python.path, ".".join(map(str, python.version))]}


def _code(part: PlannedPart | PlannedStage) -> dict[str, str]:
    if isinstance(part, PlannedStage) and part.python is not None:
        return part.python.code
    if part.provider.startswith(f"{PROJECT} "):
        return {PROJECT: part.provider.removeprefix(f"{PROJECT} ")}
    return code_of(part.part.target)


def _check_format(entry: Entry) -> None:
    if entry.fingerprint.get("format") != FORMAT:
        raise UsageError(
            "the journal of the run to be resumed was written by another version of stagerunner\n"
            "resume with that version, or run without --resume to start anew"
        )


def _check_fingerprint(entry: Entry, now: dict[str, Any], resume: Resume) -> None:
    changed = differences(entry.fingerprint, now)
    moved = any(entry.fingerprint.get(key) != now.get(key) for key in ("order", "outputs"))
    if changed and (moved or not resume.forced):
        listed = "\n  ".join(changed)
        go_on = (
            "; --force-resume can't go on either: state and counts belong to the stages as they were"
            if moved
            else ", or with --force-resume to go on all the same"
        )
        raise UsageError(
            f"the run to be resumed has changed since:\n  {listed}\nrun without --resume to start anew{go_on}"
        )
