"""A plugin can be one file: every decorated function in it is a stage."""

from __future__ import annotations

from stagerunner import stage


@stage
def shout(text: str, *, times: int = 1) -> str:
    """Say it louder.

    times: how many exclamation marks.
    """
    return text.upper() + "!" * times
