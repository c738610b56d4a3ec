"""`resources: {gpu: n}`: which devices the workers of a stage get, on one machine.

Worker i of a stage gets n devices of its own, and no two stages share one. A restarted worker gets the same again: they
follow from the plan alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from stagerunner.errors import Mistake
from stagerunner.plan.model import PlannedStage

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable of the environment that says which devices a process may use, and in which order."""

DRIVER = Path("/proc/driver/nvidia/gpus")
FILES = Path("/dev")

PATIENCE = 10.0
"""Seconds that `nvidia-smi` may take."""


def with_devices(stages: Sequence[PlannedStage]) -> tuple[tuple[PlannedStage, ...], list[Mistake]]:
    """The stages with their devices, and a mistake for each stage that finds too few."""
    if not any(stage.gpus for stage in stages):
        return tuple(stages), []
    found, taken = devices(), 0
    dealt, mistakes = [], []
    for stage in stages:
        needed = stage.settings.workers * stage.gpus
        if needed and taken + needed > len(found):
            mistakes.append(_too_few(stage, len(found), taken))
        dealt.append(replace(stage, devices=tuple(found[taken : taken + needed])))
        taken += needed
    return tuple(dealt), mistakes


def _too_few(stage: PlannedStage, found: int, taken: int) -> Mistake:
    resources, workers = stage.settings.resources, stage.settings.workers
    assert resources is not None
    assert resources.gpu_mark is not None
    who = f"{workers} workers with gpu: {stage.gpus} need" if workers > 1 else f"gpu: {stage.gpus} needs"
    less = "have fewer workers" if found else "leave `gpu` out to run without"
    if VISIBLE in os.environ:
        there = f"{VISIBLE} names {found}"
        fix = f"{less}, or name more devices: {VISIBLE}=0,1,…"
    else:
        there = f"this machine has {found or 'none'}"
        fix = f"{less}, or name the devices if they weren't found: {VISIBLE}=0,1,…"
    before = f", of which the stages before take {taken}" if taken else ""
    message = f"{who} {_devices(workers * stage.gpus)}; {there}{before}"
    return Mistake("devices", message, resources.gpu_mark, resources.path, fix)


def _devices(number: int) -> str:
    return f"{number} device{'s' * (number != 1)}"


def devices() -> list[str]:
    """The devices of this machine that may be used, by number or by what CUDA_VISIBLE_DEVICES calls them."""
    visible = os.environ.get(VISIBLE)
    return [str(number) for number in range(_count())] if visible is None else list(_named(visible))


def _named(visible: str) -> Iterator[str]:
    """The devices that the variable names, up to the first that can't be one, as CUDA reads it."""
    for name in visible.split(","):
        if not re.fullmatch(r"[0-9]+|(GPU|MIG)-\S+", name.strip()):
            return
        yield name.strip()


def _count() -> int:
    """How many devices there are, by the cheapest way that works: importing torch takes seconds."""
    with suppress(OSError):
        return sum(1 for _ in DRIVER.iterdir())
    files = [path for path in FILES.glob("nvidia[0-9]*") if path.name.removeprefix("nvidia").isdigit()]
    return len(files) or _listed()


def _listed() -> int:
    """What `nvidia-smi -L` lists: one device a line."""
    import subprocess  # late: few chains ask for devices

    with suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=PATIENCE, check=True)
        return sum(line.startswith(b"GPU ") for line in told.stdout.splitlines())
    return 0
