"""A keeper that begins before it is known what for: it takes as long to come up as a plan takes to be made.

It is used if the run turns out to need one, and if what a keeper inherits is still as it was; else it has never been
told anything, and is killed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from stagerunner.engines.process.parent.fork_server import KeeperLink, new_hash_seed
from stagerunner.inherited import fill_standard, working_folder


class Spare(Struct, frozen=True, eq=False):
    """A keeper nobody has asked anything. inherited: see `_inherited`."""

    keeper: KeeperLink
    hash_seed: str
    inherited: tuple[object, ...]

    @property
    def fits(self) -> bool:
        return self.inherited == _inherited()


_spare: list[Spare] = []
"""At most one, while `spare_keeper` is entered: the run that is to have it is opened by whatever command there is.

Runs may be begun by several threads, so whoever takes it out of here takes it by one call."""


@contextmanager
def spare_keeper(*, wanted: bool = True) -> Iterator[None]:
    """Have a keeper begin, if it is wanted and none is spare; whoever of this process wants one meanwhile gets it.

    If nobody does, it ends with this.
    """
    fill_standard()
    begun: list[Spare] = []
    if wanted and not _spare:
        with suppress(OSError):  # whoever needs one will be refused too, and say so
            seed = new_hash_seed()
            begun.append(Spare(KeeperLink(seed), seed, _inherited()))
    _spare.extend(begun)
    try:
        yield
    finally:
        for spare in begun:
            if _take(spare):
                spare.keeper.close()


def next_hash_seed() -> str:
    """The PYTHONHASHSEED of a run that begins anew."""
    return next((spare.hash_seed for spare in _spare), "") or new_hash_seed()


def keeper(hash_seed: str | None) -> KeeperLink:
    """The spare keeper if it will do, else one that begins now; a spare one that will not do ends."""
    for spare in list(_spare):
        if _take(spare):
            if spare.hash_seed == hash_seed and spare.fits:
                return spare.keeper
            spare.keeper.close()
    return KeeperLink(hash_seed)


def _take(spare: Spare) -> bool:
    """Whether it was still there, and is ours now."""
    try:
        _spare.remove(spare)
    except ValueError:
        return False
    return True


def _inherited() -> tuple[object, ...]:
    """What a process has from its parent, and a plugin may change when it is loaded."""
    return working_folder(), tuple(sys.path), dict(os.environ)
