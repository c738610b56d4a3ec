"""A fork server that begins before it is known what for: it takes as long to come up as a plan takes to be made.

It is used if the run turns out to need one, and if what a fork server inherits is still as it was; else it has never
been told anything, and is killed.
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
    """A fork server nobody has asked anything. inherited: see `_inherited`."""

    fork_server: ForkServerClient
    hash_seed: str
    inherited: tuple[object, ...]

    @property
    def fits(self) -> bool:
        return self.inherited == _inherited()


_prestarted: list[Prestarted] = []
"""At most one, while `spare_keeper` is entered: the run that is to have it is opened by whatever command there is.

Runs may be begun by several threads, so whoever takes it out of here takes it by one call."""


@contextmanager
def prestarted_fork_server(*, wanted: bool = True) -> Iterator[None]:
    """Have a fork server begin, if it is wanted and none is spare; whoever of this process wants one meanwhile gets it.

    If nobody does, it ends with this.
    """
    fill_standard()
    begun: list[Prestarted] = []
    if wanted and not _prestarted:
        with suppress(OSError):  # whoever needs one will be refused too, and say so
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
    """The prestarted fork server if it will do, else one that begins now; a spare one that will not do ends."""
    for prestarted in list(_prestarted):
        if _take(prestarted):
            if prestarted.hash_seed == hash_seed and prestarted.fits:
                return prestarted.fork_server
            prestarted.fork_server.close()
    return ForkServerClient(hash_seed)


def _take(prestarted: Prestarted) -> bool:
    """Whether it was still there, and is ours now."""
    try:
        _prestarted.remove(prestarted)
    except ValueError:
        return False
    return True


def _inherited() -> tuple[object, ...]:
    """What a process has from its parent, and a plugin may change when it is loaded."""
    return working_folder(), tuple(sys.path), dict(os.environ)
