"""How the fork server and the source process start.

What they inherit is set right first. If one of them fails, it says so in one line: a traceback of ours helps no user.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module
from types import TracebackType

from stagerunner.inherited import is_refusal, restore_signals, signal_at_parents_end

REFUSED = 75
"""Exit status of a process that the system refused memory, descriptors or processes."""

DISCONNECTED = 72
"""Exit status of a worker whose stage closed its descriptors."""

UNREADABLE = 73
"""Exit status of a worker that can't unpickle what came."""

FAILED = 70
"""Exit status of a process that ended by a fault of stagerunner."""


def begin(module: str) -> None:
    """Import this module and run its `main`. The garbage collector is off until then."""
    sys.excepthook = tell
    restore_signals()
    signal_at_parents_end(signal.SIGCONT)  # if it is stopped, it wakes up to kill what it has started
    main = import_module(module).main
    gc.enable()
    main()


def tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say in one line what ended this process, and end it."""
    refused = is_refusal(error)
    why = f"the system refused a process of stagerunner: {str(error) or kind.__name__}"
    if not refused:
        position = _last(traceback)
        why = f"a process of stagerunner failed: {kind.__name__}: {error} ({position})"
    os.write(2, f"{why}\n".encode(errors="backslashreplace"))
    os._exit(REFUSED if refused else FAILED)


def _last(traceback: TracebackType | None) -> str:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return "" if traceback is None else f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
