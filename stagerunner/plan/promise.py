"""What holds after a crash: one sentence, which follows from source, sink and state alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from stagerunner.evaluate.wording import OUR_PACKAGES
from stagerunner.guard import guard, shown
from stagerunner.parts.held import is_held
from stagerunner.parts.source import gives_marks, is_stream
from stagerunner.plan.model import Plan, PlannedPart
from stagerunner.plan.undeclared_state import Change, undeclared_change

SourceKind = Literal["splits", "stdin", "stream", "marks", "records"]
SinkKind = Literal["truncate", "transaction", "nothing"]

_NO_RESUME = {
    "stdin": "standard input can't be read again",
    "stream": "a stream can't be read again",
    "records": "the records given can't be read again",
    "nothing": "what was written to this sink can't be taken back",
    "caller": "what the caller took can't be taken back",
}


def promise(plan: Plan) -> str:
    """One sentence: what holds after the death of a worker, and what after the parent's."""
    if found := next(undeclared_state(plan), None):
        return f"not exactly once: '{found[0]}' keeps something between records and declares no state"
    return f"{_after_a_worker(source_kind(plan.source), without_snapshot(plan))}; {_after_the_parent(plan)}"


def why_no_resume(plan: Plan, *, journal: bool = False) -> str | None:
    """Why a run of this plan can't be resumed; None if it can. journal: the call names a journal."""
    why = _NO_RESUME.get(source_kind(plan.source)) or _lost_by_a_sink(plan)
    if plan.source is not None and plan.source.parts and source_kind(plan.source) in _NO_RESUME:
        lost = next(part for part in plan.source.parts if source_kind(part) in _NO_RESUME)
        why = f"'{lost.name}' is a part of the source, and {_NO_RESUME[source_kind(lost)]}"
    if why is None and without_snapshot(plan):
        why = f"'{without_snapshot(plan)[0]}' has state without snapshot and restore"
    if why is None and plan.run.journal == "off" and not journal:
        why = "no journal is kept"
    if why is None and plan.run.journal == "auto" and not journal and not any(map(_names_its_file, plan.sinks)):
        why = "the sink doesn't say which file it owns, so no journal is kept (`run.journal: PATH` keeps one)"
    return why


def _lost_by_a_sink(plan: Plan) -> str | None:
    """Why an output can't be taken back to a commit; None if each can."""
    if not plan.sinks:
        return _NO_RESUME["caller"]
    lost = next((sink for sink in plan.sinks if sink_kind(sink) == "nothing"), None)
    if lost is None:
        return None
    if len(plan.sinks) == 1:
        return _NO_RESUME["nothing"]
    return f"what was written to the sink '{lost.name}' can't be taken back"


def _names_its_file(sink: PlannedPart) -> bool:
    """Whether the sink names its file, so that the journal can be beside it."""
    built = _built(sink)
    target = getattr(built, "target", None)
    with guard(f"the sink '{sink.name}'", "target"):
        return hasattr(built, "beside") or (target is not None and target() is not None)


def without_snapshot(plan: Plan) -> tuple[str, ...]:
    """The stages that have state without snapshot: it is lost when their worker dies."""
    forms = ((stage.name, stage.work.form) for stage in plan.stages)
    return tuple(name for name, form in forms if form.state and not form.snapshots)


def source_kind(source: PlannedPart | None) -> SourceKind:
    """Whether the source can be read again ("splits"), or from its marks ("marks"), or why not."""
    if source is None:
        return "records"
    if source.parts:
        kinds = [source_kind(part) for part in source.parts]
        return next((kind for kind in (*_NO_RESUME, "marks") if kind in kinds), "splits")
    if is_stream(source.part.found):
        marked = gives_marks(source.part.found) and not is_held(source.part.target)
        return "marks" if marked else "stream"
    built = _built(source)
    if getattr(built, "stdin", False):
        return "stdin"
    return "stream" if getattr(built, "stream", False) else "splits"


def sink_kind(sink: PlannedPart) -> SinkKind:
    """What the sink keeps of an interrupted run."""
    built = _built(sink)
    keeps: SinkKind = "nothing" if getattr(built, "stdout", False) else built.keeps
    return keeps


def notes(plan: Plan) -> tuple[str, ...]:
    """What `check` says about a plan without mistakes."""
    costs = "after a death everything is read again" if source_kind(plan.source) == "splits" else "a death ends the run"
    lacking = (f"'{name}' has state without snapshot and restore: {costs}" for name in without_snapshot(plan))
    return (promise(plan), *_each_sink(plan), *warnings(plan), *lacking, *_not_enforced(plan), *_memos(plan))


_KEPT: dict[SinkKind, str] = {
    "truncate": "a file, cut back to the last commit by a resume",
    "transaction": "each commit is one transaction, which a resume goes on from",
    "nothing": "what was written can't be taken back",
}


def _each_sink(plan: Plan) -> Iterator[str]:
    """What each of several sinks keeps."""
    for sink in plan.sinks if plan.branches else ():
        wants = f" (gets records for which {sink.settings.when})" if sink.settings.when else ""
        yield f"sink '{sink.name}'{wants}: {_KEPT[sink_kind(sink)]}"


def _memos(plan: Plan) -> Iterator[str]:
    for stage in plan.stages:
        if stage.work.memo is not None:
            yield f"the results of '{stage.name}' are kept in {shown(stage.work.memo.path)}"


def undeclared_state(plan: Plan) -> Iterator[tuple[str, Change]]:
    """The stages that change something that outlives a call and declare no state, and what they change."""
    for stage in plan.stages:
        # The tests look at the parts of the package; here that would cost each start some 5 ms.
        ours = stage.part.target.partition(".")[0] in OUR_PACKAGES
        change = None if ours or stage.work.form.state else undeclared_change(stage.part.found)
        if change is not None:
            yield stage.name, change


def warnings(plan: Plan) -> tuple[str, ...]:
    """What `check` and `run` warn of: stages with undeclared state."""
    return tuple(f"'{name}' {state_warning(change)}" for name, change in undeclared_state(plan))


def state_warning(change: Change) -> str:
    """The warning about a change that outlives a call, with what to write instead."""
    place = f"{shown(change.file)}:{change.line}"
    return (
        f"changes {change.what} ({place}) and declares no state: with several workers, or after a death, "
        "its results may be wrong. Write @stage(state=True), or state=False if no result depends on it, as with a cache"
    )


def _not_enforced(plan: Plan) -> Iterator[str]:
    """Settings that the engine can't enforce, because the parent can't end a call."""
    for stage in () if plan.engine.hard_timeouts else plan.stages:
        if stage.settings.timeout is not None and not stage.work.form.awaited:
            yield f"'{stage.name}' has a timeout, which the engine {plan.engine.name} ignores"
        if stage.settings.max_memory is not None:
            yield f"'{stage.name}' has a max_memory, which the engine {plan.engine.name} ignores"
    yield from () if plan.engine.ahead else _frame_by_frame(plan)


def _frame_by_frame(plan: Plan) -> Iterator[str]:
    """What it costs that workers end a frame before they begin the next one."""
    frame, engine = plan.run.frame, plan.engine.name
    for stage in (stage for stage in plan.stages if stage.works_ahead):
        work = stage.work
        most = (work.batch or 1) if work.gathers else work.concurrency
        if frame is not None and frame < most:
            yield f"'{stage.name}' takes {most} records at once; with the engine {engine} only a frame's, {frame}"
        elif not work.gathers:
            yield f"'{stage.name}' is async: with the engine {engine} a slow call holds up those of the next frame"


def _after_a_worker(source: SourceKind, forgotten: tuple[str, ...]) -> str:
    if not forgotten:
        return "exactly once: a worker that dies loses and duplicates nothing"
    if source == "splits":
        return f"exactly once: when a worker dies, the source is read again from its beginning, for '{forgotten[0]}'"
    return f"the first worker that dies ends the run, since '{forgotten[0]}' would have forgotten its state"


def _after_the_parent(plan: Plan) -> str:
    why = why_no_resume(plan)
    if why is None and source_kind(plan.source) == "marks":
        return (
            "a run that ended early goes on with --resume from the last mark of its source, from the start if it gave "
            "none; the output is that of a run without faults if the source gives the same records behind a mark again"
        )
    if why is None:
        return "a run that ended early goes on with --resume, and the output is that of a run without faults"
    return f"a run that ended early can't be resumed, since {why}"


def _built(part: PlannedPart) -> Any:
    # Its abilities may depend on its options: a path may be standard input, or a device.
    with guard(f"the {part.part.kind} {part.part.name}", "its making"):
        return part.part.found(**part.options)
