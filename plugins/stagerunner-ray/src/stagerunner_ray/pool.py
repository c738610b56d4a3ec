"""The pool: an actor for each worker. Results go from actor to actor as references."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep
from typing import Any

import ray
from ray import exceptions

from stagerunner.engines.base import Trouble
from stagerunner.engines.pool.base import Done, Tell
from stagerunner.engines.process.seat import SeatSpec
from stagerunner.plan import Plan
from stagerunner.wire.spec import WorkerSpec
from stagerunner_ray.actor import Actor, Surroundings
from stagerunner_ray.cluster import Cluster
from stagerunner_ray.shipping import packed

REAPING = 1.0
"""Seconds that actors get at a restart to drop what they have in hand."""

GLANCE = 0.005
"""Seconds between two looks whether they have."""

PATIENCE = 60.0
"""Seconds that a node may take to hand over what it holds."""


kept: list[Any] | None = None
"""Actors that wait for the next run of a session (session.py)."""


class RayTicket:
    """A call of an actor: references to its report and to its results."""

    __slots__ = ("data", "report")

    def __init__(self, report: Any, data: Any = None) -> None:
        self.report, self.data = report, data


class RayPool:
    """Actors of a cluster as workers."""

    works_ahead = True

    def __init__(self, plan: Plan, cluster: Cluster, metrics: int, tell: Tell, hash_seed: str | None) -> None:
        self._plan = plan
        self._cluster = cluster
        self._tell = tell
        path = tuple(entry or str(Path.cwd()) for entry in sys.path)
        environment = _ours(dict(os.environ)) if cluster.here else {}
        files = {} if cluster.here else packed(plan.files)
        self._surroundings = Surroundings(token_hex(8), str(Path.cwd()), path, files, environment, hash_seed)
        self.shares_page = cluster.here
        self._page = f"/proc/{os.getpid()}/fd/{metrics}" if cluster.here else ""
        self._actors: list[Any] = []
        self._specs: list[WorkerSpec] = []
        self._lost: set[int] = set()
        """The workers whose actors are gone."""
        self._under_way: dict[RayTicket, int] = {}
        """The worker of each call that isn't done, in the order of the calls."""

    def open(self, specs: Sequence[WorkerSpec]) -> list[RayTicket]:
        """The actors of the last epoch take new workers, as far as they are there within REAPING."""
        idle = self._idle()
        self._specs = list(specs)
        self._actors = [actor or self._actor(spec) for actor, spec in zip_longest(idle, specs)]
        self._number = {actor._actor_id.hex(): number for number, actor in enumerate(self._actors)}
        return [self._begun(number, spec) for number, spec in enumerate(specs)]

    def _actor(self, spec: WorkerSpec) -> Any:
        wants = self._resources(spec)
        if not wants and kept:
            return kept.pop()
        placed = wants | ({} if self._cluster.here else {"scheduling_strategy": "SPREAD"})
        actors: Any = Actor  # Ray's decorator has no types
        return actors.options(**placed).remote()

    def _idle(self) -> list[Any]:
        """The actors with nothing under way any more; None in place of each other one, which is killed.

        They are told to give up their calls, which are not cancelled. Ray numbers an actor's calls when they are made.
        One that is cancelled before its argument has come is never sent, and the actor waits half a minute for it.
        """
        dropped = [actor.drop.remote() for actor in self._actors]
        until = monotonic() + REAPING
        while self._under_way and not self._lost and monotonic() < until:
            sleep(GLANCE)
        busy = {*self._under_way.values(), *self._lost}
        told = {drop: number for number, drop in enumerate(dropped) if number not in busy}
        if told:
            _, late = ray.wait(list(told), num_returns=len(told), timeout=REAPING)
            busy |= {told[drop] for drop in late}
        for number in busy:
            self._kill(self._actors[number])
        self._under_way, self._lost = {}, set()
        return [None if number in busy else actor for number, actor in enumerate(self._actors)]

    def _resources(self, spec: WorkerSpec) -> dict[str, Any]:
        stage = self._plan.stages[spec.works[0].index] if spec.works else None
        wants = None if stage is None else stage.settings.resources
        if wants is None:
            return {}
        given = {"num_cpus": wants.cpu, "num_gpus": wants.gpu, "memory": wants.memory}
        return {key: value for key, value in given.items() if value}

    def _begun(self, number: int, spec: WorkerSpec) -> RayTicket:
        told = SeatSpec.of(spec, self._page)
        ticket = RayTicket(self._actors[number].begin.remote(told, self._surroundings))
        return self._heard(ticket, number)

    def submit(self, worker: int, given: bytes | RayTicket) -> RayTicket:
        data, actor = given.data if isinstance(given, RayTicket) else given, self._actors[worker]
        if self._specs[worker].works_ahead:
            return self._heard(RayTicket(*actor.take.remote(actor.put.remote(data))), worker)
        return self._heard(RayTicket(*actor.feed.remote(data)), worker)

    def _heard(self, ticket: RayTicket, worker: int) -> RayTicket:
        self._under_way[ticket] = worker
        ticket.report.future().add_done_callback(partial(self._done, ticket, worker))
        return ticket

    def _done(self, ticket: RayTicket, worker: int, future: Future[Any]) -> None:
        """Called by a thread of Ray."""
        self._under_way.pop(ticket, None)
        try:
            report = future.result()
        except BaseException as error:
            if isinstance(error, exceptions.RayTaskError) and isinstance(error.cause, BaseException):
                error = error.cause
            cut = isinstance(error, exceptions.TaskCancelledError)
            self._tell(Done(ticket, trouble=None if cut else self._trouble(error, worker), cut=cut))
        else:
            self._tell(Done(ticket, *report))

    def _trouble(self, error: BaseException, worker: int) -> Trouble:
        """Which actor was lost. The calls behind it fail too, with its error as their cause."""
        if isinstance(error, exceptions.RayActorError):
            worker = self._number.get(error.actor_id, worker)
            self._lost.add(worker)
            spec = self._specs[worker]
            index = spec.works[0].index if spec.works else 0
            how = "the loss of its node" if "its node has died" in str(error) else "the loss of its actor"
            return Trouble("+".join(spec.names) or "copy", spec.number, 0, how, index)
        first = str(error).strip().splitlines() or [type(error).__name__]
        return Trouble("", 0, 0, f"Ray failed: {type(error).__name__}: {first[-1]}")

    def fetch(self, ticket: RayTicket) -> bytes:
        try:
            data: bytes | None = ray.get(ticket.data, timeout=PATIENCE)
        except exceptions.RayError as error:
            raise LookupError(f"{type(error).__name__}, its node is gone") from error
        if data is None:
            raise LookupError("nothing came of it")
        return data

    def hopeless(self) -> str:
        """Ray would wait for another node for ever."""
        try:
            alive = any(node["Alive"] for node in ray.nodes())
        except Exception as error:
            return f"the cluster doesn't answer any more: {error}"
        return "" if alive else "the cluster has no node left; --resume goes on in another one"

    def halt(self) -> None:
        """Cancel what waits. The oldest call of each actor may be running: it is left to end."""
        waiting, seen = [], set()
        for ticket, worker in list(self._under_way.items()):
            if worker in seen:
                waiting.append(ticket)
            seen.add(worker)
        self._cancel(waiting)

    def _cancel(self, tickets: Iterable[RayTicket]) -> None:
        for ticket in list(tickets):
            with suppress(exceptions.RayError, ValueError):
                ray.cancel(ticket.report, recursive=False)

    def _kill(self, actor: Any) -> None:
        with suppress(Exception):
            ray.kill(actor, no_restart=True)

    def kill(self) -> None:
        for actor in self._actors:
            self._kill(actor)

    def close(self) -> None:
        if kept is not None and self._actors:
            idle = self._idle()
            free = [actor for actor, spec in zip(idle, self._specs, strict=True) if not self._resources(spec)]
            kept.extend(actor for actor in free if actor is not None)
            self._actors = [actor for actor in self._actors if actor not in kept]
        self.kill()
        self._actors = []


def _ours(environment: dict[str, str]) -> dict[str, str]:
    """An environment without what Ray sets for each of its processes."""
    return {name: text for name, text in environment.items() if not name.startswith(("RAY_", "CUDA_", "PYTHON"))}
