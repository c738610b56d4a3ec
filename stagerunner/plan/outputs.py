"""The files that a run writes: none may be one that it reads, one that defines the chain, or written twice."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stagerunner.catalog.freshness import noted
from stagerunner.config.model import Config
from stagerunner.config.nodes import Scalar
from stagerunner.config.paths import UNKNOWN_USER, has_unknown_user, resolve_path
from stagerunner.errors import Mark, Mistake, RunFailed
from stagerunner.guard import guard, reason, text_of, wrong
from stagerunner.parts import files
from stagerunner.plan.ends import End
from stagerunner.plan.model import Plan
from stagerunner.plan.targets import why_not_json_lines
from stagerunner.plan.values import mark_of
from stagerunner.tuples import NamedTuple

OPEN_ALREADY = ("/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")
"""Streams that are open already; other code writes to them."""


def letters_path(config: Config, scalar: Scalar | None) -> Path | None:
    """The file of dead letters or dropped records; its path is relative to the folder of the file it is written in."""
    return None if scalar is None else resolve_path(config.base_of(scalar.mark), scalar.text)


def own_files(config: Config) -> tuple[Path, ...]:
    """The files that define the chain: the config, its plugins, and the modules that these import."""
    written = config.base / Path(config.file).name
    return (written, *(Path(path) for path in dict.fromkeys((*files.registered().values(), *noted()))))


def output_mistakes(config: Config, sources: Sequence[End], sinks: Sequence[End]) -> Iterator[Mistake]:
    """A mistake for each output that would overwrite an input or another output, or that can't be created."""
    paths = [source.planned.options.get("path") for source in sources]
    inputs = [one for path in paths for one in _patterns(path)]
    elsewhere = [one for path in paths for one in _addresses(path)]
    owned = [_owned(sink) for sink in sinks]
    if wrong := [target for target in owned if isinstance(target, Mistake)]:
        yield from wrong
        return
    targets = [target for target in owned if isinstance(target, Path)]
    for sink, target in zip(sinks, owned, strict=True):
        if isinstance(target, Path):
            yield from _sink_mistakes(config, sink, target, inputs, elsewhere)
    yield from _twin_mistakes(sinks)
    letters = _letters_of(config)
    for one in letters:
        yield from _letter_mistakes(config, one, targets, inputs)
    if len(letters) == 2 and _same(letters[0].path, letters[1].path):
        yield _overwrites("the dropped records need another file than the dead letters", letters[1].mark, "dropped")


def journal_path(output: Path) -> Path:
    """Where the journal of an output stands: beside it, hidden."""
    return output.with_name(f".{output.name}.stagerunner")


def output_of(sinks: Sequence[End]) -> Path | None:
    """The first file that a sink owns; None if none owns any."""
    return next((owned for sink in sinks if isinstance(owned := _owned(sink), Path)), None)


def _twin_mistakes(sinks: Sequence[End]) -> Iterator[Mistake]:
    """A mistake for each sink that writes where an earlier one does."""
    for place, sink in enumerate(sinks):
        for before in sinks[:place]:
            if where := _same_place(before, sink):
                mark, there = mark_of(sink.written, "path"), mark_of(before.written, "path")
                message = f"the sinks '{before.planned.name}' and '{sink.planned.name}' {where}"
                fix = "give each a place of its own"
                yield Mistake("same-file", message, mark, sink.written.path, fix, ((there, "the first one is here"),))


def _same_place(one: End, other: End) -> str:
    """That both sinks write to one place, or ""."""
    if getattr(one.instance, "stdout", False) and getattr(other.instance, "stdout", False):
        return "both write to standard output"
    if (many := _beside(one)) is not None and many == _beside(other):
        return "may both write to one file: their paths differ in nothing but fields"
    paths = [_owned(end) or end.planned.options.get("path") for end in (one, other)]
    first, second = (path if isinstance(path, Path) and not _bad_name(path) else None for path in paths)
    return f"both write to {first}" if first is not None and second is not None and _alike(first, second) else ""


def _beside(end: End) -> Any:
    """What stands for the files of a sink that writes many, which is the same for paths that differ only in fields."""
    if end.planned.options.get("path") is None or not hasattr(end.instance, "beside"):
        return None
    with guard(f"the sink {end.planned.part.name}", "beside"):
        return end.instance.beside()


def _alike(one: Path, other: Path) -> bool:
    """Whether two paths lead to one place, be it a file, a device or a pipe."""
    if os.path.realpath(one) == os.path.realpath(other):
        return str(one) != os.devnull
    return one.exists() and other.exists() and one.samefile(other)  # hard links


def used_by(plan: Plan, path: Path) -> bool:
    """Whether a run of this plan reads or writes this file, or is defined by it."""
    if _own_file(plan.own, path) is not None:
        return True
    ends = (part.options.get("path") for part in (*plan.sources, *plan.sinks))
    return any(_reads(_patterns(one), path) for one in (*ends, [path for _, path, _ in plan.letters]))


def _own_file(own: Iterable[Path], path: Path) -> Path | None:
    """The one of the chain's own files that this is, if any. A program may have loaded thousands of plugin files."""
    with suppress(OSError, ValueError):
        target = os.stat(path)  # noqa: PTH116  (a name may hold a NUL)
        return next((file for file in own if file.is_file() and os.path.samestat(file.stat(), target)), None)
    return None  # no file of that name, so it is none of them


def _described(config: Config, file: Path) -> str:
    written = own_files(config)[0]
    return f"{file.name}, this chain's config" if file == written else f"{file.name}, which is part of this chain"


def _sink_mistakes(
    config: Config, sink: End, target: Path, inputs: list[str], elsewhere: list[str]
) -> Iterator[Mistake]:
    mark, path = mark_of(sink.written, "path"), sink.written.path
    if why := _bad_name(target):
        yield Mistake("sink-check", f"the output can't be written: {why}", mark, path)
    elif _reads(inputs, target) or _reads_elsewhere(elsewhere, sink):
        yield _overwrites("the sink would overwrite what the source reads", mark, path)
    elif own := _own_file(own_files(config), target):
        yield _overwrites(f"the sink would overwrite {_described(config, own)}", mark, path)


class _Letters(NamedTuple):
    """A file of dead letters or dropped records: its path, as it was written, under which key, and what it holds."""

    path: Path
    written: Scalar
    key: str
    what: str

    @property
    def mark(self) -> Mark:
        return self.written.mark

    def overwrites(self, what: str) -> Mistake:
        return _overwrites(f"the {self.what} would overwrite {what}", self.mark, self.key)


def _letters_of(config: Config) -> list[_Letters]:
    both = (("dead_letter", config.dead_letter, "dead letters"), ("dropped", config.dropped, "dropped records"))
    return [
        _Letters(path, written, key, what)
        for key, written, what in both
        if written is not None and (path := letters_path(config, written)) is not None
    ]


def _letter_mistakes(
    config: Config, letters: _Letters, targets: Sequence[Path], inputs: list[str]
) -> Iterator[Mistake]:
    path, text = letters.path, letters.written.text
    no_user = UNKNOWN_USER if has_unknown_user(text) else None
    if why := no_user or _not_writable(path) or _not_a_file(path):
        yield Mistake("dead-letter", f"the {letters.what} can't be written: {why}", letters.mark, letters.key)
    elif any(_same(path, journal_path(target)) for target in targets):
        yield letters.overwrites("the journal")
    elif journal_path(path).exists():
        yield _overwrites(f"{path} is the output of a run", letters.mark, letters.key)
    elif any(_same(path, target) for target in targets):
        yield letters.overwrites("the output")
    elif _reads(inputs, path):
        yield letters.overwrites("what the source reads")
    elif own := _own_file(own_files(config), path):
        yield letters.overwrites(_described(config, own))
    elif (named := why_not_json_lines(text)) is not None:
        yield Mistake("target", named[0], letters.mark, letters.key, named[1])


def _overwrites(message: str, mark: Mark, path: str) -> Mistake:
    return Mistake("same-file", message, mark, path, "name another file")


def _patterns(option: Any) -> list[str]:
    listed = option if isinstance(option, list | tuple) else [option]
    return [str(item) for item in listed if isinstance(item, str | Path) and str(item) != "-"]


def _addresses(option: Any) -> list[str]:
    """The paths of a source that are values of another type than a path: they lead elsewhere."""
    listed = option if isinstance(option, list | tuple) else [option]
    return [text_of(item) for item in listed if not isinstance(item, str | Path | None)]


def _reads_elsewhere(addresses: list[str], sink: End) -> bool:
    """Whether the sink calls its output by one of these addresses, or by a name that is among them."""
    describe = getattr(sink.instance, "describe", None)
    if not addresses or describe is None:
        return False
    with guard(f"the sink {sink.planned.part.name}", "describe"):
        described = text_of(describe())
    return any(described == address or fnmatch.fnmatchcase(described, address) for address in addresses)


def _owned(sink: End) -> Path | Mistake | None:
    try:
        return _target(sink)
    except RunFailed as error:
        return Mistake("sink-check", str(error), mark_of(sink.written, "path"), sink.written.path)


def _target(sink: End) -> Path | None:
    """The file that a sink owns. Raises RunFailed if its `target` returns no path."""
    owns = hasattr(sink.instance, "target")
    path = file_of(sink.instance, sink.planned.part.name) if owns else sink.planned.options.get("path")
    return path if isinstance(path, Path) and str(path) != "-" else None


def file_of(sink: Any, name: str) -> Path | None:
    """The file that the instance of a sink says it owns. Raises RunFailed if it gives anything but a path."""
    part = f"the sink {name}"
    with guard(part, "target"):
        path = sink.target() if hasattr(sink, "target") else None
    if not isinstance(path, Path | None):
        raise wrong(part, "target", path, "a Path")
    return path


def _reads(patterns: list[str], target: Path) -> bool:
    readable = (pattern for pattern in patterns if not _bad_name(Path(pattern)))
    return any(_same(Path(pattern), target) or _matches(pattern, target) for pattern in readable)


def _matches(pattern: str, target: Path) -> bool:
    if not set(pattern) & set("*?["):
        return False
    import glob  # few sources are more than a path

    # An output that doesn't exist yet would be read by the next run.
    beside = _same(Path(pattern).parent, target.parent) and fnmatch.fnmatchcase(target.name, Path(pattern).name)
    found = glob.iglob(pattern, recursive=True)  # noqa: PTH207  (Path.glob takes no absolute pattern)
    return beside or any(_same(Path(path), target) for path in found)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file. A device is no file: it may be read and written at once."""
    if _bad_name(other) or (other.exists() and not (other.is_file() or other.is_dir())):
        return False
    return _alike(one, other)


def _not_a_file(path: Path) -> str:
    """Why this is no file that keeps what is written, or "". /dev/null is allowed: it discards everything."""
    if os.path.normpath(path).startswith(OPEN_ALREADY):
        return f"{path} is a stream that is open already; name a file"
    if path.is_fifo() or path.is_socket():
        return f"{path} isn't a file"
    return ""


def _not_writable(path: Path) -> str:
    """Why no file can be written there, or ""."""
    if why := _bad_name(path):
        return why
    if path.is_dir():
        return f"{path} is a folder"
    if path.exists():
        return "" if os.access(path, os.W_OK) else f"{path} may not be written"
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"nothing may be written in {folder}"


def _bad_name(path: Path) -> str:
    """Why no file can have this name (too long, characters that no file system takes), or ""."""
    try:
        os.path.realpath(path)
        path.exists()
    except (OSError, ValueError) as error:
        return reason(error)
    return ""
