"""A chain made from a seed: stages, workers, records, poison, sink and settings are all drawn from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from chaos_support.case import Case
from chaos_support.outputs import BRANCHED, OUTPUTS

DEEDS = ("kill", "exit", "segv")

HANG = "hang"

REFUSED = 0.03
"""How many of the records raise, which costs nothing but a dead letter."""

WORKERS = (1, 1, 1, 1, 2, 2, 3, 4)
POISON = (0, 0, 0, 0, 0, 1, 1, 2, 3, 5)
"""Each is drawn as often as it stands here: much of much takes long."""

TIMEOUT = "400ms"
"""Of a stage with a record that never ends. Long enough for an innocent one on a machine with much to do."""

KEYS = "abcdefg"

BRANCHES = 0.4
"""How many of the chains have several sinks."""

PASSABLE = ("same", "plus", "twins", "most", "numbered")
CONDITIONS = ("key != 'c'", "key < 'e'", "value % 2 == 0")
"""What a stage may ask of the records that go through it."""


def records(draw: Random, count: int, poison: int, *, hang: bool = False) -> list[dict[str, Any]]:
    """Records with a number in `value`, a few keys, and in `deed` what some of them do: a few are only refused."""
    deeds = ["raise" if draw.random() < REFUSED else "" for _ in range(count)]
    made = [{"key": draw.choice(KEYS), "value": number, "deed": deed} for number, deed in enumerate(deeds)]
    for number in draw.sample(range(count), poison):
        made[number]["deed"] = draw.choice(DEEDS)
    if hang and poison:
        next(record for record in made if record["deed"] in DEEDS)["deed"] = HANG
    return made


def stages(draw: Random, *, snapshots: bool, forgetful: bool, batch: bool, pause: float) -> list[dict[str, Any]]:
    """One to six stages, `deadly` or `batched` among them, `count` only at the end, since its records are others."""
    poisonous = [_batched(draw) if batch else _deadly(draw, pause)]
    others = [
        _stage(draw, use)
        for use in draw.choices(["same", "plus", "twins", "most"], k=draw.choice([0, 0, 1, 1, 2, 3, 4]))
    ]
    if snapshots:
        others += [{"use": draw.choice(["numbered", "dedupe"])}]
    if forgetful:
        others += [{"use": "forgetful"}]
    chain = [*others, *poisonous]
    draw.shuffle(chain)
    if snapshots and draw.random() < 0.3:
        chain.append({"use": "count", "with": {"by": "key"}})
    return named(chain[:6] if poisonous[0] in chain[:6] else [*chain[:5], *poisonous])


def _stage(draw: Random, use: str) -> dict[str, Any]:
    return {"use": use, "workers": draw.choice(WORKERS)}


def _deadly(draw: Random, pause: float) -> dict[str, Any]:
    settings = {"harmless": False, "pause": pause}
    return {"use": "deadly", "with": settings, "workers": draw.choice(WORKERS), "on_error": "dead_letter"}


def _batched(draw: Random) -> dict[str, Any]:
    stage = {"use": "batched", "with": {"harmless": False}, "workers": draw.choice(WORKERS), "on_error": "dead_letter"}
    return {**stage, "batch": draw.choice([1, 3, 10])}


def named(chain: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stages with names of their own, so that dead letters tell the same in every run."""
    seen: Counter[str] = Counter()
    for stage in chain:
        seen[stage["use"]] += 1
        stage["name"] = f"{stage['use']}-{seen[stage['use']]}"
    return chain


def settings(draw: Random) -> dict[str, Any]:
    """The `run:` of a config."""
    return {
        "frame": draw.choice([1, 4, 16, "auto"]),
        "checkpoint": draw.choice(["5ms", "20ms", "100ms"]),
        "window": draw.choice(["1KiB", "64KiB", "64MiB"]),
        "durability": draw.choice(["process", "process", "power"]),
        "fuse": draw.choice(["off", "auto"]),
    }


def case_of(seed: int, folder: Path, *, resumable: bool | None = None) -> Case:
    """The chain of this seed. resumable: False for one with a state that can't be told, True for none of these."""
    draw = Random(seed)
    kind = draw.choice(["none", "none", "snapshots", "snapshots", "forgetful"])
    if resumable is not None and (kind == "forgetful") == resumable:
        kind = "snapshots" if resumable else "forgetful"
    batch, hang = draw.random() < 0.15, draw.random() < 0.1
    poison = draw.choice(POISON)
    chain = stages(draw, snapshots=kind == "snapshots", forgetful=kind == "forgetful", batch=batch, pause=0.0005)
    if hang:
        next(stage for stage in chain if stage["use"] in ("deadly", "batched"))["timeout"] = TIMEOUT
    count = draw.choice([40, 80, 200])
    case = Case(
        folder=folder,
        stages=chain,
        records=records(draw, count, poison, hang=hang),
        sink=draw.choice(list(OUTPUTS)),
        run=settings(draw),
    )
    aside = Random(f"branches {seed}")  # of its own, so that the other chains are as they were without it
    return branched(aside, case) if aside.random() < BRANCHES else case


def branched(draw: Random, case: Case) -> Case:
    """The same chain with several sinks, and perhaps stages that some records pass."""
    chain = [
        {**stage, "when": draw.choice(CONDITIONS)} if stage["use"] in PASSABLE and draw.random() < 0.5 else stage
        for stage in case.stages
    ]
    return replace(case, stages=chain, sink=draw.choice(list(BRANCHED)))


def forgets(case: Case) -> bool:
    """Whether it can't be resumed."""
    return any(stage["use"] == "forgetful" for stage in case.stages)
