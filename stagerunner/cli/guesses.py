"""What people type who come from other tools: commands and options that have another name here."""

from __future__ import annotations

from collections.abc import Iterable

_COMMANDS = {
    "`stagerunner check FILE`": ("validate", "lint", "verify", "test"),
    "`stagerunner stages`": ("list", "ls", "parts", "components", "sources", "sinks"),
    "`stagerunner show FILE`": ("plan", "graph", "describe", "explain", "inspect"),
    "`stagerunner run FILE`": ("start", "exec", "execute", "pipe"),
    "`stagerunner run FILE --resume`": ("resume", "continue"),
    "`stagerunner --version`": ("version",),
    "`stagerunner --help`": ("help",),
}
_OPTIONS = {
    "`--set stages.NAME.workers=N`": ("--workers", "--jobs", "--parallel", "--processes", "-j", "-w"),
    "`-i`": ("--input", "--in", "--from"),
    "`-o`": ("--output", "--out", "--to"),
    "`-n`": ("--head", "--max", "--count"),
    "`-q`": ("--silent",),
    "`--pdb`": ("--debug", "--debugger"),
    "`--engine inline`": ("--inline", "--local"),
    "`--dry-run`": ("--dry", "--check", "--plan"),
    "`--resume`": ("--continue", "--restart"),
    "`--set run.frame=N`": ("--batch", "--batch-size"),
    "`-p`": ("--plugin", "--plugins"),
    "FILE, without an option": ("--config", "-f", "--file"),
}
_CONFIGS = (".yaml", ".yml")


def command_meant(name: str, known: Iterable[str]) -> str:
    """What to type in place of a command that doesn't exist. known: the names of those that do."""
    from stagerunner.config.wording import did_you_mean  # late: only mistakes need it

    if name.endswith(_CONFIGS):
        return f"`stagerunner run {name}` runs that file"
    return _ours(name, _COMMANDS) or did_you_mean(name, known) or "`stagerunner --help` lists the commands"


def option_meant(name: str, known: Iterable[str]) -> str:
    """What to type in place of an option that doesn't exist; "" if nothing is near. known: those of the command."""
    from stagerunner.config.wording import SURELY, did_you_mean  # late: only mistakes need it

    return _ours(name, _OPTIONS) or did_you_mean(name, known, cutoff=SURELY)


def _ours(theirs: str, table: dict[str, tuple[str, ...]]) -> str:
    return next((f"here it is {ours}" for ours, words in table.items() if theirs in words), "")
