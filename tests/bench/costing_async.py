"""The async stage of the grid, in a module of its own: importing asyncio takes longer than starting a worker."""

from __future__ import annotations

import asyncio

from costing import Costing, busy

from stagerunner import stage


@stage
class Async(Costing):
    """Many at once, if they wait."""

    async def process(self, text: str) -> str:
        if self.cost >= 1e-3:
            await asyncio.sleep(self.cost)
        else:
            busy(self.cost)
        return text
