"""What can go wrong, and its exit code.

    StagerunnerError
    ├── ConfigError        2    mistakes in the config, its options or its plugins; nothing was started
    ├── UsageError         2    the call itself is wrong (a missing file, an impossible flag)
    ├── RunFailed          1    the run ended in failure
    │   ├── StageFailed         a record failed where `on_error` is `fail`, or too many failed
    │   ├── SetupFailed         a worker could not be set up
    │   └── WorkerDied          a worker ended by signal or exit, and the run could not go on
    ├── OutputBusy        73    another run owns this output
    ├── Stopped           75    stopped, but not by a signal (disk full, budget spent …); can be resumed
    ├── Interrupted   128 + n   stopped by signal n; can be resumed
    ├── ReaderGone       141    the reader of our standard output has left
    └── InternalError     70    a bug in stagerunner itself

`Reject`, `Drop` and `RetryLater` stand outside the tree. A transform raises them, to refuse a record, to filter it out,
and to have it tried again later.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagerunner.events import Summary
    from stagerunner.records import Failure


class Mark(NamedTuple):
    """A place in a text. `line` and `column` count from 1; `text` is that line without its end.

    A config that is a Python mapping has no lines. Then `file` is the path of the value, `line` its number in order,
    and `column` 0.
    """

    file: str
    line: int = 1
    column: int = 1
    text: str = ""
    width: int = 1

    def __str__(self) -> str:
        if not self.column:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def order(self) -> tuple[str, int, int]:
        """The sort key of marks."""
        return self.file if self.column else "", self.line, self.column


class Mistake(NamedTuple):
    """One thing wrong in a config: what (`code`, `message`), where (`mark`, `path`), what to do (`fix`)."""

    code: str
    message: str
    mark: Mark
    path: str = ""
    fix: str = ""
    related: tuple[tuple[Mark, str], ...] = ()


class Reject(Exception):
    """Raised by a transform to refuse the record it was given; the text says why."""


class Drop(Exception):
    """Raised by a transform to filter out the record it was given; the text says why. It is no failure."""


class RetryLater(Exception):
    """Raised by a transform when a service asks for patience: no worker of its stage begins a call within the next
    `seconds`, then the record is tried again. That isn't one of the attempts of `retry`.

    why: the message of the failure, if the record asks for more than an hour in all. Raises ValueError if `seconds`
    is negative or not finite, TypeError if it is no number.
    """

    def __init__(self, seconds: float, why: str = "") -> None:
        try:
            fits = 0 <= seconds < inf
        except TypeError:
            raise TypeError(
                f"RetryLater takes a number of seconds to wait, as in float(text), not {seconds!r}"
            ) from None
        if not fits:
            raise ValueError(f"RetryLater takes the number of seconds to wait, not {seconds!r}")
        super().__init__(why or f"asked to be tried again in {seconds:g} s")
        self.seconds = float(seconds)


class StagerunnerError(Exception):
    """The root of everything stagerunner raises itself."""

    exit_code = 1
    summary: Summary | None = None
    """The summary of the run, if there was one."""


class ConfigError(StagerunnerError):
    """Everything wrong with a config, by line. Nothing was started."""

    exit_code = 2

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda m: m.mark.order))
        super().__init__("\n".join(f"{m.mark}: {m.message}" + (f"; {m.fix}" if m.fix else "") for m in self.mistakes))


class UsageError(StagerunnerError):
    """The call itself is wrong."""

    exit_code = 2


class RunFailed(StagerunnerError):
    """The run ended in failure; the message is the root cause."""


class StageFailed(RunFailed):
    """A record failed where `on_error` is `fail`; `failure` says which, where and why, `advice` how to go on."""

    def __init__(self, message: str, failure: Failure | None = None, advice: str = "") -> None:
        super().__init__(message)
        self.failure = failure
        self.advice = advice


class SetupFailed(RunFailed):
    """A worker could not import or set up its stage."""


class WorkerDied(RunFailed):
    """A worker died by a signal or exited, and the run could not go on."""


class OutputBusy(StagerunnerError):
    """Another run owns this output."""

    exit_code = 73


class Stopped(StagerunnerError):
    """Stopped before the end by something that may be over later; `--resume` goes on."""

    exit_code = 75


class Interrupted(StagerunnerError):
    """Stopped by a signal; `--resume` goes on."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum
        self.exit_code = 128 + signum


class ReaderGone(StagerunnerError):
    """The reader of our standard output has closed it."""

    exit_code = 141


class InternalError(StagerunnerError):
    """A bug in stagerunner itself."""

    exit_code = 70
