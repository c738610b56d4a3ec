"""The transforms of the benches: plain functions at the top of a module, the same for every contender."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # workers import this, and nothing else they need imports typing
    from typing import Any

    Record = dict[str, Any]


def same(record: Any) -> Any:
    """Job A: nothing at all."""
    return record


def thrice(record: Any) -> Any:
    """Job A, for libraries without a chain: the three calls in one."""
    return same(same(same(record)))


def burn(record: Record) -> Record:
    """Job B: work until this thread has used `ms` milliseconds of CPU; returns the nanoseconds used."""
    began = time.thread_time_ns()
    until, number = began + record["ms"] * 1_000_000, 0
    while time.thread_time_ns() < until:
        for value in range(50):
            number += value * value % 7
    return record | {"used": time.thread_time_ns() - began}


def peek(array: Any) -> Any:
    """Job C, forwarded: look at it and pass it on."""
    assert array[0] == array[-1]
    return array


def plus_one(array: Any) -> Any:
    """Job C, touched: a new array."""
    return array + 1


def bill(order: Record) -> Record:
    """Job D: a small transform of a small dict."""
    net = order["price"] * order["quantity"]
    return {"id": order["id"], "name": order["name"].upper(), "net": net, "vat": round(net * 0.2, 2)}


def net(order: Record) -> Record:
    """Job D in three stages: the first …"""
    order["net"] = order["price"] * order["quantity"]
    return order


def vat(order: Record) -> Record:
    """… the second …"""
    order["vat"] = round(order["net"] * 0.2, 2)
    return order


def shape(order: Record) -> Record:
    """… and the third; together they are `bill`."""
    return {"id": order["id"], "name": order["name"].upper(), "net": order["net"], "vat": order["vat"]}


def grind(order: Record) -> Record:
    """For predictions: 0.2 ms of CPU."""
    return burn(order | {"ms": 0.2})
