"""What the config says about the engine, and what can't work there."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from stagerunner import TextOption

if TYPE_CHECKING:
    from stagerunner.engines.base import Transport
    from stagerunner.plan import Plan
    from stagerunner_ray.cluster import Cluster

INSTALL = "pip install 'ray>=2.50'"


class Address(TextOption):
    """`local`, `auto`, `ray://HOST:PORT` or `HOST:PORT`."""

    @classmethod
    def parse(cls, text: str) -> Address:
        host, colon, port = text.removeprefix("ray://").rpartition(":")
        if text not in ("local", "auto") and not (host and colon and port.isdigit()):
            raise ValueError("an address is local, auto, ray://HOST:PORT or HOST:PORT")
        return cls(text)


class RayEngine:
    """Runs each worker in an actor of a Ray cluster.

    address: `local` starts a cluster on this machine for this run alone; `auto` finds the one that was started here;
    else where it is. cpus: how many processors a local cluster counts, if not those of the machine. object_store: MiB
    of shared memory of a local cluster's object store.
    """

    name = "ray"

    def __init__(self, *, address: Address | None = None, cpus: int | None = None, object_store: int = 200) -> None:
        self._address = "local" if address is None else address.text
        self._cpus = cpus
        self._object_store = object_store
        self._cluster: Cluster | None = None

    def check(self, plan: Plan) -> Iterator[str]:
        """What can't work: without Ray, or in this cluster. Connects to a cluster that is not local."""
        if find_spec("ray") is None:
            yield f"the engine ray needs Ray: {INSTALL}"
            return
        if self._address == "local":
            yield from too_much(plan, self._here(), "this machine (see `cpus`)")
            return
        for stage in plan.stages:
            for setting, given in (("memo", stage.work.memo), ("budget", stage.work.budget)):
                if given is not None:
                    yield f"'{stage.name}' has a {setting}, which is kept in a file of one machine: address: local"
        from stagerunner_ray.cluster import Unreachable, connected  # late: importing Ray takes half a second

        try:
            self._cluster = connected(self._address)
        except Unreachable as error:
            yield str(error)
            return
        yield from too_much(plan, self._cluster.resources(), f"the cluster at {self._address}")
        yield from self._cluster.unlike(plan)

    def _here(self) -> dict[str, float]:
        from stagerunner.plan.devices import devices

        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return {"CPU": float(self._cpus or os.cpu_count() or 1), "GPU": float(len(devices())), "memory": float(pages)}

    def transport(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        lines: Callable[[str, int, bytes], None],
        hash_seed: str | None,
    ) -> Transport:
        """Connect, or start the local cluster, and make the pool."""
        from stagerunner.engines.pool.transport import PoolTransport
        from stagerunner_ray.cluster import started

        cluster = self._cluster = self._cluster or started(self._cpus, self._object_store * 2**20)
        from stagerunner_ray.pool import RayPool  # after `started`, which says with which environment to import Ray

        return PoolTransport(plan, selector, lambda fd, page, tell: RayPool(plan, cluster, fd, tell, hash_seed), lines)

    def close(self) -> None:
        """Leave the cluster; end it if it is ours."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


def too_much(plan: Plan, there: dict[str, float], where: str) -> Iterator[str]:
    """A sentence for each resource of which the stages want more than there is: Ray would wait for ever."""
    for key, label in (("cpu", "CPU"), ("gpu", "GPU"), ("memory", "memory")):
        wants = [
            (stage.name, stage.settings.workers, getattr(stage.settings.resources, key) or 0)
            for stage in plan.stages
            if stage.settings.resources is not None
        ]
        wanted = sum(workers * each for _, workers, each in wants)
        if wanted > there.get(label, 0):
            who = ", ".join(f"'{name}' {workers} × {each:g}" for name, workers, each in wants if each)
            yield f"the stages want {key}: {wanted:g} in all ({who}), and {where} has {there.get(label, 0):g}"
