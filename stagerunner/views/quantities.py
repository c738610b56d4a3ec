"""Settings in the words of the grammar again: 0.2 seconds are `200ms`, 67108864 bytes `64MiB`."""

from __future__ import annotations

from typing import Any

from stagerunner.config.model import Retry

_DURATIONS = frozenset(("timeout", "start_timeout", "linger", "grace", "checkpoint", "delay", "max"))
_SIZES = frozenset(("window", "max_record", "max_growth", "max_memory"))


def written(name: str, value: Any) -> Any:
    """The value of the setting `name` as a config would say it."""
    if isinstance(value, Retry):
        return value.attempts
    if name in _DURATIONS:
        return f"{value:g}s" if value >= 1 or not value else f"{value * 1000:g}ms"
    if name in _SIZES:
        return size(value)
    return value


def size(value: int) -> str:
    """Bytes in the largest unit that they are whole in."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if value and value % 1024**power == 0:
            return f"{value // 1024**power}{unit}"
    return f"{value}B"
