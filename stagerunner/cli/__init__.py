"""The command line: one module per verb, imported when its verb is called. `--help` needs only this table."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:
    import click


class Verb(NamedTuple):
    """A command as the front page lists it. `target` is "module:name" of its click command."""

    section: str
    usage: str
    summary: str
    target: str


VERBS = {
    "run": Verb("Everyday", "run FILE", "run a chain", "stagerunner.cli.run:command"),
    "replay": Verb(
        "Everyday", "replay LETTERS -c FILE", "run dead letters through their chain", "stagerunner.cli.replay:command"
    ),
    "check": Verb(
        "Everyday", "check FILE…", "find mistakes in chains without running them", "stagerunner.cli.check:command"
    ),
    "merge": Verb("Everyday", "merge FILE --shards N", "join the outputs of shards", "stagerunner.cli.merge:command"),
    "show": Verb("Look inside", "show FILE", "print the chain as it will run", "stagerunner.cli.show:command"),
    "memo": Verb(
        "Look inside",
        "memo show PATH",
        "list the results of a memo, or prune them",
        "stagerunner.cli.memo:command",
    ),
    "stages": Verb(
        "Stages and plugins",
        "stages [show NAME]",
        "list stages, sources and sinks, or explain one",
        "stagerunner.cli.stages:command",
    ),
    "plugins": Verb(
        "Stages and plugins", "plugins", "list plugins and what they add", "stagerunner.cli.plugins:command"
    ),
}


def load_command(verb: str) -> click.Command:
    """The command of a verb in the table, imported now."""
    module, _, name = VERBS[verb].target.partition(":")
    command: click.Command = getattr(import_module(module), name)
    return command
