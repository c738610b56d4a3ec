"""What the config says about the engine, and what can't work there."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from stagerunner import TextOption
from stagerunner.hookspecs import Problem

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

    def check(self, plan: Plan) -> Iterator[Problem]:
        """What can't work: without Ray, or in this cluster. Connects to a cluster that is not local."""
        if find_spec("ray") is None:
            yield Problem("the engine ray needs Ray", fix=INSTALL)
            return
        if self._address == "local":
            yield from too_much(plan, self._here(), "this machine", "or raise `cpus`")
            return
        if elsewhere := list(self._of_one_machine(plan)):
            yield from elsewhere
            return
        from stagerunner_ray.cluster import Unreachable, connected  # late: importing Ray takes half a second

        try:
            self._cluster = connected(self._address)
        except Unreachable as error:
            yield Problem(str(error), place=("address",), fix="take `local`, or the address of one that is there")
            return
        yield from too_much(plan, self._cluster.resources(), f"the cluster at {self._address}", "or add nodes")
        for difference in self._cluster.unlike(plan):
            yield Problem(difference, place=("address",))

    def _of_one_machine(self, plan: Plan) -> Iterator[Problem]:
        """Settings that need one machine."""
        for stage in plan.stages:
            for setting, given in (("memo", stage.work.memo), ("budget", stage.work.budget)):
                if given is not None:
                    message = f"'{stage.name}' has a {setting}, which is kept in a file of one machine"
                    yield Problem(message, stage.name, (setting,), "leave it out, or take `address: local`")

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


def too_much(plan: Plan, there: dict[str, float], where: str, remedy: str) -> Iterator[Problem]:
    """A problem for each resource of which the stages want more than there is: Ray would wait forever.

    It is that of the first stage for which nothing is left. remedy: what helps where there are too few processors.
    """
    for key, label in (("cpu", "CPU"), ("gpu", "GPU"), ("memory", "memory")):
        has, wanted, wants = there.get(label, 0), 0.0, []
        for stage in plan.stages:
            each = getattr(stage.settings.resources, key, None) or 0
            if each:
                wanted += stage.settings.workers * each
                wants.append(f"'{stage.name}' {stage.settings.workers} × {each:g}")
            if wanted > has:
                message = f"{key}: {wanted:g} wanted up to here ({', '.join(wants)}), and {where} has {has:g}"
                fix = f"want less, have fewer workers, {remedy}" if key == "cpu" else "want less, or have fewer workers"
                yield Problem(message, stage.name, ("resources", key), fix)
                break
