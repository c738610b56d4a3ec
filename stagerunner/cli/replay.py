"""`stagerunner replay LETTERS -c FILE`: run dead letters through the rest of their chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from stagerunner.api import Chain
from stagerunner.cli import flags
from stagerunner.cli.flags import Command, flag
from stagerunner.cli.run import debugger, run_and_report
from stagerunner.cli.streams import Streams
from stagerunner.cli.summaries import SummaryFile
from stagerunner.config.masking import Mask
from stagerunner.errors import ReaderGone, StagerunnerError, UsageError
from stagerunner.plan.preparing import read
from stagerunner.runtime import replay

_WHAT = "What goes in and out"


@click.command(cls=Command)
@click.argument("letters", type=flags.FILE)
@flag(_WHAT, "-c", "--chain", metavar="FILE", required=True, type=flags.FILE, help="The chain that wrote them.")
@flag(_WHAT, "--from", "start", metavar="STAGE", help="Start all of them at this stage, not each where it failed.")
@flag(_WHAT, "-o", "--sink", metavar="PART", type=flags.FILE, help="Write the results here, to a new file.")
@flag(_WHAT, "--append", is_flag=True, help="Append to the output: that of -o, or the chain's own.")
@flags.change_flags
@flags.pdb
@flags.execution_flags(
    resume="Go on where a replay of these letters left off.", allow="Exit 0, not 3, when some fail again."
)
@flags.run_output_flags
@click.pass_obj
def command(
    streams: Streams,
    /,
    letters: str,
    chain: str,
    start: str | None,
    append: bool,
    pdb: bool,
    progress: str | None,
    summary: str | None,
    quiet: bool,
    **given: Any,
) -> int:
    """Run the dead letters in LETTERS through their chain, each from the stage that failed.

    The results are written to the sink. When the replay is done, LETTERS holds the records that failed again.
    """
    file = Path(letters)
    made = _chain(streams, file, chain, start, pdb=pdb, append=append, **given)
    resumed = made.request.resume or made.request.force_resume
    if resumed and replay.finished(file, made.request.journal):
        if not quiet:
            streams.err().line("the replay is already finished; nothing to do")
        return 0
    replay.check_places(made.plan, file, append=append, resumed=resumed)
    summary_file = SummaryFile.of(summary, made.plan)
    begun_before = replay.replaying_path(file).exists()
    if not replay.take_letters(file):
        if not quiet:
            streams.err().line(f"{file} is empty: there is nothing to replay")
        return 0
    try:
        with debugger(streams, on=pdb):
            code = run_and_report(made, streams, summary_file, progress="none" if pdb else progress, quiet=quiet)
    except StagerunnerError as error:
        begun = begun_before or error.summary is not None
        back = not begun and replay.put_letters_back(file)
        if not (back or quiet or isinstance(error, ReaderGone)):
            streams.err().line(f"the letters are in {replay.replaying_path(file)} until their replay is done")
        raise
    replay.remove_letters(file)
    return code


def _chain(
    streams: Streams, letters: Path, file: str, start: str | None, *, pdb: bool, append: bool, **given: Any
) -> Chain:
    request = flags.request_of(given)
    if pdb:
        request = replace(request, engine="inline")
    config, catalog = read(Path(file), request, streams.conceal)
    if request.sink is None and not append:
        raise UsageError("say where the results go: -o FILE writes a new file, --append adds to the chain's own output")
    with Mask(config.secrets).errors():
        plan = replay.replay_plan(config, catalog, letters, start=start, append=append, engine=request.engine)
        return Chain(config, catalog, plan, replace(request, journal=replay.journal_of(plan)))
