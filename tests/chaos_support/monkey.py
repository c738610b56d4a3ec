"""Random harm: which process is hit, how and when, drawn from the seed; moments depend on the run's progress."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from chaos_support.case import Case
from chaos_support.family import send
from chaos_support.oracle import calm, done
from chaos_support.running import RESUME, Run, count, gone, told
from chaos_support.scenario import case_of, forgets

JITTER = 0.02
"""Seconds at most between the awaited moment and the harm: chance, not synchronisation."""

PAUSE = 0.15
"""A process is stopped for at most so many seconds."""

MOST_LIVES = 6

VICTIMS = ("worker", "worker", "fork_server", "parent", "parent")


@dataclass(frozen=True, slots=True)
class Harm:
    """At the `event`-th event told since the last harm, with `delay` seconds on top, `victim` is hit.

    stop: seconds it is stopped instead of being killed; 0 to kill. again: what takes a killed one's place is killed
    as well, as soon as it is there.
    """

    event: int
    delay: float
    victim: str
    stop: float = 0.0
    again: bool = False
    choice: float = 0.0


@dataclass(slots=True)
class Chaos:
    """One seed: a case and what is done to it; `hit` counts what was really met."""

    seed: int
    case: Case
    harms: list[Harm]
    hit: Counter[str] = field(default_factory=Counter)
    _lives: int = 0

    @classmethod
    def of(cls, seed: int, folder: Path) -> Chaos:
        draw = Random(f"harm {seed}")
        case = case_of(seed, folder / f"seed {seed}")
        return cls(seed, case, [_harm(draw) for _ in range(draw.choice([1, 3, 4, 5, 6, 6]))])

    def run(self) -> Counter[str]:
        """Run through all harm to the end, and check the result with the oracle."""
        expected = self.case.write().expected()
        waiting = list(self.harms)
        while True:
            with Run(self.case, *(RESUME if self._lives else ())) as run:
                self._lives += 1
                while waiting and self._happens(run, waiting.pop(0)):
                    pass
                if run.wait() == -signal.SIGKILL:
                    gone(self.case, 5)
                    calm(run)
                    self._look_at_the_remains()
                    continue
                done(self.case, run, expected)
                self._count(run)
                return self.hit

    def _look_at_the_remains(self) -> None:
        """Check what the next life finds."""
        if any(self.case.out.iterdir()):
            self.hit["resumed"] += 1
        if self.case.got().letters:
            self.hit["resumed behind a dead letter"] += 1

    def _happens(self, run: Run, harm: Harm) -> bool:
        """Whether the run could still be harmed, and lives on."""
        aim = count(self.case) + harm.event
        if run.wait_until(lambda: count(self.case) >= aim, "progress") is None:
            return False
        time.sleep(harm.delay)
        if harm.victim == "parent" and not harm.stop and (forgets(self.case) or self._lives > MOST_LIVES):
            return True
        return self._harmed(run, harm) and not run.over

    def _harmed(self, run: Run, harm: Harm) -> bool:
        pid = self._victim(run, harm)
        if pid is None:
            return True
        if harm.stop:
            self._stop(run, pid, harm)
            return True
        inside = _inside(self.case, pid)
        if send(pid, signal.SIGKILL):
            self.hit[f"killed: {harm.victim}"] += 1
            self.hit["killed inside a record"] += inside
        if harm.victim == "parent":
            run.wait()
            return False
        if harm.again:
            self._again(run, {*run.workers})
        return True

    def _victim(self, run: Run, harm: Harm) -> int | None:
        if harm.victim == "parent":
            return run.pid
        if harm.victim == "fork_server":
            return run.fork_server
        workers = run.workers
        return workers[int(harm.choice * len(workers))] if workers else None

    def _stop(self, run: Run, pid: int, harm: Harm) -> None:
        if send(pid, signal.SIGSTOP):
            self.hit[f"stopped: {harm.victim}"] += 1
            time.sleep(harm.stop)
            send(pid, signal.SIGCONT)

    def _again(self, run: Run, old: set[int]) -> None:
        """Kill the first one of the next epoch, before it can have done anything."""
        fresh = run.wait_until(lambda: set(run.workers) - old, "a new worker")
        if fresh and send(min(fresh), signal.SIGKILL):
            self.hit["killed during recovery"] += 1

    def _count(self, run: Run) -> None:
        self.hit["runs"] += self._lives
        self.hit["restarts"] += run.summary.get("restarts", 0)
        self.hit["dead letters"] += len(self.case.got().letters)
        self.hit["quarantined"] += "Killed" in self.case.letters.read_text()
        self.hit["timed out"] += '"Timeout"' in self.case.letters.read_text()
        self.hit["lives: 3 or more"] += self._lives >= 3
        self.hit["with a state that can't be told, restarted"] += (
            forgets(self.case) and run.summary.get("restarts", 0) > 0
        )
        self.hit[f"sink: {self.case.sink}"] += 1
        self.hit["a row that a table refused"] += "IntegrityError" in self.case.letters.read_text()


def _harm(draw: Random) -> Harm:
    return Harm(
        event=draw.choice([1, 3, 10, 30, 60]),
        delay=draw.random() * JITTER,
        victim=draw.choice(VICTIMS),
        stop=draw.random() * PAUSE if draw.random() < 0.2 else 0.0,
        again=draw.random() < 0.4,
        choice=draw.random(),
    )


def _inside(case: Case, pid: int) -> bool:
    """Whether the last event of this process is that it began a record."""
    own = [what for what, teller in told(case) if teller == pid]
    return bool(own) and own[-1] == "enter"
