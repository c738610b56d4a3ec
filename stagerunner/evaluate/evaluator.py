"""Where workers and engines get what evaluates a stage.

    evaluator = make(work)
    evaluator.setup()
    for piece in evaluator.pieces(batch): …
    evaluator.close()

The evaluator of an `async def` stage can also have several batches under way: see AwaitingEvaluator.
"""

from __future__ import annotations

from stagerunner.evaluate.awaiting import AwaitingEvaluator
from stagerunner.evaluate.calling import NO_SLOT, NOBODY, Evaluator, Quarantined
from stagerunner.evaluate.pace import Turn
from stagerunner.evaluate.work import Slot, Work

__all__ = ["NOBODY", "AwaitingEvaluator", "Evaluator", "Quarantined", "make"]


def make(work: Work, slot: Slot = NO_SLOT, turn: Turn | None = None) -> Evaluator:
    """The evaluator for this stage, not yet set up. turn: see `pace`."""
    return (AwaitingEvaluator if work.form.awaited else Evaluator)(work, slot, turn)
