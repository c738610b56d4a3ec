"""A path, a text or a mapping → Config.

    text ▶ nodes ▶ --set, --var, -i, -o ▶ variables filled in ▶ grammar

Every mistake is collected; nothing is raised.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Mapping as Table
from pathlib import Path
from typing import Any, TypeAlias

from msgspec.structs import replace

from stagerunner.config.credentials import written_secrets
from stagerunner.config.grammar import read_root
from stagerunner.config.model import Config
from stagerunner.config.nodes import Mapping, Node, Scalar
from stagerunner.config.overrides import Given, read_overrides, replace_end, set_paths, set_variables
from stagerunner.config.python_data import MAPPING, read_mapping
from stagerunner.config.text import MOST_BYTES
from stagerunner.config.variables import fill
from stagerunner.config.wording import in_words
from stagerunner.config.yaml12 import read_yaml
from stagerunner.errors import Mark, Mistake
from stagerunner.evaluate.wording import nearest
from stagerunner.inherited import here

Source: TypeAlias = str | Path | Table[str, Any]
"""What a config is read from."""

TEXT = "<text>"
"""The file name of a config that was given as text."""


def read_config(
    source: Source,
    *,
    vars: Given = (),
    sets: Given = (),
    source_override: str | None = None,
    sink_override: str | None = None,
) -> Config:
    """The config in a file, in a text with a newline in it, or in a mapping. Never raises: see its `mistakes`.

    vars, sets: `NAME=VALUE` and `PATH=VALUE` as on the command line, or plain data by name and by path.
    source_override, sink_override: the arguments of `-i` and `-o`. If nothing can be read, the root is empty.
    """
    mistakes: list[Mistake] = []
    config = _empty(source)
    root = _root(source, config.file, mistakes)
    if root is None:
        return replace(config, mistakes=in_order(mistakes, config.file))
    for key, flag, argument in (("source", "-i", source_override), ("sink", "-o", sink_override)):
        if argument is not None and key == "sink" and (several := root.key("sinks")) is not None:
            mistakes.append(_several_sinks(argument, flag, several))
        elif argument is not None:
            root = replace_end(root, key, argument, flag, mistakes)
    # Behind -i and -o: `--set sink.on_error=skip` is meant for the sink that -o names.
    root = set_paths(root, read_overrides(sets, "set", mistakes), mistakes)
    root = set_variables(root, read_overrides(vars, "var", mistakes), mistakes)
    filled = fill(root, os.environ)
    written = tuple(dict.fromkeys(written_secrets(filled.root)))
    config = replace(config, secrets=(*filled.secrets, *written), masked=(*filled.masked, *written))
    config = read_root(filled.root, config)
    found = [*mistakes, *filled.mistakes, *config.mistakes]
    return replace(config, mistakes=in_order(found, config.file))


def _several_sinks(argument: str, flag: str, sinks: Scalar) -> Mistake:
    """-o says where results go, and this chain says several places."""
    line = argument.partition("\n")[0]
    mark = Mark(flag, 1, 1, line, max(1, len(line)))
    related = ((sinks.mark, "the list stands here"),)
    message = f"{flag} gives a chain its one sink, and this chain has `sinks:`"
    return Mistake("two-keys", message, mark, "sinks", "change one of them: --set sinks.NAME.with.path=PATH", related)


def _empty(source: Source) -> Config:
    """A config without any values yet."""
    folder = here()
    bases = dict.fromkeys(("-i", "-o", "--set", "set"), folder)
    if isinstance(source, Table):
        return Config(MAPPING, folder, Mapping((), Mark(MAPPING, column=0)), "chain", bases=bases)
    if is_text(source):
        return Config(TEXT, folder, Mapping((), Mark(TEXT)), "chain", bases=bases)
    path = Path(source)
    return Config(str(source), folder / path.parent, Mapping((), Mark(str(source))), path.stem, bases=bases)


def is_text(source: Source) -> bool:
    """Whether it is a config itself, not the path of one."""
    return isinstance(source, str) and "\n" in source


def _root(source: Source, file: str, mistakes: list[Mistake]) -> Mapping | None:
    if isinstance(source, Table):
        given, found = read_mapping(source)
        mistakes += found
        return given
    data: str | bytes | Mistake = str(source) if is_text(source) else _file(Path(source), file)
    if isinstance(data, Mistake):
        mistakes.append(data)
        return None
    root, found = read_yaml(data, file)
    mistakes += found
    if isinstance(root, Mapping) or root is None:
        return root
    mistakes.append(_no_mapping(root))
    return None


def _no_mapping(root: Node) -> Mistake:
    fix = "begin with `version: 1` and `stages:`"
    return Mistake("type", f"a config is a mapping, not {in_words(root)}", root.mark, fix=fix)


def _file(path: Path, file: str) -> bytes | Mistake:
    """The file's bytes, up to one more than the limit, so that a larger file is noticed."""
    try:
        with open(path, "rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except FileNotFoundError:
        fix = "a text is the config itself only with a newline in it" if ": " in file else _similar_file(path)
        return Mistake("no-file", f"there is no file {file}", Mark(file), fix=fix)
    except IsADirectoryError:
        return Mistake("no-file", f"{file} is a folder", Mark(file))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Mistake("no-file", f"{file} can't be read: {why}", Mark(file))


def _similar_file(path: Path) -> str:
    """ "did you mean x.yaml?", if there is a file like that beside it."""
    try:
        names = [one.name for one in path.parent.iterdir()]
    except OSError:
        return ""
    near = nearest(path.name, names)
    return f"did you mean {path.with_name(near)}?" if near else ""


def in_order(mistakes: Iterable[Mistake], file: str) -> tuple[Mistake, ...]:
    """The mistakes by line, those of the file first; of several at one value, the first."""
    first: dict[tuple[Mark, str], Mistake] = {}
    for mistake in mistakes:
        place = mistake.mark._replace(width=1)
        if (place, "") not in first:
            first.setdefault((place, mistake.path), mistake)
    return tuple(sorted(first.values(), key=lambda one: (one.mark.file != file, one.mark.line, one.mark.column)))
