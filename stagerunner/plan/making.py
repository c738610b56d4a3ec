"""Config + Catalog → Plan, with every mistake at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from stagerunner.catalog import Catalog
from stagerunner.config.masking import Mask
from stagerunner.config.model import Config, PartConfig
from stagerunner.config.wording import did_you_mean, listed
from stagerunner.errors import ConfigError, Mark, Mistake, Stopped, UsageError
from stagerunner.hookspecs import EngineSpec
from stagerunner.parts import files
from stagerunner.parts.held import is_held
from stagerunner.plan import fusing
from stagerunner.plan.devices import with_devices
from stagerunner.plan.ends import UNREACHABLE, End, EndKind, plan_end, written_ends
from stagerunner.plan.engines import BUILT_IN, chosen_engine, engine_options
from stagerunner.plan.model import Plan, PlannedStage
from stagerunner.plan.outputs import letters_path, output_mistakes, output_of, own_files
from stagerunner.plan.promise import notes
from stagerunner.plan.source_list import in_order
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
    """Check everything and start nothing. Only the parts that the chain uses are imported.

    records_given: the caller gives the records, so there is no source. take_results: the caller takes the results, so
    there is no sink. limit: source records to read at most. engine: overrides the config's. only: the stages "a..b".
    resumed: an output that exists may be the run's own.
    Raises ConfigError with all mistakes of config, plugins and plan; UsageError for a negative limit.
    """
    if limit is not None and limit < 0:
        raise UsageError(f"a limit of {limit} records makes no sense")
    planning = _Planning(config, catalog)
    spec = planning.engine(engine)
    planned = planning.stages(spec, only)
    sources = [] if records_given else planning.ends("source", spec)
    sinks = [] if take_results else planning.ends("sink", spec, resumed=resumed)
    planning.report(output_mistakes(config, sources, sinks))
    planning.report(_ends_elsewhere(config, planned, [*((0, end) for end in sources), *((-1, end) for end in sinks)]))
    options, wrong = engine_options(config, spec)
    planning.report(wrong)
    planning.raise_mistakes()
    plan = Plan(
        name=config.name,
        stages=planned,
        source=in_order([source.planned for source in sources]),
        sinks=tuple(sink.planned for sink in sinks),
        dead_letter=letters_path(config, config.dead_letter),
        dropped=letters_path(config, config.dropped),
        run=replace(config.run, engine=spec.name),
        engine=spec,
        engine_options=options,
        files=files.registered(),
        own=own_files(config),
        started_hooks=catalog.started_hooks,
        stopping_hooks=catalog.stopping_hooks,
        secrets=config.secrets,
        masked=config.masked,
        limit=limit,
    )
    plan = planning.with_memos(plan, sinks)
    return replace(plan, notes=(*notes(plan), *fusing.fusion_notes(plan)))


class _Planning:
    """Plans piece by piece and collects mistakes, to raise them all at the end."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self._config = config
        self._catalog = catalog
        self._mistakes = [*config.mistakes, *catalog.mistakes]

    def report(self, mistakes: Iterable[Mistake]) -> None:
        self._mistakes += mistakes

    def raise_mistakes(self) -> None:
        """Raise ConfigError if there are any; Stopped if only a server doesn't answer."""
        if self._mistakes:
            mask = Mask(self._config.secrets)
            if all(mistake.code == UNREACHABLE for mistake in self._mistakes):
                raise Stopped("\n".join(mask(mistake.message) for mistake in self._mistakes))
            raise ConfigError(_masked(mistake, mask) for mistake in _each_once(self._mistakes))

    def engine(self, name: str | None) -> EngineSpec:
        found = chosen_engine(self._config, self._catalog, name)
        if isinstance(found, Mistake):
            self.report([found])
            return BUILT_IN["process"]
        return found

    def stages(self, engine: EngineSpec, only: str | None) -> tuple[PlannedStage, ...]:
        chosen = selected(self._config.stages, only)
        if isinstance(chosen, Mistake):
            self.report([chosen])
            return ()
        planned = []
        for index, stage in enumerate(chosen):
            outcome = plan_stage(self._config, self._catalog, engine, index, stage)
            if isinstance(outcome, list):
                self.report(outcome)
            else:
                self.report(_unreachable_in_workers(stage, outcome.part.target, engine))
                planned.append(outcome)
        if engine.name != "process":
            return tuple(planned)
        dealt, mistakes = with_devices(planned)
        self.report(mistakes)
        return dealt

    def with_memos(self, plan: Plan, sinks: Sequence[End]) -> Plan:
        """The plan with the memos of its stages. Raises ConfigError if any can't be kept."""
        if all(stage.settings.memo is None for stage in plan.stages):
            return plan
        # Late: hashing, which loads OpenSSL, and reading of distributions.
        from stagerunner.plan.memo import with_memos

        planned, mistakes = with_memos(plan, self._config, output_of(sinks))
        self.report(mistakes)
        self.raise_mistakes()
        return planned

    def ends(self, kind: EndKind, engine: EngineSpec, *, resumed: bool = False) -> list[End]:
        """The source, or the sinks."""
        planned = []
        for written in written_ends(self._config, kind):
            outcome = plan_end(self._config, self._catalog, kind, written, resumed=resumed)
            if isinstance(outcome, list):
                self.report(outcome)
            else:
                self.report(_unreachable_in_workers(outcome.written, outcome.planned.part.target, engine))
                planned.append(outcome)
        return planned


def _unreachable_in_workers(part: PartConfig, target: str, engine: EngineSpec) -> list[Mistake]:
    """A mistake if workers are to run a part that only this process can reach."""
    if engine.in_process or not is_held(target):
        return []
    why = f"'{part.use.text}' is a lambda, local, or defined in __main__: a worker process can't import it"
    message = f"{why}; move it to a module, or take engine='inline'"
    return [Mistake("not-importable", message, part.use.mark, f"{part.path}.use")]


def _ends_elsewhere(
    config: Config, planned: Sequence[PlannedStage], ends: Sequence[tuple[int, End]]
) -> Iterable[Mistake]:
    if not any(stage.python is not None for stage in planned):
        return ()
    from stagerunner.plan.elsewhere import end_mistakes  # late: few chains have such stages

    named = {stage.name: stage for stage in config.stages}
    return end_mistakes([named[stage.name] for stage in planned], planned, ends)


def _each_once(mistakes: Sequence[Mistake]) -> Iterable[Mistake]:
    """The mistakes without repetition: an option beside `use:` is unknown there, and missing under `with:`. Nothing is
    missing in a `with:` that is no mapping.
    """
    unread = {mistake.path for mistake in mistakes if mistake.code == "type"}
    unknown = {mistake.path for mistake in mistakes if mistake.code == "unknown-key"}
    misplaced = {
        mistake.path: beside
        for mistake in mistakes
        if mistake.code == "missing-option" and (beside := mistake.path.replace(".with.", ".", 1)) in unknown
    }
    for mistake in dict.fromkeys(mistakes):
        if mistake.code == "unknown-key" and mistake.path in misplaced.values():
            name = mistake.path.rpartition(".")[2]
            yield mistake._replace(fix=f"options stand under `with:`, so write `with: {{{name}: …}}`")
        elif mistake.code == "missing-option" and mistake.path.rpartition(".")[0] in unread:
            continue
        elif mistake.path not in misplaced:
            yield mistake


def _masked(mistake: Mistake, mask: Mask) -> Mistake:
    """The mistake with secrets masked: a plugin's message may quote one.

    The source line is masked later, when it is drawn, because the caret below it has to move too.
    """
    return mistake._replace(message=mask(mistake.message), fix=mask(mistake.fix), path=mask(mistake.path))


# A part of the chain


def selected(stages: tuple[PartConfig, ...], only: str | None) -> tuple[PartConfig, ...] | Mistake:
    """The stages from a to b, both included: "a..b", "a..", "..b", or "a" for one."""
    if only is None:
        return stages
    first, dots, last = only.partition("..") if ".." in only else (only, "", only)
    names = [stage.name for stage in stages]
    for name, column in ((first, 1), (last, len(first + dots) + 1)):
        if name not in names and (name or not dots):
            mark = Mark("--only", 1, column, only, len(name))
            fix = did_you_mean(name, names) or f"there is {listed(names)}"
            return Mistake("unknown-stage", f"no stage of this chain is named '{name}'", mark, fix=fix)
    start = names.index(first) if first else 0
    stop = names.index(last) if last else len(names) - 1
    if first and last and start > stop:
        mark = Mark("--only", 1, 1, only, len(only))
        return Mistake("only", f"'{first}' comes after '{last}'", mark, fix=f"write {last}..{first}")
    return stages[start : stop + 1]
