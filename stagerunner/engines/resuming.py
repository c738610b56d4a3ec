"""Beginning anew or going on: the journal of an output, and whether it fits what is to be run.

lock ─▶ fingerprint ─▶ what the sink itself says ─▶ truncate ─▶ seek
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from msgspec import Struct

from stagerunner.delivery.books import Books
from stagerunner.delivery.takers import calling, named
from stagerunner.engines.carrying import carried
from stagerunner.engines.opening import Resume
from stagerunner.errors import UsageError
from stagerunner.events import Notice
from stagerunner.guard import guard, head, plain, wrong
from stagerunner.inherited import here
from stagerunner.journal import Entry, Journal, differences, journal_path, no_journal, thawed
from stagerunner.plan import Plan, PlannedPart, PlannedStage, why_no_resume

FORMAT = 2
"""Of what the journal holds: 2 since the ledger says what was not processed."""


class Beginning(Struct, frozen=True):
    """How a run begins. row: where the last one stood, or None to start anew. done: there is nothing left to do.

    hash_seed: the one of the run that it goes on with.
    """

    journal: Journal | None = None
    row: dict[str, Any] | None = None
    hash_seed: str | None = None
    done: bool = False


def begin(plan: Plan, source: Any, sink: Any, resume: Resume, tell: Callable[[Any], None]) -> Beginning:
    """Take the lock, read the journal and decide. `source`, `sink`: the parent's instances, None where there is none.

    Raises OutputBusy, or UsageError when `--resume` is asked for and can't be had.
    """
    why = why_no_resume(plan)
    if resume.wanted and why is not None:
        raise UsageError(f"--resume can't be had, since {why}")
    path = _path(plan, sink, resume)
    if path is None:
        return Beginning()
    journal = Journal(path, power=plan.run.durability == "power")
    try:
        return _decide(plan, source, sink, resume, tell, journal)
    except BaseException:
        journal.close()
        raise


def _decide(
    plan: Plan, source: Any, sink: Any, resume: Resume, tell: Callable[[Any], None], journal: Journal
) -> Beginning:
    entry = journal.read()
    if not resume.wanted:
        if entry is not None and entry.state != "done":
            _tell_what_is_left(sink, entry)
            tell(Notice("an unfinished run into this output was set aside; --resume would have gone on with it"))
        return Beginning(journal)
    if entry is None or not _stands(entry, sink):
        tell(Notice("there is nothing to resume from: starting anew"))
        return Beginning(journal)
    now = fingerprint(plan, source)
    _check_fingerprint(entry, now, resume)
    row = carried(_readable(_row(entry, sink), journal.path), now["order"])
    if entry.state != "done" and row.get("finished"):
        _tell_what_is_left(sink, entry)
        with calling(sink, "finish"):
            sink.finish()
        journal.mark("done")
    elif entry.state != "done":
        if entry.fingerprint != now:  # by force: from here on this is the chain that is gone on with
            journal.begin(now, entry.hash_seed, row)
        return Beginning(journal, row, entry.hash_seed)
    tell(Notice("the run was finished already; nothing to do"))
    return Beginning(journal, row, entry.hash_seed, done=True)


def _tell_what_is_left(sink: Any, entry: Entry) -> None:
    """Where the run before was: the sink knows its unfinished output by that, and discards or finishes no other."""
    left = getattr(sink, "left", None)
    if left is not None:
        left(entry.row.get("sink"))


def _stands(entry: Entry, sink: Any) -> bool:
    """Whether there is anything to go on from.

    Without a row a run had only just begun (a sink's own row is an older run's then); and a finished run whose output
    somebody has taken away is no reason not to run.
    """
    target = _target(sink)
    return bool(entry.row) and (entry.state != "done" or target is None or target.exists())


def _target(sink: Any) -> Path | None:
    """The file that a sink owns. Raises RunFailed where what it says is no path."""
    with guard(f"the sink {named(sink)}", "target"):
        found = sink.target() if hasattr(sink, "target") else None
    if not isinstance(found, Path | None):
        raise wrong(f"the sink {named(sink)}", "target", found, "a Path")
    return found


def _readable(row: Any, path: Path) -> dict[str, Any]:
    """The row, if it says all that a run needs to go on. Raises UsageError."""
    try:
        Books(len(row["order"]), sink=True).restore(row["books"])
        thawed(row["snapshots"])
        for stage, count in row["failures"].items():
            int(stage) + count
        checked: dict[str, Any] = {"position": row["position"], "sink": row["sink"], "stopped": row["stopped"]}
    except Exception as error:
        raise no_journal(path, f"its row has another shape: {head(error)}") from None
    return {**row, **checked}


def _row(entry: Entry, sink: Any) -> dict[str, Any]:
    """A transaction sink is the authority for its row; elsewhere the journal is."""
    if sink.keeps == "transaction":
        with guard(f"the sink {named(sink)}", "last_row"):
            return sink.last_row() or entry.row
    return entry.row


def _path(plan: Plan, sink: Any, resume: Resume) -> Path | None:
    """Where the journal stands; None when there is nothing to keep one for."""
    if resume.journal is not None:
        return here() / resume.journal
    if plan.run.journal not in ("auto", "off"):
        return (plan.run.journal_base or here()) / plan.run.journal
    found = None if sink is None or plan.run.journal == "off" or getattr(sink, "stdout", False) else _target(sink)
    return None if found is None else journal_path(found)


def fingerprint(plan: Plan, source: Any) -> dict[str, Any]:
    """What must be unchanged to go on: the source's identity, every part and its options, and the plugins' code."""
    return {
        "format": FORMAT,
        "source": {**_of(plan.source), "identity": _identity(source)} if source is not None else {},
        "stages": {stage.name: _of(stage) for stage in plan.stages},
        "order": [stage.name for stage in plan.stages],
        "sink": _of(plan.sink),
        "limit": plan.limit,
    }


def _identity(source: Any) -> Any:
    with guard("the source", "identity"):
        identity = source.identity()
    return plain(identity, "the source", "identity")


def _of(part: PlannedPart | PlannedStage | None) -> dict[str, Any]:
    if part is None:
        return {}
    retry = part.settings.retry
    return {
        "use": part.use,
        "with": part.shown,
        "on_error": part.settings.on_error,
        "retry": [retry.attempts, retry.delay, retry.factor, retry.max],
        "code": _code(part.part.target),
    }


def _code(target: str) -> str:
    """The checksum and length of the file the part comes from."""
    # Nobody forges it, and hashlib would load all of OpenSSL: 4 ms of every run that keeps a journal.
    file = getattr(sys.modules.get(target.partition(":")[0]), "__file__", None)
    if file is None:
        return ""
    code = Path(file).read_bytes()
    return f"{crc32(code):08x}-{len(code)}"


def _check_fingerprint(entry: Entry, now: dict[str, Any], resume: Resume) -> None:
    if entry.fingerprint.get("format") != FORMAT:
        raise UsageError(
            "the journal of what is to be resumed was kept by another version of stagerunner\n"
            "resume with that version, or run without --resume to start anew"
        )
    changed = differences(entry.fingerprint, now)
    if changed and not resume.forced:
        listed = "\n  ".join(changed)
        raise UsageError(
            f"what is to be resumed has changed since:\n  {listed}\n"
            "run without --resume to start anew, or with --force-resume to go on all the same"
        )
