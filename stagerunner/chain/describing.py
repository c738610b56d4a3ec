"""An error of the user's code in words, for those who didn't see it happen."""

from __future__ import annotations

import os

OURS = __file__.removesuffix("describing.py").removesuffix(f"chain{os.sep}")
"""The package's own folder: frames of ours are of no use to whoever reads a traceback."""


def describe(error: BaseException) -> str:
    """An error of the user's code as text: its type, message, and the last lines of user code it came through."""
    head, frames = f"{type(error).__name__}: {_message(error)}", []
    at = error.__traceback__
    while at is not None:
        file = at.tb_frame.f_code.co_filename
        if not file.startswith(("<frozen", OURS)):
            frames.append(f"  {file}:{at.tb_lineno} in {at.tb_frame.f_code.co_name}")
        at = at.tb_next
    return "\n".join([head, *frames[-4:]])


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:
        return "<unprintable>"
