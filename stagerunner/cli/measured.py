"""`show --sample N`: the stages run in this process, and may do whatever they do in a run."""

from __future__ import annotations

from stagerunner.engines.advice import advise
from stagerunner.engines.sampling import sample
from stagerunner.plan import Plan
from stagerunner.views.console import Console
from stagerunner.views.sample import advice_data, advice_lines


def measure(plan: Plan, number: int, out: Console, *, json: bool) -> None:
    """Say what `number` source records cost, and what would be faster. Raises what `sample` raises."""
    advice = advise(plan, sample(plan, number))
    if json:
        out.line(out.json({"format": 1, **advice_data(advice)}))
        return
    for line in advice_lines(advice):
        out.line(*line)
