"""`stagerunner run FILE`: run a chain from its source to its sink."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from stagerunner.api import Chain, prepare
from stagerunner.cli import flags
from stagerunner.cli.flags import HOW, Command, flag
from stagerunner.cli.streams import Streams
from stagerunner.cli.summaries import SummaryFile
from stagerunner.errors import ReaderGone, StagerunnerError, UsageError
from stagerunner.events import Summary
from stagerunner.plan import Plan
from stagerunner.plan.promise import source_kind, warnings
from stagerunner.runtime.signals import Signals
from stagerunner.views.console import Console
from stagerunner.views.figures import plural
from stagerunner.views.log import JsonLog, TextLog
from stagerunner.views.plain import Silent
from stagerunner.views.progress import BUILT_IN, Listener, chosen_view, open_view

_ENDS = "What goes in and out"
_EXIT_CODES = """\b
Exit codes:
  0 done · 1 run failed · 2 usage or config mistake
  3 done, but with dead letters (unless allowed) · 70 a bug in stagerunner
  73 another run owns this output · 75 stopped, can be resumed
  129/130/143 hangup, Ctrl-C, SIGTERM · 141 reader gone"""


DEAD_LETTERS = 3
"""Exit code of a run that is done, but has dead letters."""


@click.command(cls=Command, epilog=_EXIT_CODES)
@click.argument("file", type=flags.FILE)
@flag(
    _ENDS,
    "-i",
    "--source",
    metavar="PART",
    type=flags.FILE,
    help="Read from here: a path, a glob, -, or NAME:key=value.",
)
@flag(_ENDS, "-o", "--sink", metavar="PART", type=flags.FILE, help="Write here.")
@flag(_ENDS, "-n", "--limit", metavar="N", type=flags.WholeNumber(min=0), help="Stop after N source records.")
@flag(_ENDS, "--shard", metavar="I/N", help="Do part I of N of the work; `merge` joins the outputs.")
@flag(_ENDS, "--only", metavar="STAGE[..STAGE]", help="Run just this piece of the chain.")
@flags.change_flags
@flag(HOW, "--dry-run", is_flag=True, help="Check, print the plan, run nothing.")
@flag(HOW, "--journal", metavar="PATH", type=flags.FILE, help="Keep the journal here.")
@flags.pdb
@flags.execution_flags(
    resume="Go on where a stopped run of this chain left off.", allow="Exit 0, not 3, when there are dead letters."
)
@flags.run_output_flags
@click.pass_obj
def command(
    streams: Streams,
    /,
    file: str,
    dry_run: bool,
    pdb: bool,
    progress: str | None,
    summary: str | None,
    quiet: bool,
    **given: Any,
) -> int:
    """Run the chain in FILE.

    With no `source:` or `sink:` in the file it reads standard input and writes standard output, one record a line.
    """
    request = flags.request_of(given)
    chain = prepare(Path(file), replace(request, engine="inline") if pdb else request, streams.conceal)
    if pdb and source_kind(chain.plan.source) == "stdin":
        raise UsageError("the debugger needs standard input for your commands; give the source a file: -i FILE")
    summary_file = SummaryFile.of(summary, chain.plan)
    if dry_run:
        print_plan(chain.plan, streams.err())
        return 0
    _warn(chain, streams, quiet=quiet)
    with debugger(streams, on=pdb):
        return run_and_report(chain, streams, summary_file, progress="none" if pdb else progress, quiet=quiet)


def debugger(streams: Streams, *, on: bool) -> AbstractContextManager[Any]:
    """Within it, a debugger stops where a stage raises in this process."""
    if not on:
        return nullcontext()
    from stagerunner.runtime.postmortem import PostMortem  # only a person who debugs needs it

    return PostMortem(streams.err().line).watching()


def run_and_report(
    chain: Chain, streams: Streams, summary_file: SummaryFile, *, progress: str | None, quiet: bool
) -> int:
    """Run the chain, show what happens, print the closing summary; return the exit code.

    Raises the error that the run ended with, after the summary: the caller only has to report it.
    """
    listener = _listener(chain, streams, progress or ("none" if quiet else "auto"), quiet=quiet)
    signals = streams.keep_open(Signals(chain.plan.run.grace, streams.last_words, to_the_end=streams.owned))
    outcome, failed = _execute(chain, listener, signals)
    if outcome is not None:
        gone = isinstance(failed, ReaderGone)
        print_summary(outcome, chain, streams, quiet=quiet or gone)
        if quiet and failed is None:
            _print_reason(outcome, streams)
        summary_file.write(outcome, streams, failed)
    if failed is not None:
        raise failed
    assert outcome is not None
    return outcome.exit_code


def _execute(chain: Chain, listener: Listener, signals: Signals) -> tuple[Summary | None, StagerunnerError | None]:
    """The summary, if the run got so far, and the error that it ended with."""
    gone = False
    try:
        return chain.execute(listener, signals=signals), None
    except StagerunnerError as error:
        gone = isinstance(error, ReaderGone)
        return error.summary, error
    finally:
        listener.close(silent=gone)


def _print_reason(outcome: Summary, streams: Streams) -> None:
    """Why a finished run doesn't exit with 0: `-q` hides the summary, but not that."""
    if outcome.exit_code == DEAD_LETTERS:
        streams.err().line(("warn", f"{plural(outcome.letters, 'dead letter')} in {outcome.dead_letter}"))
    elif outcome.exit_code:
        for message in outcome.messages:
            streams.err().line(("bad", message))


def _warn(chain: Chain, streams: Streams, *, quiet: bool) -> None:
    """Warn before the run of what will not hold, and if it waits for the keyboard."""
    for warning in () if quiet else warnings(chain.plan):
        streams.err().line(("warn", "warning: "), warning)
    if not quiet and source_kind(chain.plan.source) == "stdin" and sys.stdin is not None and sys.stdin.isatty():
        streams.err().line("reading from the keyboard; Ctrl-D ends it, -i FILE reads a file")


def _listener(chain: Chain, streams: Streams, progress: str, *, quiet: bool) -> Listener:
    console, plan = streams.err(), chain.plan
    if progress == "auto" and streams.json:
        progress = "none"
    spec = chosen_view(progress, chain.catalog.views, terminal=_can_draw(console))
    workers = {stage.name: stage.settings.workers for stage in plan.stages}
    failures = spec is not BUILT_IN["none"] and not quiet
    log = (
        JsonLog(console)
        if streams.json
        else TextLog(workers, failures=failures, warnings=not quiet, verbose=streams.verbose)
    )
    return Listener(log, Silent(console, plan), lambda: open_view(spec, console, plan))


def _can_draw(console: Console) -> bool:
    return console.stream.isatty() and os.environ.get("TERM") != "dumb"


def print_summary(outcome: Summary, chain: Chain, streams: Streams, *, quiet: bool) -> None:
    if quiet:
        return
    from stagerunner.views.closing import closing  # not needed before the end of the run
    from stagerunner.views.limit import facts_of

    console = streams.err()
    if streams.json:
        console.line(console.json({"event": "summary", **outcome.as_json()}))
        return
    plan = chain.plan
    advise = plan.run.engine != "inline"  # one process can't have more workers
    for line in closing(outcome, facts=facts_of(plan), width=console.width, cpu=sum(os.times()[:4]), advise=advise):
        console.line(*line)
    if outcome.exit_code == DEAD_LETTERS and chain.request.shard is None:
        console.line(("dim", f"exit code 3: `{_replay(chain, outcome)}` runs the dead letters again"))


def _replay(chain: Chain, outcome: Summary) -> str:
    """The command that replays the dead letters of this run."""
    from shlex import join  # only such a run needs it

    from stagerunner.runtime.replay import can_append
    from stagerunner.views.closing import from_here

    results = ["--append"] if can_append(chain.plan) else ["-o", "FILE"]
    return join(["stagerunner", "replay", from_here(outcome.dead_letter), "-c", chain.config.file, *results])


def print_plan(plan: Plan, console: Console) -> None:
    """Say what would run: source, stages, sink, dead letters, and what is promised."""
    from stagerunner.views.table import Column, drawn  # only --dry-run draws one

    workers = sum(stage.settings.workers for stage in plan.stages) or 1
    console.line(("strong", plan.name), f": {plural(workers, 'worker')}, engine {plan.run.engine}; nothing is started")
    columns = [Column(title, left=title != "workers") for title in ("", "name", "use", "workers", "on_error", "with")]
    for line in drawn(columns, _rows(plan)):
        console.line(*line)
    if plan.dead_letter is not None:
        console.line(f"dead letters: {plan.dead_letter}")
    if plan.dropped is not None:
        console.line(f"dropped records: {plan.dropped}")
    for note in plan.notes:
        console.line(note)


def _rows(plan: Plan) -> list[list[str]]:
    source, sinks = (
        [[kind, part.name, part.part.name, "", part.settings.on_error, _options(part.shown)] for part in parts]
        for kind, parts in (("source", plan.sources), ("sink", plan.sinks))
    )
    stages = [
        [
            f"stage {number}",
            stage.name,
            stage.use,
            str(stage.settings.workers),
            stage.settings.on_error,
            _options(stage.shown),
        ]
        for number, stage in enumerate(plan.stages, 1)
    ]
    return [*source, *stages, *sinks]


def _options(shown: dict[str, Any]) -> str:
    import json  # as above

    return ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in shown.items())
