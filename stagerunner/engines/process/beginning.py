"""How our processes begin, the parent aside: the fork server, and the process of a stream source.

What they inherit is set right first. What ends one of them before its time is told in a line: whoever started the run
can do nothing with a traceback of ours.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from functools import cache
from importlib import import_module
from types import TracebackType
from typing import Any

from stagerunner.inherited import hear_signals, is_refusal

REFUSED = 75
"""Exit status of a process to which the system refused what it needs."""

DISCONNECTED = 72
"""That of a worker whose descriptors were closed by what runs in it."""

FAILED = 70
"""That of one which ended by a fault of ours."""

PR_SET_PDEATHSIG = 1


def begin(module: str) -> None:
    """Import this module of ours and run its `main`; the collector was stopped for that long."""
    sys.excepthook = tell
    hear_signals()
    signal_at_parents_end(signal.SIGCONT)  # one that is stopped then has still to end what it has started
    main = import_module(module).main
    gc.enable()
    main()


def signal_at_parents_end(number: int) -> None:
    """Ask the kernel for this signal when the parent ends (Linux; elsewhere the end of a pipe has to do).

    It comes too when the thread ends that started us, and again at the end of the next one that takes its place.
    """
    if sys.platform.startswith("linux"):
        _libc().prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


@cache
def _libc() -> Any:
    import ctypes  # only our own processes need it, and not everywhere

    return ctypes.CDLL(None)


def tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say in a line what ended this process, and end it."""
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
