"""Many cases side by side; what went wrong in each, and how to have it again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WIDTH = max(2, (os.cpu_count() or 2) + 1)
"""Runs under way at a time: one more than cores, since a run sometimes waits."""


def in_parallel(
    items: Iterable[Item], examine: Callable[[Item], Result], width: int = WIDTH
) -> tuple[dict[Item, Result], dict[Item, BaseException]]:
    """What `examine` gave for each item, and what it raised. width: how many at a time."""
    results, failures = {}, {}
    with ThreadPoolExecutor(width) as pool:
        futures = {item: pool.submit(examine, item) for item in items}
        for item, future in futures.items():
            error = future.exception()
            if error is None:
                results[item] = future.result()
            else:
                failures[item] = error
    return results, failures


def report(failures: dict[Item, BaseException], again: str) -> str:
    """The failures as text; `again` is a command with {item} in it."""
    lines = [
        f"{item}: {type(error).__name__}: {error}\n  again: {again.format(item=item)}"
        for item, error in failures.items()
    ]
    return f"{len(failures)} failed:\n" + "\n".join(lines)
