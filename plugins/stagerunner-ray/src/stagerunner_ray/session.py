"""One local cluster for several runs of a program: to start one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def session(*, cpus: int | None = None, object_store: int = 200) -> Iterator[None]:
    """Every run inside with the engine `ray` and the address `local` uses the same cluster, and the actors of the runs
    before it. cpus, object_store: as the engine's options. Raises RunFailed if the cluster does not start."""
    from stagerunner_ray.cluster import started

    cluster = started(cpus, object_store * 2**20)
    from stagerunner_ray import pool  # after `started`, which says with which environment to import Ray

    before, pool.kept = pool.kept, []
    try:
        yield
    finally:
        pool.kept = before
        cluster.close()
