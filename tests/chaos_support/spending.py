"""What was paid, and why: a run whose processes are killed while its stages pay a service, and its account."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any, NamedTuple

from chaos_support.case import Case
from chaos_support.family import send
from chaos_support.running import RESUME, Run, gone
from support.billing import Bill, Call, Service, price
from support.processes import alive
from support.waiting import wait_until

PAYING = Path(__file__).with_name("paying.py")

WORKERS, CONCURRENCY = 2, 16
UNDER_WAY = {"first": WORKERS, "second": CONCURRENCY, "third": CONCURRENCY}
"""The most calls of each stage at one moment. The second and the third have one worker."""

SETTLED = 0.5
"""Seconds after which a call that was paid is no longer under way, on a busy machine as well."""

GAP = (30, 60)
"""Calls paid between two kills, from and to: the suspects of the one are done with before the next."""

VICTIMS = ("worker", "worker", "fork_server", "parent")


class Kill(NamedTuple):
    """A process was killed at `at`; `until`: by then all workers of the run were gone. Seconds, monotonic clock."""

    at: float
    until: float
    victim: str = "worker"


@dataclass(frozen=True, slots=True)
class Account:
    """Every call of a bill, laid to its reason.

    records: calls that were needed, one for each record of a stage. unanswered: paid without an answer. killed: for
    each kill, the calls that were under way and were paid again. lost: paid again without any such reason.
    """

    records: int
    unanswered: int
    killed: dict[Kill, list[Call]]
    lost: list[Call] = field(default_factory=list)

    @property
    def excess(self) -> int:
        return self.unanswered + sum(map(len, self.killed.values())) + len(self.lost)


def account_of(calls: Sequence[Call], kills: Sequence[Kill], most: Mapping[str, int] = UNDER_WAY) -> Account:
    """most: so many calls of each stage can be under way when a process is killed."""
    of_record: dict[tuple[str, int], list[Call]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.came):
        of_record[call.stage, call.number].append(call)
    unanswered = 0
    answered: list[tuple[Call, Call]] = []
    for again in of_record.values():
        for call, following in pairwise(again):
            if not call.answered:
                unanswered += 1
            else:
                answered.append((call, following))
    killed: dict[Kill, list[Call]] = {kill: [] for kill in kills}
    room = {kill: dict(most) for kill in kills}
    # Of two kills in quick succession either may be the reason. Each gets those first that the next can't explain.
    answered.sort(key=lambda pair: _latest(*pair))
    for kill in sorted(kills):
        for call, following in list(answered):
            if call.came <= kill.until and kill.at <= _latest(call, following) and room[kill][call.stage] > 0:
                killed[kill].append(call)
                room[kill][call.stage] -= 1
                answered.remove((call, following))
    return Account(len(of_record), unanswered, killed, [following for _, following in answered])


def _latest(call: Call, following: Call) -> float:
    """When a kill can have been at the latest, if the call was under way then, so that it had to be made again.

    The service may go on with a call whose worker is gone, and bill it behind the call that was made again.
    """
    return min(call.paid + SETTLED, following.came)


# The run


KEPT: dict[str, dict[str, Any]] = {stage: {"memo": True} for stage in ("first", "second", "third")}
"""The settings with which results are kept, of each stage."""


def spending_case(folder: Path, port: int, count: int, *, kept: bool = True) -> Case:
    """Three stages that pay: a plain one, an async one, and `http`. The second half of the records has some of the
    first half once more. kept: the results are."""
    half = count // 2
    numbers = [number - half if number > half and number % 10 == 9 else number for number in range(count)]
    place, many = {"with": {"port": port}}, {"concurrency": CONCURRENCY}
    http = {"url": f"http://127.0.0.1:{port}/third", "method": "POST", "body": "{id}", "into": "third"}
    stages: dict[str, dict[str, Any]] = {
        "first": {"use": "first", "workers": WORKERS, **place},
        "second": {"use": "second", **many, **place},
        "third": {"use": "http", "with": http, **many},
    }
    retry = {"retry": {"attempts": 6, "delay": "10ms", "factor": 1}}
    chain = [{"name": name, **retry, **stage, **(KEPT[name] if kept else {})} for name, stage in stages.items()]
    return Case(folder, chain, [{"id": number} for number in numbers], plugin=PAYING).write()


def right(case: Case) -> list[dict[str, Any]]:
    """What the chain gives for the records of the case."""
    return [_right(record["id"]) for record in case.records]


def _right(number: int) -> dict[str, Any]:
    first, second, third = (price(stage, number) for stage in KEPT)
    return {"id": number, "first": first, "second": second, "third": {"price": third}}


@dataclass(slots=True)
class Spending:
    """Run a case to its end while processes are killed, each at a number of calls paid that the seed draws."""

    case: Case
    service: Service
    seed: int
    kills: int
    done: list[Kill] = field(default_factory=list)
    lives: int = 0

    def run(self) -> int:
        """The exit status of the last life. The parent's death is followed by `--resume`."""
        draw = Random(f"spending {self.seed}")
        waiting = [(draw.randint(*GAP), draw.choice(VICTIMS), draw.random()) for _ in range(self.kills)]
        while True:
            with Run(self.case, *(RESUME if self.lives else ())) as run:
                self.lives += 1
                while waiting and self._killed(run, *waiting.pop(0)) not in ("parent", ""):
                    pass
                status = run.wait()
                if status != -signal.SIGKILL:
                    return status

    def _killed(self, run: Run, gap: int, victim: str, choice: float) -> str:
        """The victim, once so many more calls are paid; "" if the run was over before that."""
        aim = self.bill.length + gap
        if run.wait_until(lambda: self.bill.length >= aim and run.workers, f"{gap} calls") is None:
            return ""
        workers = run.workers
        pid = {"parent": run.pid, "fork_server": run.fork_server}.get(victim, workers[int(choice * len(workers))])
        at = monotonic()
        if pid is None or not send(pid, signal.SIGKILL):
            return victim
        if victim == "parent":
            run.wait()
            gone(self.case, 5)
        else:
            wait_until(lambda: not any(map(alive, workers)), 5, "the end of the workers")
        self.done.append(Kill(at, monotonic(), victim))
        return victim

    @property
    def bill(self) -> Bill:
        return self.service.bill

    def account(self) -> Account:
        return account_of(self.bill.calls(), self.done)
