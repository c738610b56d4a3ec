"""The command line: one file per verb, imported when it is called: this table is all that `--help` needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stagerunner.tuples import NamedTuple


class Verb(NamedTuple):
    """A command as the front page shows it. `target` is "module:command", a click command."""

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
    "show": Verb("Look inside", "show FILE", "print the chain as it will run", "stagerunner.cli.show:command"),
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
ENTRY = "stagerunner.cli.entry:main"
"""The whole of the command line; click comes with it."""
PRESTARTED = "stagerunner.engines.process.parent.prestart:prestarted_fork_server"
"""What `run` begins before all else."""
OFFERED = "stagerunner.cli.offered:offered_command"
"""Where to ask for a command that is not in the table: a plugin may offer it."""
MEASURED = "stagerunner.cli.measured:measure"
"""What `show --sample` does: it needs most of what a run needs, and `show` alone does not."""
DRY_RUN = "stagerunner.cli.planned:show_plan"
"""What `run --dry-run` prints."""
CLOSING = "stagerunner.views.closing:closing"
"""The closing summary: there is one at the end of a run, and what ends need not be waited for at the beginning."""
TROUBLE = "stagerunner.views.trouble:tell"
"""What tells of an error: loaded when there is one."""


def loaded(target: str) -> Any:
    """What "module:name" leads to, imported now."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
