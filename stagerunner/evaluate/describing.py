"""An error of the user's code in words, for those who didn't see it happen."""

from __future__ import annotations

import os

from stagerunner.evaluate.wording import causes_of, frames_of, message_of, told, type_of

OURS = __file__.removesuffix("describing.py").removesuffix(f"chain{os.sep}")
"""The package's own folder: frames of ours are of no use to whoever reads a traceback."""


def describe(error: BaseException) -> str:
    """An error of the user's code as text: its type, message, the last lines of user code it came through, and its
    causes."""
    return "\n".join(told(type_of(error), message_of(error), frames_of(error.__traceback__), causes_of(error)))
