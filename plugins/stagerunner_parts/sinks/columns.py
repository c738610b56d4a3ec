"""A record with other fields than the output has columns is its own failure, unless the options say else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

Extras: TypeAlias = Literal["fail", "ignore"]
Missing: TypeAlias = Literal["fail", "fill"]


def refuse_others(extra: Iterable[str], lacking: Iterable[str], extras: Extras, missing: Missing) -> None:
    """Raises ValueError for a field too many or too few, where that isn't allowed."""
    if extras == "fail" and (found := list(extra)):
        raise ValueError(f"there is no column for {_listed(found)}; `extras: ignore` leaves such fields out")
    if missing == "fail" and (found := list(lacking)):
        raise ValueError(f"the record lacks {_listed(found)}; `missing: fill` leaves such columns empty")


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
