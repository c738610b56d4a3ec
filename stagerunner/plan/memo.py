"""What a stage's memo depends on besides the record, and the file that it is kept in.

    key = digest of version + record        version = `use`, options, files they name, `env`, code, Python

Computing too much is allowed, a stale hit never. So whatever may change a result counts: the source of all modules of
the plugin and of those that they import, wherever they lie, and the content of installed distributions with all that
they require.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from msgspec.structs import replace

from stagerunner import __version__
from stagerunner.config.model import Config, Memo, PartConfig
from stagerunner.config.paths import UNKNOWN_USER, has_unknown_user, resolve_path
from stagerunner.errors import Mistake
from stagerunner.evaluate.work import MemoSpec
from stagerunner.memo.behind import Behind, behind
from stagerunner.memo.files import checksum
from stagerunner.memo.keys import FORMAT, NoKey, digest, encoded
from stagerunner.parts.held import is_held
from stagerunner.plan.model import Plan, PlannedStage
from stagerunner.plan.outputs import used_by


def with_memos(plan: Plan, config: Config, output: Path | None) -> tuple[Plan, list[Mistake]]:
    """The plan whose stages know their memos, and everything wrong with these. output: the file of the sink."""
    written = {part.name: part for part in config.stages}
    stages, mistakes = [], list[Mistake]()
    for stage in plan.stages:
        memo = stage.settings.memo
        spec = None if memo is None else _planned(plan, config, output, stage, written[stage.name], memo)
        if isinstance(spec, Mistake) and "memo" in written[stage.name].given:  # else nobody has asked for it
            mistakes.append(spec)
        stages.append(replace(stage, work=stage.work._replace(memo=spec if isinstance(spec, MemoSpec) else None)))
    return replace(plan, stages=tuple(stages)), mistakes


def _planned(
    plan: Plan, config: Config, output: Path | None, stage: PlannedStage, written: PartConfig, memo: Memo
) -> MemoSpec | Mistake:
    path = _path(config, output, memo)
    if path is None:
        message = f"there is no file that the memo of '{stage.name}' could be kept beside"
        return _mistake(written, message, "name one: `memo: PATH`")
    if memo.path is not None and has_unknown_user(memo.path.text):
        return _mistake(written, f"the memo of '{stage.name}' can't be kept: {UNKNOWN_USER}", "name another file")
    if used_by(plan, path) or (output is not None and path == output):
        return _mistake(written, f"the memo of '{stage.name}' would be in {path}, a file of the run's", "name another")
    if is_held(stage.part.target):
        message = f"the results of '{stage.name}' can't be kept: it is a lambda, local, or defined in __main__"
        return _mistake(written, message, "move it to a module")
    try:
        found = _behind(stage)
        version, files = _version(plan, stage, found)
    except (OSError, NoKey) as why:
        message = f"the results of '{stage.name}' can't be kept: what they depend on can't be told ({why})"
        return _mistake(written, message, "leave `memo` out, or move the stage to a file of its own")
    power = plan.run.durability == "power"
    return MemoSpec(str(path), version, files, frozenset(found.files), found.packages, memo.ttl, memo.size, power)


def _mistake(written: PartConfig, message: str, fix: str) -> Mistake:
    return Mistake("memo", message, written.given.get("memo", written.mark), f"{written.path}.memo", fix)


def _path(config: Config, output: Path | None, memo: Memo) -> Path | None:
    """Where the memo is written; beside the output; or beside the config, if the output is no file."""
    if memo.path is not None:
        return resolve_path(config.base_of(memo.path.mark), memo.path.text)
    if output is not None:
        return output.with_name(f".{output.name}.memo")
    file = config.base / Path(config.file).name
    return file.with_name(f".{file.stem}.memo") if file.is_file() else None


# The version


def _behind(stage: PlannedStage) -> Behind:
    """Raises OSError if that can't be told."""
    if stage.python is None:
        return behind(stage.part.target)
    if not isinstance(stage.python.behind, Behind):
        raise OSError(stage.python.behind)
    return stage.python.behind


def _version(plan: Plan, stage: PlannedStage, found: Behind) -> tuple[bytes, dict[str, str]]:
    """The digest of everything but the record, and the files in it that the workers look at again.

    Raises NoKey for an option that can't be told from others.
    """
    named = {str(path): str(path) for path in _paths(stage.work.options)}
    files = {path: checksum(path) for path in (*found.files, *named)}
    listed = sorted((name, files[path]) for path, name in (*found.files.items(), *named.items()))
    made = [
        (FORMAT, __version__, *found.python),
        (stage.use, stage.part.target.partition(":")[2], tuple(map(bool, stage.work.form)), plan.run.max_growth),
        (stage.shown, {path: text for path, (text, _) in stage.filled.items()}, stage.settings.env),
        (listed, list(found.distributions)),
    ]
    return digest(*map(encoded, made)), files


def _paths(value: Any) -> Iterator[PurePath]:
    """The paths in options of a stage: what is behind them counts as well."""
    match value:
        case PurePath():
            yield value
        case dict():
            yield from _paths(list(value.values()))
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _paths(item)
