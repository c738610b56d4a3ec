"""What waits for somebody else; apart from `transforms`, for asyncio takes longer to import than a worker to begin."""

from __future__ import annotations

import asyncio
from typing import Any


async def asked(order: dict[str, Any]) -> dict[str, Any]:
    """For predictions: 5 ms of waiting for somebody else."""
    await asyncio.sleep(0.005)
    return order
