"""`stagerunner show FILE`: the chain as it will run, with the origin of each value, or how fast it will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stagerunner.cli import flags
from stagerunner.cli.flags import Command, flag
from stagerunner.cli.streams import Streams
from stagerunner.plan import Plan, PlannedPart
from stagerunner.plan.fusing import fusion_notes
from stagerunner.plan.preparing import prepare
from stagerunner.views.console import Console
from stagerunner.views.resolved import Tree, origins, resolved, values_of, yaml_lines

_WIDEST = 60
"""Origins are aligned at this column at most; a longer line pushes its own further."""


@click.command(cls=Command)
@click.argument("file", type=flags.FILE)
@flags.as_json
@flag("Options", "--graph", is_flag=True, help="Print the chain as one line: what feeds what.")
@flag(
    "Options",
    "--sample",
    "number",
    metavar="N",
    type=flags.WholeNumber(min=1),
    help="Take N source records through the stages, write nothing, and say what each costs and what would be faster.",
)
@flags.change_flags
@flags.output_flags
@click.pass_obj
def command(streams: Streams, /, file: str, json: bool, graph: bool, number: int | None, **given: Any) -> None:
    """Print the chain in FILE as it will run, and where each value comes from. Secrets are not shown."""
    chain = prepare(Path(file), flags.request_of(given), streams.conceal)
    out = streams.out()
    if graph:
        out.line(picture(chain.plan))
        return
    if number is not None:
        streams.unwind_at_interrupt()
        _print_sample(chain.plan, number, out, json=json)
        return
    tree = resolved(chain.config, chain.plan)
    if json:
        data = {
            "format": 1,
            "config": values_of(tree),
            "origins": origins(tree),
            "fusion": list(fusion_notes(chain.plan)),
        }
        out.line(out.json(data))
    else:
        _print(tree, out)
        for sentence in fusion_notes(chain.plan):
            out.line(("dim", f"# {sentence}"))


def _print(tree: dict[str, Tree], out: Console) -> None:
    lines = yaml_lines(tree)
    column = min(_WIDEST, max(len(line) for line, _ in lines))
    for line, origin in lines:
        out.line(line.ljust(column) if origin else line, ("dim", f"  # {origin}" if origin else ""))


def _print_sample(plan: Plan, number: int, out: Console, *, json: bool) -> None:
    """Run `number` source records through the stages in this process; print their cost and what would be faster."""
    # Late: most of what a run needs, and `show` alone needs none of it.
    from stagerunner.engines.process.parent.memory import cores
    from stagerunner.runtime.forecast import as_written, better
    from stagerunner.runtime.sample import sample
    from stagerunner.views.sample import sample_data, sample_lines

    measured, usable = sample(plan, number), cores()
    forecasts = as_written(plan, measured, usable), better(plan, measured, usable)
    if json:
        out.line(out.json({"format": 1, **sample_data(measured, *forecasts, usable)}))
        return
    for line in sample_lines(measured, *forecasts, usable):
        out.line(*line)


def picture(plan: Plan) -> str:
    """ "lines ─▶ parse ×2 ─▶ hide-people ×4 ─▶ jsonl"."""
    stages = [
        stage.name + (f" ×{stage.settings.workers}" if stage.settings.workers > 1 else "") for stage in plan.stages
    ]
    source = [", ".join(part.part.name for part in plan.sources)] if plan.sources else []
    sinks = [", ".join(map(_pictured, plan.sinks))] if plan.sinks else []
    return " ─▶ ".join([*source, *(stages or ["copy"]), *sinks])


def _pictured(sink: PlannedPart) -> str:
    return sink.part.name + (f" (when {sink.settings.when})" if sink.settings.when else "")
