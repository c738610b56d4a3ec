"""Transforms that wait. Apart from the others, because importing asyncio takes longer than starting a worker."""

from __future__ import annotations

import asyncio
from typing import Any

from expensive import note


async def asked(order: dict[str, Any]) -> dict[str, Any]:
    """For predictions: 5 ms of waiting."""
    await asyncio.sleep(0.005)
    return order


async def tailed(text: str, *, log: str, seconds: float, every: int, long: float) -> str:
    """For job K: half to one and a half of `seconds`, but one call in `every` takes `long`."""
    number = int(text)
    note(log, "+", 1, text)
    spread = 0.5 + number * 7919 % 997 / 997
    await asyncio.sleep(long if number % every == every // 2 else seconds * spread)
    note(log, "-", 1, text)
    return text
