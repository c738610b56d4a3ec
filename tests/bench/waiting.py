"""A transform that waits. Apart from `transforms`, because importing asyncio takes longer than starting a worker."""

from __future__ import annotations

import asyncio
from typing import Any


async def asked(order: dict[str, Any]) -> dict[str, Any]:
    """For predictions: 5 ms of waiting."""
    await asyncio.sleep(0.005)
    return order
