"""`--summary FILE|-`: what a run came to, for programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec import Struct

from stagerunner.errors import RunFailed, UsageError
from stagerunner.events import Summary
from stagerunner.plan import Plan


class SummaryFile(Struct, frozen=True):
    """Where the summary goes: a path, "-" for standard output, or nowhere."""

    path: str | None

    @classmethod
    def of(cls, path: str | None, plan: Plan) -> SummaryFile:
        """Raises UsageError for a place where it can't be written, before anything is started."""
        if path == "-" and to_stdout(plan):
            raise UsageError("--summary - and the results can't both go to standard output; give --summary a file")
        if path not in (None, "-"):
            _refuse_unwritable(Path(path))
            _refuse_taken(Path(path), plan)
        return cls(path)

    def write(self, summary: Summary) -> None:
        """Raises RunFailed where that fails."""
        if self.path is None:
            return
        import json  # most runs are summed up for people

        line = json.dumps(summary.as_json()) + "\n"
        if self.path == "-":
            sys.stdout.write(line)
        else:
            try:
                Path(self.path).write_text(line)
            except OSError as error:
                raise RunFailed(f"the summary can't be written to {self.path}: {error.strerror}") from error


def to_stdout(plan: Plan) -> bool:
    """Whether the results go to standard output."""
    return plan.sink is not None and (plan.sink.part.name == "stdout" or str(plan.sink.options.get("path")) == "-")


def _refuse_taken(path: Path, plan: Plan) -> None:
    """Raises UsageError for a file that the run reads or writes."""
    parts = [part.options.get("path") for part in (plan.source, plan.sink) if part is not None]
    used = [file for found in (*parts, plan.dead_letter) for file in (found if isinstance(found, list) else [found])]
    if path.is_file() and any(isinstance(file, Path) and file.exists() and file.samefile(path) for file in used):
        raise UsageError(f"the summary would overwrite {path}, which the run reads or writes; name another file")
    if any(isinstance(file, Path) and file.absolute() == path.absolute() for file in used):
        raise UsageError(f"the summary and the run would both write {path}; name another file")


def _refuse_unwritable(path: Path) -> None:
    target = path if path.exists() else path.parent
    if path.is_dir() or not target.exists() or not os.access(target, os.W_OK):
        raise UsageError(f"the summary can't be written to {path}")
