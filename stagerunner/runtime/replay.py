"""`replay`: dead letters as the source of their chain, from the stage that failed.

    failed.jsonl ──▶ failed.jsonl.replaying ──▶ chain ──▶ output
                                                  └─────▶ failed.jsonl: what fails again, or can't come back

The file is renamed for the replay and removed when it is done: no letter is replayed twice, and a replay that was
killed can be resumed.
"""

from __future__ import annotations

from inspect import signature
from pathlib import Path

from msgspec.structs import replace

from stagerunner.catalog import Catalog
from stagerunner.config.model import Config, Settings
from stagerunner.delivery.deadletters import bring_back, outputs_in, take_away
from stagerunner.errors import StagerunnerError, UsageError
from stagerunner.evaluate.dead_letters.letters import begins_letter, read_letter
from stagerunner.evaluate.dead_letters.returning import Letters
from stagerunner.evaluate.wording import nearest
from stagerunner.guard import guard
from stagerunner.journal import Journal
from stagerunner.parts.base import Part, target_of
from stagerunner.plan import Plan, PlannedPart, make_plan, why_no_resume
from stagerunner.plan.outputs import journal_path
from stagerunner.runtime.making import make_part
from stagerunner.runtime.resume import targets
from stagerunner.runtime.summary import sink_names

UNDER_WAY = ".replaying"
"""Suffix of a file of dead letters while it is replayed."""
AGAIN = " (replay)"


def replaying_path(letters: Path) -> Path:
    """Where the letters are during the replay."""
    return letters.with_name(letters.name + UNDER_WAY)


def replay_plan(
    config: Config, catalog: Catalog, letters: Path, *, start: str | None, append: bool, engine: str | None
) -> Plan:
    """The chain with the letters as its source. Raises ConfigError, and UsageError if it can't be replayed."""
    plan = make_plan(config, catalog, records_given=True, engine=engine)
    if plan.dropped is not None and plan.dropped.exists() and letters.exists() and letters.samefile(plan.dropped):
        raise UsageError(f"{letters} holds dropped records: nothing has failed there that could be tried again")
    names, sinks = [stage.name for stage in plan.stages], sink_names(plan)
    if start is not None and start not in (*names, *sinks):
        near = nearest(start, names)
        hint = f"did you mean {near!r}?" if near else f"there is {', '.join([*names, *sinks])}"
        raise UsageError(f"--from: no stage of this chain is named {start!r}; {hint}")
    branches = sinks if plan.branches else ()
    options = {"path": str(replaying_path(letters)), "stages": names, "start": start, "sinks": branches}
    part = Part("source", "letters", target_of(Letters), "Dead letters that come back", found=Letters)
    source = PlannedPart("letters", "source", part, options, Settings(on_error="dead_letter"), {"from": start})
    stages = tuple(replace(stage, work=stage.work._replace(stages=len(names) + len(branches))) for stage in plan.stages)
    return replace(
        plan,
        source=source,
        stages=stages,
        sinks=tuple(_written(sink, append=append) for sink in plan.sinks),
        dead_letter=letters,
        run=replace(plan.run, journal="auto"),
        replay=True,
    )


def _written(sink: PlannedPart, *, append: bool) -> PlannedPart:
    """The sink of a replay: it writes to a new file or appends, and never overwrites."""
    if getattr(make_part(sink), "stdout", False):
        return sink
    if "mode" not in signature(sink.part.found).parameters:
        if append:
            raise UsageError(f"--append is not possible: the sink {sink.part.name} has no `mode` to append with")
        return sink
    mode = "append" if append else "new"
    return replace(sink, options={**sink.options, "mode": mode}, shown={**sink.shown, "mode": mode})


def can_append(plan: Plan) -> bool:
    """Whether `replay --append` can add to what the sinks of this plan have written."""
    try:
        for sink in plan.sinks:
            with guard(sink.name, "check"):
                part = make_part(_written(sink, append=True))
                if hasattr(part, "check"):
                    part.check()
    except StagerunnerError:
        return False
    return True


def journal_of(plan: Plan) -> str | None:
    """The journal of a replay. It stands beside the journal of the run, which belongs to the same output."""
    target = next(targets([make_part(sink) for sink in plan.sinks]), None)
    return None if target is None else str(journal_path(target.with_name(f"{target.name}.replay")))


def finished(letters: Path, journal: str | None) -> bool:
    """Whether the replay with this journal is done: then no letters are left to replay."""
    return journal is not None and not replaying_path(letters).exists() and _state(Path(journal)) == "done"


def _state(path: Path) -> str:
    """The state of the run in this journal; "" without a journal."""
    if not path.is_file():
        return ""
    journal = Journal(path)
    try:
        entry = journal.read()
    finally:
        journal.close()
    return "" if entry is None else entry.state


def check_places(plan: Plan, letters: Path, *, append: bool, resumed: bool) -> None:
    """Raises UsageError for a file without dead letters, for an output that exists or holds the letters, and for a
    replay that can't be resumed."""
    away = replaying_path(letters)
    if resumed and (why := why_no_resume(plan)) is not None:
        raise UsageError(f"--resume is not possible, because {why}; without it the replay starts over")
    there = away if away.exists() else letters
    if not there.is_file():
        raise UsageError(f"there is no file {letters}")
    with there.open("rb") as file:
        first = file.readline()
    if first and not begins_letter(first) and read_letter(first) is None:
        raise UsageError(f"{there} holds something other than dead letters")
    for target in targets([make_part(sink) for sink in plan.sinks]):
        _check_target(target, letters, append=append, resumed=resumed)


def _check_target(target: Path, letters: Path, *, append: bool, resumed: bool) -> None:
    away = replaying_path(letters)
    if target.resolve() in (letters.resolve(), away.resolve()):
        raise UsageError(f"{target} holds the dead letters; write the results to another file")
    if target.exists() and not append and not (resumed and away.exists()):
        raise UsageError(f"{target} already exists; name another file, or use --append to add to it")
    if append and away.exists() and not resumed:
        raise UsageError(f"an unfinished replay has written to {target}: go on with --resume")


def take_letters(letters: Path) -> bool:
    """Rename the file of letters for the replay, unless an unfinished replay has; whether there are any letters.

    Raises UsageError if a run with letters in it may still be resumed: it would write its last letters again.
    """
    if replaying_path(letters).exists():
        return True
    if not letters.exists() or not letters.stat().st_size:
        return False
    for output in outputs_in(letters):
        _refuse_unfinished(letters, output)
    take_away(letters, replaying_path(letters))
    return True


def _refuse_unfinished(letters: Path, output: str) -> None:
    target = letters.parent / output.removesuffix(AGAIN)
    name = f"{target.name}.replay" if output.endswith(AGAIN) else target.name
    path = journal_path(target.with_name(name))
    if _state(path) not in ("", "done"):
        raise UsageError(
            f"{letters} has dead letters of a run into {target} that has not come to its end; "
            "finish it with --resume, or run it anew, before its letters are replayed"
        )


def put_letters_back(letters: Path) -> bool:
    """Undo `take_letters`: the replay was refused before it began. Whether that worked."""
    return bring_back(replaying_path(letters), letters)


def remove_letters(letters: Path) -> None:
    """Remove the letters: the replay is done."""
    replaying_path(letters).unlink(missing_ok=True)
