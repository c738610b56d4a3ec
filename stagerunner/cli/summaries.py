"""`--summary FILE|-`: what a run came to, for programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec import Struct

from stagerunner.errors import RunFailed, UsageError
from stagerunner.events import Summary
from stagerunner.plan import Plan
from stagerunner.plan.outputs import used_by


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
            if used_by(plan, Path(path)):
                raise UsageError(f"the summary would overwrite {path}, a file of the run's; name another file")
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


def _refuse_unwritable(path: Path) -> None:
    target = path if path.exists() else path.parent
    if path.is_dir() or not target.exists() or not os.access(target, os.W_OK):
        raise UsageError(f"the summary can't be written to {path}")
