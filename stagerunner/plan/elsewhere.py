"""Stages that run in another Python (the setting `python`): it is asked what the part is, and nothing of it is
imported here."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stagerunner.catalog import Catalog
from stagerunner.catalog.model import Located
from stagerunner.config.model import Config, PartConfig
from stagerunner.config.nodes import Scalar
from stagerunner.config.paths import UNKNOWN_USER, has_unknown_user, resolve_path
from stagerunner.errors import Mistake
from stagerunner.evaluate.describing import DescribedOption, Description, answered, unpacked
from stagerunner.guard import reason
from stagerunner.interpreters import OLDEST, TOO_OLD, environment, know_other_names, program
from stagerunner.parts import files
from stagerunner.parts.base import Part, first_sentence
from stagerunner.parts.hooks import PROJECT
from stagerunner.plan.ends import End
from stagerunner.plan.model import Elsewhere, PlannedStage, Python
from stagerunner.plan.values import environment_of

SHOWN = 100
"""Characters of what another Python says that a message quotes."""


class _Wrong(Exception):
    """code, message, fix: as in a Mistake. It stands at `use`, unless `at_python`."""

    def __init__(self, code: str, message: str, fix: str = "", *, at_python: bool = False) -> None:
        super().__init__(message)
        self.code, self.fix, self.at_python = code, fix, at_python


def part_elsewhere(config: Config, catalog: Catalog, stage: PartConfig, written: Scalar) -> Elsewhere | Mistake:
    """The part of a stage, as the Python that `written` names describes it, or a mistake."""
    know_other_names()  # what comes back may be a path
    located = catalog.locate("stage", stage.use, config.base_of(stage.use.mark), f"{stage.path}.use")
    if isinstance(located, Mistake):
        advice = "a plugin that is installed only there has no names here: write package.module:name"
        return located._replace(fix=located.fix or (advice if located.code == "unknown-stage" else ""))
    try:
        executable = _executable(resolve_path(config.base_of(written.mark), written.text), written.text)
        said = _asked(stage, located, executable, written.text)
        found = _stand_in(located.target, said)
    except _Wrong as why:
        mark, key = (written.mark, "python") if why.at_python else (stage.use.mark, "use")
        return Mistake(why.code, str(why), mark, f"{stage.path}.{key}", why.fix)
    name = located.part.name if located.part else located.target.rpartition(":")[2].lower()
    part = Part("stage", name, located.target, first_sentence(found), state=said.state, memo=said.memo, found=found)
    python = Python(written.text, executable, said.version, said.lacks, said.code, said.behind)
    return Elsewhere(part, found, located.provider, said.form, python)


def end_mistakes(
    stages: Sequence[PartConfig], planned: Sequence[PlannedStage], ends: Iterable[tuple[int, End]]
) -> Iterator[Mistake]:
    """A mistake for each end of the chain whose source or sink can't run in the Python of its stage.

    ends: the source and the sinks, each with the index of the stage in whose workers it runs.
    """
    for place, end in ends:
        if not end.planned.provider.startswith(f"{PROJECT} "):
            continue
        python = planned[place].python
        if python is not None and python.lacks:
            missing = " and ".join(python.lacks)
            message = (
                f"'{end.planned.use}' runs in the workers of '{planned[place].name}', and their Python has no {missing}"
            )
            fix = f"{python.executable} -m pip install {missing}; or put a stage of this Python at the end of the chain"
            yield Mistake("python", message, stages[place].given["python"], f"{stages[place].path}.python", fix)


def _executable(path: Path, text: str) -> str:
    """The program of an environment, or the path itself if it is one."""
    if has_unknown_user(text):
        raise _Wrong("python", f"'{text}' isn't a folder: {UNKNOWN_USER}", at_python=True)
    if path.is_file():
        return os.path.abspath(path)  # noqa: PTH100 - a link must stay one: it tells Python its environment
    if not path.is_dir():
        raise _Wrong("python", f"there is no folder {path}", f"make it: python3 -m venv {text}", at_python=True)
    found = path / "bin" / "python"
    if found.is_symlink() and not found.exists():
        message = f"the Python of {path} is gone: its bin/python leads to {os.path.realpath(found)}"
        raise _Wrong("python", message, f"make the environment again: python3 -m venv --clear {text}", at_python=True)
    if not found.exists():
        message = f"{path} isn't a Python environment: there is no bin/python in it"
        raise _Wrong("python", message, "name the folder of a virtual environment", at_python=True)
    return os.path.abspath(found)  # noqa: PTH100 - as above


def _asked(stage: PartConfig, located: Located, executable: str, text: str) -> Description:
    """What the other Python says of the part. Raises _Wrong."""
    memo = stage.settings.memo
    ours = [located.target.partition(".")[0]] if located.provider.startswith(f"{PROJECT} ") else []
    statement = "from stagerunner.evaluate.describing import main; main()"
    try:
        ended = subprocess.run(
            [executable, "-c", program(statement, ours)],
            input=pickle.dumps((files.registered(), located.target, None if memo is None else not memo.off), 5),
            capture_output=True,
            timeout=stage.settings.start_timeout,
            env=environment({**os.environ, **environment_of(stage.settings)}),
        )
    except subprocess.TimeoutExpired:
        message = f"the Python in {text} didn't import it within {stage.settings.start_timeout:g} s"
        raise _Wrong("python", message, "give it a longer `start_timeout`") from None
    except OSError as error:
        raise _Wrong("python", f"{executable} can't be run: {reason(error)}", at_python=True) from None
    said = ended.stderr.decode(errors="replace").strip()
    if ended.returncode == TOO_OLD:
        message = f"{text} has Python {said}, and {OLDEST[0]}.{OLDEST[1]} is the oldest that can run stages"
        raise _Wrong("python", message, at_python=True)
    try:
        answer = answered(ended.stdout)
    except Exception:
        why = said.splitlines()[-1][:SHOWN] if said else f"it ended with {ended.returncode} and said nothing"
        raise _Wrong("python", f"{executable} isn't a Python that can run stages: {why}", at_python=True) from None
    if isinstance(answer, str):
        message = f"'{stage.use.text}' can't be used in the Python of {text}: {answer}"
        missing = answer.startswith("ModuleNotFoundError")
        raise _Wrong("import-failed", message, f"install it there: {executable} -m pip install …" if missing else "")
    found: Description = answer
    return found


def _stand_in(target: str, said: Description) -> type:
    """A class with the options of the part, which stands for it in the plan. Raises _Wrong."""
    module, _, name = target.partition(":")
    made = type(name.rpartition(".")[2], (), {"__doc__": said.doc, "__module__": module})
    made.__signature__ = inspect.Signature(list(_parameters(said)))  # type: ignore[attr-defined]
    return made


def _parameters(said: Description) -> Iterator[inspect.Parameter]:
    for option in said.options:
        default = inspect.Parameter.empty if option.required else _default(option)
        yield inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_hint(option))


def _hint(option: DescribedOption) -> Any:
    try:
        return unpacked(option.hint or b"")
    except Exception:
        message = f"its option '{option.name}' is of type {option.written}, which only the other Python knows"
        raise _Wrong("options", message, "give it a type of Python's own, and make the value from it there") from None


def _default(option: DescribedOption) -> Any:
    try:
        return unpacked(option.default or b"")
    except Exception:
        return "…"
