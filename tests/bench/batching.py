"""Several functions as one, and records in lists: made by hand for libraries that can't do it themselves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Functions = list[Callable[[Any], Any]]
Items = Callable[[], Iterable[Any]]
Setup = Callable[[], Any] | None
Chain = Callable[[Functions, Items, Setup], Iterator[Any]]

BATCH = 1000


class InTurn:
    """Several functions as one that can be pickled; over one record, or over a list of them."""

    def __init__(self, functions: Functions, *, lists: bool = False) -> None:
        self.functions = functions
        self.lists = lists

    def __call__(self, given: Any) -> Any:
        if self.lists:
            return [self.on(record) for record in given]
        return self.on(given)

    def on(self, record: Any) -> Any:
        for function in self.functions:
            record = function(record)
        return record


class Batched:
    """Records in lists of BATCH."""

    def __init__(self, items: Items) -> None:
        self.items = items

    def __call__(self) -> Iterator[list[Any]]:
        records = iter(self.items())
        while batch := list(itertools.islice(records, BATCH)):
            yield batch


def by_hand(chain: Chain) -> Chain:
    """A chain that is given lists, for libraries that send one message per record."""

    def batched(functions: Functions, items: Items, setup: Setup = None) -> Iterator[Any]:
        lists: Functions = [InTurn([function], lists=True) for function in functions]
        return itertools.chain.from_iterable(chain(lists, Batched(items), setup))

    return batched
