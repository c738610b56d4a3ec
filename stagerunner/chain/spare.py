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

from stagerunner.chain.processes import KeeperLink, new_hash_seed


class Spare(Struct, frozen=True):
    """A keeper nobody has asked anything. inherited: see `_inherited`."""

    keeper: KeeperLink
    hash_seed: str
    inherited: tuple[object, ...]


_spare: list[Spare] = []
"""At most one, while `spare_keeper` is entered: the run that is to have it is opened by whatever command there is."""


@contextmanager
def spare_keeper() -> Iterator[None]:
    """Have a keeper begin; whoever of this process wants one meanwhile gets it, and if nobody does it ends."""
    with suppress(OSError):  # whoever needs one will be refused too, and say so
        seed = new_hash_seed()
        _spare.append(Spare(KeeperLink(seed), seed, _inherited()))
    try:
        yield
    finally:
        for spare in _taken():
            spare.keeper.close()


def next_hash_seed() -> str:
    """The PYTHONHASHSEED of a run that begins anew."""
    return _spare[0].hash_seed if _spare else new_hash_seed()


def keeper(hash_seed: str | None) -> KeeperLink:
    """The spare keeper if it will do, else one that begins now."""
    for spare in _taken():
        if spare.hash_seed == hash_seed and spare.inherited == _inherited():
            return spare.keeper
        spare.keeper.close()
    return KeeperLink(hash_seed)


def _taken() -> list[Spare]:
    taken, _spare[:] = _spare[:], []
    return taken


def _inherited() -> tuple[object, ...]:
    """What a process has from its parent, and a plugin may change when it is loaded."""
    return os.getcwd(), tuple(sys.path), dict(os.environ)  # noqa: PTH109 - a path would have to be made
