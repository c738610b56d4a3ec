"""A scenario: everything about a run that its seed determines in advance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from simulator.behaviour import FORMS, PRIME, Behaviour, form_of

from stagerunner.config.model import Run, Settings
from stagerunner.evaluate.work import Work
from stagerunner.parts.base import Part
from stagerunner.plan import Plan, PlannedPart, PlannedStage

HARMLESS = ("add", "add", "drop", "grow", "grow", "fail", "number", "sum", "hoard")
DEADLY = ("poison", "poison", "poison", "heavy", "heavy", "murky", "crowd")
"""The last two kill where a record is decoded, which the first stage doesn't do."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A chain, its source, and what is going to happen to it.

    values: the source's records. lengths: records per split. hint: whether splits say how many records they hold
    ("exact", "over", "none"). malformed: every so many-th value can't be read, 0: none.
    deals: now and then a busy worker is passed over, and gets a skip frame in its turn.
    frame, window, least: the window's settings; least None: the real ones. capacity: bytes of a pipe;
    an END fits, as it does in every real pipe.
    kills: most deaths by outsiders, and how likely one is at a move. crashes: for each life of the parent that
    ends early, ("step", "disk" or "lead", how many of them it has); a lead is a commit that not every sink has made
    yet. drains: the life that is asked to stop in good order.
    fine: workers can be stopped between two records. burst: most moves of one worker in a row. patience:
    most of them between two looks of the parent. fused: stages share workers where they may. weights: nanoseconds that
    each of them has worked, as soon as the parent has looked so often (`looks`): then it may want other groups.
    further: what sinks beside the first one keep; each gets every result.
    marks: the source is a stream that can be resumed at its marks only; how likely one stands behind a split. 0: it is
    splittable.
    refusal: what becomes of a result whose key (`key_of`) a sink has already ("skip", "dead_letter"); "": it is taken.
    slow: the reader of the results reads only now and then. loud: what kills its worker does so by a signal that nobody
    sends from outside.
    """

    seed: int
    stages: tuple[Behaviour, ...]
    values: tuple[int, ...]
    lengths: tuple[int, ...]
    hint: str
    malformed: int
    on_error: str
    limit: int | None
    deals: bool
    frame: int | None
    window: int
    least: tuple[int, int] | None
    capacity: int
    keeps: str
    further: tuple[str, ...]
    kills: tuple[int, float]
    crashes: tuple[tuple[str, int], ...]
    drains: int
    checkpoints: float
    fine: bool
    burst: int
    patience: int
    fused: bool
    weights: tuple[int, ...]
    looks: int
    slow: bool
    loud: bool
    marks: float
    refusal: str

    @property
    def sinks(self) -> tuple[str, ...]:
        """What each sink keeps."""
        return (self.keeps, *self.further)

    @property
    def resumable(self) -> bool:
        """Whether the parent may die, that is, whether every state has snapshots."""
        return all(form_of(stage).snapshots or not form_of(stage).state for stage in self.stages)

    def readable(self, value: int) -> bool:
        return not self.malformed or value % self.malformed != 0

    def plan(self) -> Plan:
        """The plan a real run of this chain would have."""
        return Plan(
            "simulated",
            tuple(_planned(index, stage) for index, stage in enumerate(self.stages)),
            sinks=tuple(
                PlannedPart("sink", name, Part("sink", name, ""), {}, Settings()) for name in sink_names(self.sinks)
            ),
            run=Run(frame=self.frame, window=self.window, fuse="auto" if self.fused else "off"),
            limit=self.limit,
        )

    def splits(self) -> Iterator[tuple[int, int]]:
        """First and last (exclusive) record of each split."""
        start, number = 0, 0
        while start < len(self.values):
            stop = min(len(self.values), start + self.lengths[number % len(self.lengths)])
            yield start, stop
            start, number = stop, number + 1


def sink_names(sinks: Sequence[str]) -> tuple[str, ...]:
    return ("sink", *(f"sink-{number}" for number in range(2, len(sinks) + 1)))


def line(sink: int, value: int) -> bytes:
    """A result as this sink writes it: no two sinks write the same bytes."""
    return b"%d\n" % value if sink == 0 else b"%d: %d\n" % (sink, value)


def key_of(value: int) -> int:
    """What no two rows of a sink that refuses some may share."""
    return value % 23


def _planned(index: int, stage: Behaviour) -> PlannedStage:
    name = f"{stage.kind}-{index}"
    settings = Settings(workers=stage.workers, on_error=stage.on_error)  # type: ignore[arg-type]
    gathering = {"batch": stage.gathers, "wait": 1.0} if stage.gathers else {}
    work = Work(index, name, "", form_of(stage), concurrency=stage.places, on_error=stage.on_error, **gathering)
    return PlannedStage(stage.kind, work, settings, Part("stage", name, ""))


class Dice:
    """A random generator with the few throws that scenarios need."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed).random

    def upto(self, most: int) -> int:
        """0 ≤ n ≤ most."""
        return int(self.random() * (most + 1))

    def one_of(self, choices: Any) -> Any:
        return choices[int(self.random() * len(choices))]

    def hits(self, chance: float) -> bool:
        return self.random() < chance


def draw(seed: int) -> Scenario:
    """The scenario of a seed."""
    dice, aside = Dice(seed), Dice(seed ^ 0xA51DE)
    crowded, loud = aside.hits(0.15), aside.hits(0.5)
    stages = _async_chain(dice) if crowded else _chain(dice, dice.hits(0.3))
    if aside.hits(0.25):
        stages = tuple(_gathering(aside, stage) for stage in stages)
    resumable = all(stage.kind != "forgetful" for stage in stages)
    scenario = Scenario(
        seed=seed,
        stages=stages,
        values=tuple(dice.upto(PRIME - 1) for _ in range(dice.upto(dice.one_of((4, 8, 16)) if not crowded else 40))),
        lengths=(*(dice.upto(dice.one_of((2, 6, 12))) for _ in range(5)), 1),
        hint=dice.one_of(("exact", "over", "none")),
        malformed=dice.one_of((0, 0, 0, 0, 7)),
        on_error=dice.one_of(("skip", "dead_letter", "dead_letter", "fail")),
        limit=dice.upto(30) if dice.hits(0.2) else None,
        deals=dice.hits(0.5),
        frame=dice.one_of((1, 2, 4, 8, None) if not crowded else (1, 1, 2)),
        window=dice.one_of((20, 60, 200, 1000) if not crowded else (200, 1000)),
        least=dice.one_of((None, (2, 1), (3, 8))),
        capacity=dice.one_of((4, 20, 60, 200)),
        keeps=dice.one_of(("truncate", "truncate", "transaction")),
        further=(),
        kills=(dice.one_of((0, 1, 2, 5)), dice.one_of((0.003, 0.02, 0.1))),
        crashes=tuple(_crash(dice) for _ in range(dice.one_of((0, 1, 3)))) if resumable else (),
        drains=dice.one_of((-1, -1, -1, 0, 1)) if resumable else -1,
        checkpoints=dice.one_of((0.0, 0.05, 0.5)),
        fine=dice.hits(0.2),
        burst=dice.one_of((3, 10, 30)),
        patience=dice.one_of((10, 30, 100)),
        fused=dice.hits(0.5),
        weights=tuple(dice.one_of((0, 10**9, 10**9)) for _ in stages),
        looks=dice.upto(dice.one_of((0, 10, 40))),
        slow=dice.hits(0.3),
        loud=loud,
        marks=aside.one_of((0.2, 0.6, 1.0)) if resumable and aside.hits(0.25) else 0.0,
        refusal="",
    )
    return _with_refusals(Dice(seed ^ 0x2EF5), _with_sinks(Dice(seed ^ 0xF0A4), scenario))


def _with_refusals(dice: Dice, scenario: Scenario) -> Scenario:
    """Perhaps with sinks that refuse some results, most often where one of them may be ahead."""
    if not dice.hits(0.25 if scenario.further else 0.05):
        return scenario
    return replace(scenario, refusal=dice.one_of(("skip", "dead_letter", "dead_letter")))


def _with_sinks(dice: Dice, scenario: Scenario) -> Scenario:
    """Perhaps with sinks beside the first one, most of them tables: two of these are never committed in one moment, and
    the parent may die between them."""
    if not dice.hits(0.2):
        return scenario
    further = tuple(dice.one_of(("truncate", *3 * ("transaction",))) for _ in range(1 + dice.upto(1)))
    ends = tuple(("lead", dice.upto(4)) if dice.hits(0.7) else _crash(dice) for _ in range(dice.upto(4)))
    keeps = dice.one_of((scenario.keeps, "transaction"))
    return replace(scenario, keeps=keeps, further=further, crashes=ends if scenario.resumable else ())


def _crash(dice: Dice) -> tuple[str, int]:
    return ("step", 1 + dice.upto(40)) if dice.hits(0.4) else ("disk", 1 + dice.upto(40))


def _chain(dice: Dice, deadly: bool) -> tuple[Behaviour, ...]:
    """One to five stages, of them at most one `take`."""
    kinds = [dice.one_of(HARMLESS) for _ in range(1 + dice.upto(4))]
    for place in range(len(kinds)):
        if deadly and dice.hits(0.4):
            kinds[place] = dice.one_of(DEADLY if place else DEADLY[:1])
    if dice.hits(0.25):
        kinds[dice.upto(len(kinds) - 1)] = "take"
    if dice.hits(0.1):
        kinds[dice.upto(len(kinds) - 1)] = "forgetful"
    return tuple(_stage(dice, kind) for kind in kinds)


def _async_chain(dice: Dice) -> tuple[Behaviour, ...]:
    """An async stage with several calls at once, and perhaps others beside it."""
    stages = [_stage(dice, dice.one_of(("add", "grow", "drop", "number"))) for _ in range(dice.upto(2))]
    place = dice.upto(len(stages))
    kinds = (*DEADLY, "poison", *4 * ("crowd",), "add", "grow", "fail")
    busy = _stage(dice, dice.one_of([kind for kind in kinds if place or kind not in ("murky", "heavy")]))
    stages.insert(place, replace(busy, places=dice.one_of((2, 4, 8)), workers=dice.one_of((1, 1, 2))))
    return tuple(stages)


GATHERABLE = ("add", "drop", "grow", "fail", "poison", "murky", "number", "sum")


def _gathering(dice: Dice, stage: Behaviour) -> Behaviour:
    """The stage, perhaps gathering its records in lists."""
    if stage.kind not in GATHERABLE or stage.places > 1 or dice.hits(0.3):
        return stage
    return replace(stage, gathers=dice.one_of((1, 2, 5, 20)))


def _stage(dice: Dice, kind: str) -> Behaviour:
    modulus = dice.one_of((4, 17, 43, 43)) if kind in ("poison", "murky") else dice.one_of((2, 5, 13))
    return Behaviour(
        kind=kind,
        modulus=modulus,
        rest=dice.upto(modulus - 1),
        count=1 + dice.upto(5),
        workers=1 if kind in FORMS else 1 + dice.upto(3),
        on_error=dice.one_of(("skip", "dead_letter", "dead_letter", "dead_letter", "fail")),
        piece=dice.one_of((1, 3, 8)),
        watched=dice.hits(0.1),
        slow=dice.hits(0.3),
    )
