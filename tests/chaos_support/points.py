"""A planned death at a named point, and what follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chaos_support.case import Case, Outcome
from chaos_support.oracle import calm, done
from chaos_support.running import RESUME, Run, gone

KILLED = -9

WORKERS = ("torn frame", "flush")
"""Points of a worker: the chain recovers by itself. All others are the parent's."""


@dataclass(frozen=True, slots=True)
class Death:
    """At which point, and which time it is reached."""

    point: str
    time: int = 1

    def __str__(self) -> str:
        return f"{self.point}:{self.time}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Deaths of one chain: each life of the command dies the next one, the last life none."""

    deaths: tuple[Death, ...]

    def __str__(self) -> str:
        return " then ".join(map(str, self.deaths))


def die_and_resume(case: Case, plan: Plan, expected: Outcome, **how: Any) -> list[Death]:
    """Run the case through its deaths to its end, and hold it to the oracle; the deaths that were died.

    how: as Run takes it.
    """
    died = [death for number, death in enumerate(plan.deaths) if _dies(case, number, death, **how)]
    with Run(case, *RESUME, **how) as run:
        done(case, run, expected)
    return died


def _dies(case: Case, number: int, death: Death, **how: Any) -> bool:
    """One life of the command. Returns whether a process died in it as planned; a worker's death doesn't end it."""
    log = case.folder / f"died-{number}"
    kill = {"STAGERUNNER_KILL_AT": str(death), "STAGERUNNER_KILL_LOG": str(log)}
    with Run(case, *(RESUME if number else ()), **kill, **how) as run:
        code = run.wait()
    gone(case, 5)
    calm(run)
    assert (code == KILLED) == (log.exists() and death.point not in WORKERS), f"exit {code}\n{run.said}"
    return log.exists()
