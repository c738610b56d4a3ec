"""Commands that plugins offer, found by name when a command is asked for that is not our own."""

from __future__ import annotations

from typing import Any

import click

from stagerunner.catalog import Unresolved, load_catalog
from stagerunner.catalog.importing import import_target
from stagerunner.cli import VERBS
from stagerunner.config.options.wording import did_you_mean
from stagerunner.errors import UsageError


def offered_command(name: str) -> click.Command:
    """The command of that name, imported. Raises UsageError where it can't be, or where there is none."""
    commands = load_catalog().commands
    if name not in commands:
        fix = did_you_mean(name, [*VERBS, *commands]) or "`stagerunner --help` lists the commands"
        raise UsageError(f"there is no command '{name}'; {fix}")
    try:
        found: Any = import_target(commands[name].target)
    except Unresolved as why:
        raise UsageError(f"the command '{name}' can't be used: {why}") from None
    if not isinstance(found, click.Command):
        raise UsageError(f"'{commands[name].target}', which is to be the command '{name}', is no click command")
    return found
