"""Config + Catalog → Plan, with every mistake at once."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from stagerunner.catalog import Catalog
from stagerunner.config.masking import Mask
from stagerunner.config.model import Config, PartConfig
from stagerunner.errors import ConfigError, Mistake, UsageError
from stagerunner.hookspecs import EngineSpec
from stagerunner.parts import files
from stagerunner.parts.held import is_held
from stagerunner.plan import fusing
from stagerunner.plan.ends import End, plan_end
from stagerunner.plan.engine import BUILT_IN, chosen_engine, engine_options
from stagerunner.plan.model import Plan, PlannedStage
from stagerunner.plan.outputs import dead_letter_path, output_mistakes, own_files
from stagerunner.plan.promise import notes
from stagerunner.plan.selection import selected
from stagerunner.plan.spelling import EndKind
from stagerunner.plan.stages import plan_stage


def make_plan(
    config: Config,
    catalog: Catalog,
    *,
    records_given: bool = False,
    take_results: bool = False,
    limit: int | None = None,
    engine: str | None = None,
    only: str | None = None,
    resumed: bool = False,
) -> Plan:
    """Check everything and start nothing; only what the chain uses is imported.

    records_given: the caller gives the records, no source is planned. take_results: the caller takes the results, no
    sink is planned. limit: source records to be read at most. engine: its name, before the file's. only: the stages
    "a..b" alone. resumed: an output that is there may be the run's own. Raises ConfigError with all mistakes of config,
    plugins and plan; UsageError for a limit below 0.
    """
    if limit is not None and limit < 0:
        raise UsageError(f"a limit of {limit} records makes no sense")
    planning = _Planning(config, catalog)
    spec = planning.engine(engine)
    planned = planning.stages(spec, only)
    source = None if records_given else planning.end("source", spec)
    sink = None if take_results else planning.end("sink", spec, resumed=resumed)
    planning.blame(output_mistakes(config, source, sink))
    options, wrong = engine_options(config, spec)
    planning.blame(wrong)
    planning.judge()
    plan = Plan(
        name=config.name,
        stages=planned,
        source=None if source is None else source.planned,
        sink=None if sink is None else sink.planned,
        dead_letter=dead_letter_path(config),
        run=replace(config.run, engine=spec.name),
        engine_target=spec.target,
        engine_options=options,
        files=files.known(),
        own=own_files(config),
        started_hooks=catalog.started_hooks,
        stopping_hooks=catalog.stopping_hooks,
        secrets=config.secrets,
        masked=config.masked,
        limit=limit,
    )
    return replace(plan, notes=(*notes(plan), *fusing.said(plan)))


class _Planning:
    """Plans piece by piece, goes on past mistakes and raises them all at the end."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self._config = config
        self._catalog = catalog
        self._mistakes = [*config.mistakes, *catalog.mistakes]

    def blame(self, mistakes: Iterable[Mistake]) -> None:
        self._mistakes += mistakes

    def judge(self) -> None:
        """Raises ConfigError if anything was wrong."""
        if self._mistakes:
            mask = Mask(self._config.secrets)
            raise ConfigError(_masked(mistake, mask) for mistake in dict.fromkeys(self._mistakes))

    def engine(self, name: str | None) -> EngineSpec:
        found = chosen_engine(self._config, self._catalog, name)
        if isinstance(found, Mistake):
            self.blame([found])
            return BUILT_IN["process"]
        return found

    def stages(self, engine: EngineSpec, only: str | None) -> tuple[PlannedStage, ...]:
        chosen = selected(self._config.stages, only)
        if isinstance(chosen, Mistake):
            self.blame([chosen])
            return ()
        planned = []
        for index, stage in enumerate(chosen):
            outcome = plan_stage(self._config, self._catalog, engine, index, stage)
            if isinstance(outcome, list):
                self.blame(outcome)
            else:
                self.blame(_out_of_workers_reach(stage, outcome.part.target, engine))
                planned.append(outcome)
        return tuple(planned)

    def end(self, kind: EndKind, engine: EngineSpec, *, resumed: bool = False) -> End | None:
        outcome = plan_end(self._config, self._catalog, kind, resumed=resumed)
        if isinstance(outcome, list):
            self.blame(outcome)
            return None
        self.blame(_out_of_workers_reach(outcome.written, outcome.planned.part.target, engine))
        return outcome


def _out_of_workers_reach(part: PartConfig, target: str, engine: EngineSpec) -> list[Mistake]:
    """A mistake where a part is held by this process alone, and others are to run it."""
    if engine.name == "inline" or not is_held(target):
        return []
    why = f"'{part.use.text}' is a lambda, local, or defined in __main__: a worker process can't import it"
    message = f"{why}; move it to a module, or take engine='inline'"
    return [Mistake("not-importable", message, part.use.mark, f"{part.path}.use")]


def _masked(mistake: Mistake, mask: Mask) -> Mistake:
    """What a plugin says of a value may hold the secret that it was given. The line it stands in is masked when it is
    drawn: a caret stands below it."""
    return mistake._replace(message=mask(mistake.message), fix=mask(mistake.fix), path=mask(mistake.path))
