"""`show --sample N`: the stages run in this process, and may do whatever they do in a run."""

from __future__ import annotations

from stagerunner.engines.process.parent.memory import cores
from stagerunner.plan import Plan
from stagerunner.runtime.forecast import as_written, better
from stagerunner.runtime.sample import sample
from stagerunner.views.console import Console
from stagerunner.views.sample import sample_data, sample_lines


def measure(plan: Plan, number: int, out: Console, *, json: bool) -> None:
    """Say what `number` source records cost, and what would be faster. Raises what `sample` raises."""
    seen, usable = sample(plan, number), cores()
    told = seen, as_written(plan, seen, usable), better(plan, seen, usable), usable
    if json:
        out.line(out.json({"format": 1, **sample_data(*told)}))
        return
    for line in sample_lines(*told):
        out.line(*line)
