"""`stagerunner merge FILE --shards N`: join the outputs of a run's shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stagerunner.api import prepare
from stagerunner.cli import flags
from stagerunner.cli.flags import HOW, Command, flag
from stagerunner.cli.run import print_summary
from stagerunner.cli.streams import Streams
from stagerunner.plan.shards import MOST
from stagerunner.runtime.merging import merge, remove_shards


@click.command(cls=Command)
@click.argument("file", type=flags.FILE)
@flag(
    HOW,
    "--shards",
    metavar="N",
    required=True,
    type=flags.WholeNumber(min=1, max=MOST),
    help="How many shards were run.",
)
@flag(HOW, "--remove", is_flag=True, help="Then remove what the shards have written.")
@flag(HOW, "--allow-dead-letters", is_flag=True, help="Exit 0, not 3, when there are dead letters.")
@flag("What goes in and out", "-i", "--source", metavar="PART", type=flags.FILE, help="As it was given to `run`.")
@flag("What goes in and out", "-o", "--sink", metavar="PART", type=flags.FILE, help="As it was given to `run`.")
@flags.change_flags
@flags.quiet
@flags.output_flags
@click.pass_obj
def command(
    streams: Streams,
    /,
    file: str,
    shards: int,
    remove: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Join the outputs, dead letters and counts of the shards of the chain in FILE.

    Each must have been run to its end with `run FILE --shard I/N`. The result is that of a run without shards.
    """
    chain = prepare(Path(file), flags.request_of(given), streams.conceal)
    outcome = merge(chain.plan, shards, allow_dead_letters=chain.request.allow_dead_letters)
    if remove:
        remove_shards(chain.plan, shards)
    print_summary(outcome, chain, streams, quiet=quiet)
    return outcome.exit_code
