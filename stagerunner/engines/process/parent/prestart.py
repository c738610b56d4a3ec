"""A prestarted fork server: it starts up while the plan is made, which takes as long.

A run uses it if it needs one and if what a fork server inherits has not changed meanwhile; else it is killed unused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from stagerunner.engines.process.parent.fork_server import ForkServerClient, new_hash_seed
from stagerunner.inherited import fill_standard, working_folder


class Prestarted(Struct, frozen=True, eq=False):
    """A fork server that was not used yet. inherited: see `_inherited`."""

    fork_server: ForkServerClient
    hash_seed: str
    inherited: tuple[object, ...]

    @property
    def fits(self) -> bool:
        return self.inherited == _inherited()


_prestarted: list[Prestarted] = []
"""At most one, inside `prestarted_fork_server`. Threads may start runs at once, so it is removed by a single call."""


@contextmanager
def prestarted_fork_server(*, wanted: bool = True) -> Iterator[None]:
    """Prestart a fork server for a run that begins inside this context. It ends with the context if no run takes it.

    Does nothing if it is not wanted, or if one is prestarted already.
    """
    fill_standard()
    begun: list[Prestarted] = []
    if wanted and not _prestarted:
        with suppress(OSError):  # the run that needs one will report it
            seed = new_hash_seed()
            begun.append(Prestarted(ForkServerClient(seed), seed, _inherited()))
    _prestarted.extend(begun)
    try:
        yield
    finally:
        for prestarted in begun:
            if _take(prestarted):
                prestarted.fork_server.close()


def next_hash_seed() -> str:
    """The PYTHONHASHSEED of a run that begins anew."""
    return next((prestarted.hash_seed for prestarted in _prestarted), "") or new_hash_seed()


def fork_server(hash_seed: str | None) -> ForkServerClient:
    """The prestarted fork server if it fits, else a new one. One that does not fit is closed."""
    for prestarted in list(_prestarted):
        if _take(prestarted):
            if prestarted.hash_seed == hash_seed and prestarted.fits:
                return prestarted.fork_server
            prestarted.fork_server.close()
    return ForkServerClient(hash_seed)


def _take(prestarted: Prestarted) -> bool:
    """Remove it from the list; whether it was still there."""
    try:
        _prestarted.remove(prestarted)
    except ValueError:
        return False
    return True


def _inherited() -> tuple[object, ...]:
    """What a process inherits from its parent, and a plugin may change while it is loaded."""
    return working_folder(), tuple(sys.path), dict(os.environ)
